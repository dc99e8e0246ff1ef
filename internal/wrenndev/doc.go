// Package wrenndev is the embedded Wrenn: a real HTTP and WebSocket server of the
// Wrenn API whose sandboxes are local processes. Commands really run, files are
// really there, pause really stops every process, and a snapshot can be started
// from many times. It is what the demo runs against, and the test double of
// everything that talks to Wrenn, so it is exact in the service's awkward parts
// and its faults can be scripted (see [Faults]).
//
// As in the service there are two halves. The control plane keeps a row for each
// sandbox, for ever, and answers clients from the rows. The agent holds the
// machines. What happens to a machine without a client's doing (an idle pause, a
// death) reaches the row at the next reconcile; between the two the answers
// disagree just as the service's do.
//
// Both path families, /v1/sandboxes (S) and /v1/capsules (C), serve the same
// sandboxes; each answers in its own generation's manner.
//
// # Isolation
//
// On Linux a sandbox has its own user, mount, PID, IPC, UTS and network namespaces
// and a root of its own: writable layers over the host's /usr, /etc and /opt,
// everything else private and empty at first. Root in a sandbox is not root on the
// host. Its network is a loopback and nothing else: it reaches nobody, and every
// sandbox has all ports for itself. [HostNetwork] is for sandboxes that have to
// download something; everything on the host's loopback is open to them.
//
// Where the kernel or the container around refuses this, a sandbox is a private
// directory and a process tree on the host's network, which is no security border;
// the server says so in its log and in [Server.Isolation]. A server that is not run by
// root has only its own user to map into a sandbox: what belongs to the host's root
// below /usr and /etc can be read there, but not changed.
//
// # What differs from the service
//
// A pause keeps processes in memory, stopped. A snapshot holds files, not memory: a
// sandbox started from one has no processes. After a restart of the server, clean
// or not, what was running is stopped, as after a restart of the service's agent;
// what was paused can be resumed with its files, but its processes are gone.
// vcpus and memory_mb are recorded and echoed, not enforced. The port proxy connects
// to a sandbox's loopback, and its connections end at a pause without waiting for the
// answers under way.
//
// Mails are not sent but kept for who waits for one (see [Server.Mails]), and the only
// OAuth provider, "github", is played by the server itself.
//
// There is one host, this machine. It is a host that the first team brought, and yet
// serves every team. Whoever deletes it is left without a host: what runs is destroyed
// ("force"), what is paused loses its files, creates fail as without any host online.
// The next start of the server announces the machine anew. Hosts that are announced by
// POST /v1/hosts stay pending, since no agent can register.
//
// Channels really deliver, but to loopback addresses only: the configuration of any
// other destination is refused, Telegram's always. Events wait in memory; those that
// wait when the server closes are not delivered.
package wrenndev
