package guest

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// Arg0 is the name under which the executable is started to be a supervisor.
const Arg0 = "wrenn-guest"

// socketFD is where a supervisor finds its end of the socket.
const socketFD = 3

// init makes every program that links this package able to be a supervisor.
//
//nolint:gochecknoinits // it must take over before main, and before a test binary parses flags
func init() {
	if len(os.Args) == 1 && os.Args[0] == Arg0 {
		os.Exit(run())
	}
}

// supervisor is the state of one sandbox as seen from inside.
type supervisor struct {
	conn *Conn
	spec BootSpec
	null *os.File

	mu       sync.Mutex
	commands map[uint64]int // running commands: the server's number to the pid
	pids     map[int]uint64 // the same, the other way
	frozen   bool
	stopped  map[int]bool // processes that were stopped before the pause

	samples sampler
}

func run() int {
	// A supervisor holds next to no live memory; hundreds of them share a machine.
	debug.SetGCPercent(50)
	conn, err := newConn(os.NewFile(socketFD, "server-socket"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "wrenn-guest:", err)
		return 1
	}
	// A terminal's Ctrl-C reaches the whole foreground process group; the server
	// decides when a sandbox ends, not the terminal. Caught and not ignored: commands would inherit that, and a
	// shell cannot trap a signal that was ignored when it began.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTSTP)
	adoptOrphans()
	s := &supervisor{conn: conn, commands: map[uint64]int{}, pids: map[int]uint64{}}
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	go s.reapForever(children)
	for {
		var req Request
		fds, err := conn.Receive(&req)
		if err != nil {
			// The server is gone. Process 1 takes its namespace along by exiting; without
			// a namespace each process has to be ended by hand.
			_ = s.endAll() // there is nobody left to tell
			return 0
		}
		if req.Op == opBoot {
			s.answer(&req, fds) // nothing else may run before the root is there
			continue
		}
		go s.answer(&req, fds)
	}
}

func (s *supervisor) answer(req *Request, fds []int) {
	defer closeAll(fds)
	reply, send, err := s.do(req, fds)
	if err != nil {
		reply = Reply{Error: err.Error(), Kind: kindOf(err)}
	}
	reply.Seq = req.Seq
	if send != nil {
		defer func() { _ = send.Close() }()
		// The socket's end shows up in Receive: nothing to do about it here.
		_ = s.conn.Send(&reply, int(send.Fd()))
		return
	}
	_ = s.conn.Send(&reply)
}

// do performs one request. The file, if any, is sent with the reply and closed.
func (s *supervisor) do(req *Request, fds []int) (Reply, *os.File, error) {
	switch {
	case req.Op == opBoot && req.Boot != nil:
		return Reply{}, nil, s.boot(*req.Boot)
	case req.Op == opExec && req.Exec != nil && len(fds) == 2:
		pid, err := s.exec(req.Exec, fds)
		return Reply{Pid: pid}, nil, err
	case req.Op == opSignal && req.Signal != nil:
		return Reply{}, nil, s.signal(req.Signal)
	case req.Op == opOpen && req.Open != nil:
		f, err := s.open(req.Open)
		return Reply{}, f, err
	case req.Op == opDial && req.Dial != nil:
		f, err := s.dial(req.Dial)
		return Reply{}, f, err
	case req.Op == opPause:
		return Reply{}, nil, s.pause()
	case req.Op == opResume:
		return Reply{}, nil, s.resume()
	case req.Op == opStats:
		return Reply{Stats: s.stats()}, nil, nil
	case req.Op == opList:
		procs, err := s.list()
		return Reply{Procs: procs}, nil, err
	case req.Op == opKill:
		return Reply{}, nil, s.endAll()
	}
	return Reply{}, nil, fmt.Errorf("wrenn-guest: bad request %q", req.Op)
}

// halted tells whether the sandbox is paused, or not up yet.
func (s *supervisor) halted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.frozen || s.null == nil
}

func (s *supervisor) boot(spec BootSpec) error {
	// Files of the sandbox have the modes that the service gives them, whatever the
	// mask of the shell that started the server.
	syscall.Umask(0o022)
	if spec.PrivateNetwork {
		if err := loopbackUp(); err != nil {
			return err
		}
	}
	if spec.Namespaces {
		if err := enterRoot(&spec); err != nil {
			return err
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("stdin of commands: %w", err)
	}
	s.mu.Lock()
	s.spec, s.null = spec, null
	s.mu.Unlock()
	go s.sampleForever(time.Duration(spec.SampleMillis) * time.Millisecond)
	return nil
}
