// Package guest is the part of the embedded Wrenn that lives inside a sandbox:
// a small supervisor that builds the sandbox's root, starts commands in it,
// stops and continues its processes, and opens files and connections on behalf of
// the server.
//
// The supervisor is the server's own executable started again under the name
// [Arg0]; an init function takes over before main (or a test binary's flags)
// runs. In a PID namespace it is process 1, so its death is the death of
// everything in the sandbox. Without namespaces it is a child subreaper, so that
// every process of the sandbox still descends from it.
//
// Server and supervisor share one stream socket. It carries length-prefixed JSON
// and file descriptors: a command's output pipes travel in, opened files and
// connections to the sandbox's ports travel out, so no content passes through the
// supervisor. The supervisor
// exits, and takes its sandbox with it, as soon as that socket ends: a server
// that is killed leaves nothing running.
package guest
