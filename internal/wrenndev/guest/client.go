package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lastOutput is how long output may still be read after the guest has ended.
const lastOutput = 250 * time.Millisecond

// ErrGone is the answer of a supervisor that has ended.
var ErrGone = errors.New("sandbox guest is gone")

// Error is a failure that the supervisor reported.
type Error struct {
	Kind ErrorKind
	Text string
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Guest is the server's end of one supervisor. Its methods are safe for concurrent use.
type Guest struct {
	id   string
	cmd  *exec.Cmd
	conn *Conn
	done chan struct{} // closed when the supervisor is gone and nothing of it is left

	mu       sync.Mutex
	seq      uint64
	gone     bool
	waiting  map[uint64]chan answer
	commands map[uint64]*Command
	outputs  map[*os.File]bool // open ends of commands' output
}

type answer struct {
	reply Reply
	fds   []int
}

// Command is a command in the sandbox.
type Command struct {
	// Pid is the command's process number inside the sandbox.
	Pid int
	// Stdout and Stderr are its output. They end when every process that holds them
	// has closed them, which may be later than the command's own end.
	Stdout, Stderr *os.File

	guest *Guest
	id    uint64
	exit  chan int
}

// Exit carries the exit code, -1 for a command that a signal ended. It is closed
// without one when the guest went away first.
func (c *Command) Exit() <-chan int { return c.exit }

// Close gives up the output.
func (c *Command) Close() {
	c.guest.mu.Lock()
	delete(c.guest.outputs, c.Stdout)
	delete(c.guest.outputs, c.Stderr)
	c.guest.mu.Unlock()
	_ = c.Stdout.Close()
	_ = c.Stderr.Close()
}

// Signal sends a signal to the command itself, not to what it started.
func (c *Command) Signal(ctx context.Context, sig syscall.Signal) error {
	_, err := c.guest.call(ctx, &Request{Op: opSignal, Signal: &SignalSpec{Exec: c.id, Signal: int(sig)}})
	return err
}

// Launch starts a supervisor and boots it. Its own complaints go to log, which may
// be nil. When ctx ends before the boot is done, nothing is left of it.
func Launch(ctx context.Context, spec BootSpec, log *os.File) (*Guest, error) {
	conn, theirs, err := Pair()
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path: executable(), Args: []string{Arg0}, Env: []string{"GOMAXPROCS=2", "GOTRACEBACK=all"},
		Dir: "/", Stderr: log, ExtraFiles: []*os.File{theirs}, SysProcAttr: sysProcAttr(&spec),
	}
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start guest: %w", err)
	}
	g := &Guest{
		id: spec.ID, cmd: cmd, conn: conn, done: make(chan struct{}),
		waiting: map[uint64]chan answer{}, commands: map[uint64]*Command{}, outputs: map[*os.File]bool{},
	}
	go g.receive()
	if _, err := g.call(ctx, &Request{Op: opBoot, Boot: &spec}); err != nil {
		g.Kill()
		return nil, fmt.Errorf("boot guest: %w", err)
	}
	return g, nil
}

// receive hands out answers and exit events until the socket ends, then collects
// the supervisor. Waiting for process 1 of a namespace waits for all of it.
func (g *Guest) receive() {
	for {
		var reply Reply
		fds, err := g.conn.Receive(&reply)
		if err != nil {
			break
		}
		g.deliver(reply, fds)
	}
	g.mu.Lock()
	g.gone = true
	g.mu.Unlock()
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
	_ = g.conn.Close()
	if !namespaced(g.cmd.SysProcAttr) {
		sweep(g.id)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, ch := range g.waiting {
		close(ch)
	}
	for _, c := range g.commands {
		close(c.exit)
	}
	g.waiting, g.commands = nil, nil
	// Without a namespace a process can have escaped with the output open.
	for f := range g.outputs {
		_ = f.SetReadDeadline(time.Now().Add(lastOutput))
	}
	close(g.done)
}

func (g *Guest) deliver(reply Reply, fds []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if reply.Exit != nil {
		if c, ok := g.commands[reply.Exit.Exec]; ok {
			delete(g.commands, reply.Exit.Exec)
			c.exit <- reply.Exit.Code // buffered; the only send
			close(c.exit)
		}
		return
	}
	ch, ok := g.waiting[reply.Seq]
	if !ok {
		closeAll(fds) // the caller gave up
		return
	}
	delete(g.waiting, reply.Seq)
	ch <- answer{reply, fds} // buffered; the only send
}

// begin sends a request. Its answer comes over the channel, which is closed when the
// guest is gone first.
func (g *Guest) begin(req *Request, fds []int) (chan answer, error) {
	ch := make(chan answer, 1)
	g.mu.Lock()
	if g.gone {
		g.mu.Unlock()
		return nil, ErrGone
	}
	g.seq++
	req.Seq = g.seq
	g.waiting[req.Seq] = ch
	g.mu.Unlock()
	if err := g.conn.Send(req, fds...); errors.Is(err, syscall.E2BIG) {
		g.forget(req.Seq, ch)
		return nil, err
	} else if err != nil {
		_ = g.conn.Close() // receive notices, and answers everyone with ErrGone
	}
	return ch, nil
}

// call sends a request and waits for its answer.
func (g *Guest) call(ctx context.Context, req *Request, fds ...int) (answer, error) {
	ch, err := g.begin(req, fds)
	if err != nil {
		return answer{}, err
	}
	select {
	case a, ok := <-ch:
		if !ok {
			return answer{}, ErrGone
		}
		if a.reply.Error != "" {
			closeAll(a.fds)
			return answer{}, &Error{Kind: a.reply.Kind, Text: a.reply.Error}
		}
		return a, nil
	case <-ctx.Done():
		g.forget(req.Seq, ch)
		return answer{}, ctx.Err()
	}
}

// forget gives up on an answer; one that came at the same moment is thrown away.
func (g *Guest) forget(seq uint64, ch chan answer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.waiting, seq)
	select {
	case a := <-ch:
		closeAll(a.fds)
	default:
	}
}

// Exec starts a command. It is started even if ctx ends while waiting for its pid;
// then nobody reads its output.
func (g *Guest) Exec(ctx context.Context, spec ExecSpec) (*Command, error) {
	stdout, outW, err := pipe()
	if err != nil {
		return nil, err
	}
	stderr, errW, err := pipe()
	if err != nil {
		closeAll([]int{outW})
		_ = stdout.Close()
		return nil, err
	}
	c := &Command{Stdout: stdout, Stderr: stderr, guest: g, exit: make(chan int, 1)}
	g.mu.Lock()
	g.seq++
	c.id = g.seq
	if !g.gone {
		g.commands[c.id] = c
		g.outputs[stdout], g.outputs[stderr] = true, true
	}
	g.mu.Unlock()
	spec.ID = c.id
	a, err := g.call(ctx, &Request{Op: opExec, Exec: &spec}, outW, errW)
	closeAll([]int{outW, errW})
	if err != nil {
		g.mu.Lock()
		delete(g.commands, c.id)
		g.mu.Unlock()
		c.Close()
		return nil, err
	}
	c.Pid = a.reply.Pid
	return c, nil
}

// Open opens a file of the sandbox: for reading, or for writing from its start with
// its directories made. A failure that the guest reports is an [*Error].
func (g *Guest) Open(ctx context.Context, path string, write bool) (*os.File, error) {
	a, err := g.call(ctx, &Request{Op: opOpen, Open: &OpenSpec{Path: path, Write: write}})
	if err != nil {
		return nil, err
	}
	if len(a.fds) != 1 {
		closeAll(a.fds)
		return nil, errors.New("guest sent no file")
	}
	return os.NewFile(uintptr(a.fds[0]), path), nil
}

// Pause stops every process of the sandbox; on return none of them runs.
func (g *Guest) Pause(ctx context.Context) error {
	_, err := g.call(ctx, &Request{Op: opPause})
	return err
}

// Resume continues the processes that Pause stopped.
func (g *Guest) Resume(ctx context.Context) error {
	_, err := g.call(ctx, &Request{Op: opResume})
	return err
}

// Stats returns the resource samples of the recent past.
func (g *Guest) Stats(ctx context.Context) (*Stats, error) {
	a, err := g.call(ctx, &Request{Op: opStats})
	if err != nil {
		return nil, err
	}
	return a.reply.Stats, nil
}

// Processes lists the live processes of the sandbox, without the supervisor.
func (g *Guest) Processes(ctx context.Context) ([]Process, error) {
	a, err := g.call(ctx, &Request{Op: opList})
	return a.reply.Procs, err
}

// Pid is the supervisor's process number on the host.
func (g *Guest) Pid() int { return g.cmd.Process.Pid }

// Gone is closed when the supervisor and all its processes have ended.
func (g *Guest) Gone() <-chan struct{} { return g.done }

// Dead tells whether the guest has ended.
func (g *Guest) Dead() bool {
	select {
	case <-g.done:
		return true
	default:
		return false
	}
}

// Kill ends the supervisor and every process of the sandbox, and returns when they are gone.
func (g *Guest) Kill() {
	if !namespaced(g.cmd.SysProcAttr) {
		// Nothing but the supervisor knows which processes are the sandbox's.
		if ch, err := g.begin(&Request{Op: opKill}, nil); err == nil {
			t := time.NewTimer(settle + time.Second)
			defer t.Stop()
			select {
			case <-ch:
			case <-t.C: // sweep does what is left
			}
		}
	}
	_ = g.cmd.Process.Kill()
	<-g.done
}

// pipe makes a pipe whose reading end is for this process and whose writing end is
// a raw descriptor in blocking mode, as a command expects its output to be.
func pipe() (*os.File, int, error) {
	var fds [2]int
	if err := cloexecPipe(&fds); err != nil {
		return nil, -1, fmt.Errorf("pipe: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		closeAll(fds[:])
		return nil, -1, fmt.Errorf("pipe: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "output"), fds[1], nil
}
