package wrenndev

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

// command is what to start in a sandbox.
type command struct {
	cmd  string
	args []string
	tag  string
	env  map[string]string
	dir  string
	user string
	tty  *guest.TtySize
}

// process is a command that was started in a machine. Its output is read all the
// time, for its own sake; whoever listens at the time gets it.
type process struct {
	*guest.Command
	command

	input chan []byte // for the terminal, if there is one

	mu    sync.Mutex
	ears  []ear // never changed in place: who has it need not hold the lock
	ended bool
}

// piece is a piece of output.
type piece struct {
	kind string // stdout, stderr, or tty
	data []byte
}

// ear gets the output of a process. Each method has one caller at a time for each
// kind of output, and end comes last.
type ear interface {
	// hear gets a piece, whose data is good for the time of the call only. To take
	// time for it holds up the process.
	hear(piece)
	// end tells the exit code. It is not ok when the guest is gone.
	end(code int, ok bool)
}

// launch starts a command in a running machine, which counts as activity. first, if
// any, misses nothing of its output. The client's going away does not stop it.
func (s *Server) launch(ctx context.Context, id string, what command, first ear) (*process, context.Context, error) {
	m, err := s.agent.machine(id)
	if err != nil {
		return nil, nil, err
	}
	g, session, err := m.use(true)
	if err != nil {
		return nil, nil, err
	}
	started, err := g.Exec(context.WithoutCancel(ctx), guest.ExecSpec{
		Argv: append([]string{what.cmd}, what.args...), Env: environ(what.env), Dir: what.dir, User: what.user, Tty: what.tty,
	})
	if err != nil {
		return nil, nil, err
	}
	p := &process{Command: started, command: what}
	if first != nil {
		p.ears = []ear{first}
	}
	if p.Tty != nil {
		p.input = make(chan []byte, inputQueue)
		s.background.Go(p.feed)
	}
	m.procs.add(p)
	s.background.Go(func() {
		p.run()
		m.procs.remove(p)
	})
	return p, session, nil
}

// run reads the output to its end and tells the exit code then.
func (p *process) run() {
	var wg sync.WaitGroup
	for kind, out := range map[string]*os.File{"stdout": p.Stdout, "stderr": p.Stderr, "tty": p.Tty} {
		if out != nil {
			wg.Go(func() { p.pump(kind, out) })
		}
	}
	wg.Wait()
	code, ok := p.Exit()
	p.Close()
	p.mu.Lock()
	ears := p.ears
	p.ended, p.ears = true, nil
	p.mu.Unlock()
	for _, e := range ears {
		e.end(code, ok)
	}
}

// pump reads one output. Every error is its end: a terminal has no other one.
func (p *process) pump(kind string, out *os.File) {
	buf := make([]byte, streamChunk)
	for {
		n, err := out.Read(buf)
		if n > 0 {
			p.mu.Lock()
			ears := p.ears
			p.mu.Unlock()
			for _, e := range ears {
				e.hear(piece{kind, buf[:n]})
			}
		}
		if err != nil {
			return
		}
	}
}

// attach lets e hear the output from now on. It is false when the end was told.
func (p *process) attach(e ear) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	p.ears = append(slices.Clip(p.ears), e)
	return true
}

func (p *process) detach(e ear) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ears = slices.DeleteFunc(slices.Clone(p.ears), func(other ear) bool { return other == e })
}

func (p *process) live() bool {
	select {
	case <-p.Done():
		return false
	default:
		return true
	}
}

// processes are those that were started in a machine, in no order. One that has
// ended is there until its output has, but is not found.
type processes struct {
	mu  sync.Mutex
	all map[*process]bool
}

func (ps *processes) add(p *process) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.all == nil {
		ps.all = map[*process]bool{}
	}
	ps.all[p] = true
}

func (ps *processes) remove(p *process) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(ps.all, p)
}

func (ps *processes) list() []*process {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var list []*process
	for p := range ps.all {
		if p.live() {
			list = append(list, p)
		}
	}
	return list
}

// find returns the process that a selector names: digits are always a pid, also
// where they are a tag.
func (ps *processes) find(selector string) *process {
	digits := strings.Trim(selector, "0123456789") == ""
	pid, err := strconv.Atoi(selector)
	for _, p := range ps.list() {
		if digits && err == nil && p.Pid == pid || !digits && p.tag == selector {
			return p
		}
	}
	return nil
}
