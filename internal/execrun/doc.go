// Package execrun runs one attempt of an ExecJob in a sandbox: at most once, whatever crashes, and with every byte of
// its output kept.
//
// The stream of the service is a view of the run and not the run. A small launcher in the guest (guest/launch.sh) starts
// the command behind a guard that can be passed once, keeps its output and its end in files, and shows these files from
// any byte offset, as often as it is asked. So a lost stream, a restarted operator and a resumed sandbox are all the same
// thing: one more look, from the offset that is stored already. What is stored is in ConfigMaps, which also are the only
// memory of that offset.
//
// A Runner holds the attempts of one operator. It is told what is wanted of each (Ensure) and tells how far it is
// (Progress); a goroutine exists for an attempt only while there is something to do.
package execrun
