package wrenndev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

var (
	// errNoMachine says that the agent does not have the sandbox.
	errNoMachine = errors.New("sandbox not found on the agent")
	// errNotRunning says that the agent has it, but not running.
	errNotRunning = errors.New("sandbox is not running on the agent")
	// errClosing says that the server is being closed.
	errClosing = errors.New("agent is stopping")
)

// agent holds the machines: what really runs.
type agent struct {
	dir    string // one directory a sandbox
	host   hostRoot
	log    *slog.Logger
	sample time.Duration
	// life ends when the server closes.
	life context.Context //nolint:containedctx // the lifetime of what the agent runs, not of a call
	// boots bounds how many machines start at once, so that a burst of creates does
	// not starve each of them.
	boots    chan struct{}
	watchers sync.WaitGroup // one for each supervisor

	mu         sync.Mutex
	machines   map[string]*machine
	guests     map[*guest.Guest]bool // every supervisor that has not ended
	autoPaused map[string]bool       // to be reported once
	closed     bool
	hostIPs    int
}

func newAgent(life context.Context, dir string, host hostRoot, sample time.Duration, log *slog.Logger) *agent {
	return &agent{
		life: life, dir: dir, host: host, sample: sample, log: log,
		boots:    make(chan struct{}, max(4, 2*runtime.NumCPU())),
		machines: map[string]*machine{}, autoPaused: map[string]bool{}, guests: map[*guest.Guest]bool{},
	}
}

// newMachine is the machine of a row, without anything in it yet.
func (a *agent) newMachine(row sandboxRow) *machine {
	return &machine{id: row.ID, dir: a.machineDir(row.ID), template: row.Template, timeout: row.TimeoutSec, recipe: row.Boot}
}

// baseEnv is the environment of commands in a sandbox.
func (a *agent) baseEnv(row sandboxRow) map[string]string {
	vars := map[string]string{}
	spec := a.host.bootSpec(a.machineDir(row.ID), row.ID, row.Template, 0)
	row.Boot.apply(&spec)
	for _, v := range spec.Env {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	return vars
}

// adopt takes back a machine that was paused when the server stopped: its files
// are there, its processes are not.
func (a *agent) adopt(row sandboxRow) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.newMachine(row)
	m.state = machinePaused
	a.machines[row.ID] = m
}

// create makes a machine and boots it. from is the directory of a snapshot, or
// empty. When ctx ends before the boot is over, nothing is left.
func (a *agent) create(ctx context.Context, row sandboxRow, from string, delay time.Duration) error {
	if err := sleep(ctx, delay); err != nil {
		return err
	}
	select {
	case a.boots <- struct{}{}:
		defer func() { <-a.boots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	m := a.newMachine(row)
	err := a.host.prepare(m.dir, from)
	if err == nil {
		err = m.boot(ctx, a)
	}
	if err == nil {
		a.mu.Lock()
		if a.closed {
			err = errClosing
		} else {
			a.machines[row.ID] = m
		}
		a.mu.Unlock()
	}
	if err != nil {
		return errors.Join(err, m.discard())
	}
	return nil
}

// machine returns a sandbox in whatever state the agent has it.
func (a *agent) machine(id string) (*machine, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m, ok := a.machines[id]
	if !ok {
		return nil, errNoMachine
	}
	return m, nil
}

// runs tells whether the agent has the sandbox, running.
func (a *agent) runs(id string) bool {
	m, err := a.machine(id)
	return err == nil && m.running()
}

func (a *agent) pause(ctx context.Context, id string) error {
	m, err := a.machine(id)
	if err != nil {
		return err
	}
	return m.pause(ctx)
}

func (a *agent) resume(ctx context.Context, id string) error {
	m, err := a.machine(id)
	if err != nil {
		return err
	}
	return m.resume(ctx, a)
}

func (a *agent) ping(id string) error {
	m, err := a.machine(id)
	if err != nil {
		return err
	}
	return m.touch()
}

// destroy ends a machine and removes its files, also those of one that the agent
// has lost.
func (a *agent) destroy(id string) error {
	a.mu.Lock()
	m, ok := a.machines[id]
	delete(a.machines, id)
	delete(a.autoPaused, id)
	a.mu.Unlock()
	if !ok {
		return removeTree(a.machineDir(id))
	}
	return m.discard()
}

// lose ends a machine and forgets it, as a restarted agent does. Its files stay
// until it is destroyed.
func (a *agent) lose(id string) {
	a.mu.Lock()
	m, ok := a.machines[id]
	delete(a.machines, id)
	a.mu.Unlock()
	if ok {
		m.halt()
	}
}

// nextHostIP gives each start of a machine another address, as the service does.
func (a *agent) nextHostIP() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hostIPs++
	return fmt.Sprintf("10.11.%d.%d", a.hostIPs/254%256, a.hostIPs%254+1)
}

// report tells what a reconcile wants to know: the machines the agent has, with
// true for those that run, and the automatic pauses since the last report.
func (a *agent) report() (has, autoPaused map[string]bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	has, autoPaused = make(map[string]bool, len(a.machines)), a.autoPaused
	a.autoPaused = map[string]bool{}
	for id, m := range a.machines {
		has[id] = m.running()
	}
	return has, autoPaused
}

// pauseIdle pauses every machine that was not active for its timeout. One that
// cannot be paused is destroyed.
func (a *agent) pauseIdle(ctx context.Context) {
	a.mu.Lock()
	var idle []*machine
	for _, m := range a.machines {
		if m.idle() {
			idle = append(idle, m)
		}
	}
	a.mu.Unlock()
	for _, m := range idle {
		switch err := m.pauseIfIdle(ctx); {
		case err == nil:
			a.mu.Lock()
			a.autoPaused[m.id] = true
			a.mu.Unlock()
		case errors.Is(err, errNotRunning), ctx.Err() != nil:
		default:
			a.log.Warn("automatic pause failed: sandbox is destroyed", "sandbox", m.id, "error", err)
			if err := a.destroy(m.id); err != nil {
				a.log.Error("destroy", "sandbox", m.id, "error", err)
			}
		}
	}
}

// close ends every machine. Files stay.
func (a *agent) close() {
	a.mu.Lock()
	a.closed = true
	machines := a.machines
	a.machines = map[string]*machine{}
	a.mu.Unlock()
	var wg sync.WaitGroup
	for _, m := range machines {
		wg.Go(m.halt)
	}
	wg.Wait()
	a.watchers.Wait()
}

// supervisors lists the host's process numbers of all supervisors.
func (a *agent) supervisors() []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	var pids []int
	for g := range a.guests {
		pids = append(pids, g.Pid())
	}
	return pids
}

// watch follows a supervisor to its end.
func (a *agent) watch(m *machine, g *guest.Guest) {
	a.mu.Lock()
	a.guests[g] = true
	a.mu.Unlock()
	a.watchers.Go(func() {
		<-g.Gone()
		m.ended(g)
		a.complain(m)
		a.mu.Lock()
		delete(a.guests, g)
		a.mu.Unlock()
	})
}

func (a *agent) machineDir(id string) string { return filepath.Join(a.dir, id) }

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// guestLog opens the file for a supervisor's own complaints.
func guestLog(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, "guest.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // in the data directory
}
