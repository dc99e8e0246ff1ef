package wrenndev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

type machineState int

const (
	machineRunning machineState = iota
	machinePaused
	machineGone
)

// machine is one sandbox on the agent.
type machine struct {
	id, dir, template string
	timeout           int32
	recipe            bootRecipe

	// change is held over every change of state, which takes as long as it takes;
	// mu only guards the fields.
	change sync.Mutex

	procs processes

	mu    sync.Mutex
	state machineState
	guest *guest.Guest // nil when paused without processes, and when gone
	// session ends when the machine stops running for any reason.
	session    context.Context //nolint:containedctx // a lifetime, see above
	endSession context.CancelFunc
	lastActive time.Time
	booted     time.Time
	pausedAt   time.Time
	samples    []guest.Sample // kept at a pause
	diskBytes  int64
}

// boot starts the machine's supervisor and with it the running state.
func (m *machine) boot(ctx context.Context, a *agent) error {
	log, err := guestLog(m.dir)
	if err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	defer func() { _ = log.Close() }()
	spec := a.host.bootSpec(m.dir, m.id, m.template, a.sample)
	m.recipe.apply(&spec)
	g, err := guest.Launch(ctx, spec, log)
	if err != nil {
		return err
	}
	if err := m.recipe.run(ctx, a, g); err != nil {
		g.Kill()
		return err
	}
	m.mu.Lock()
	m.guest, m.booted = g, time.Now()
	m.mu.Unlock()
	m.start(a)
	a.watch(m, g)
	return nil
}

// ended ends the session of a machine whose supervisor is gone.
func (m *machine) ended(g *guest.Guest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.guest == g && m.endSession != nil {
		m.endSession()
	}
}

// start opens a new session.
func (m *machine) start(a *agent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state, m.lastActive = machineRunning, time.Now()
	m.session, m.endSession = context.WithCancel(a.life)
}

// use returns the guest of a running machine and its session; active counts the use
// as activity.
func (m *machine) use(active bool) (*guest.Guest, context.Context, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state != machineRunning {
		return nil, nil, errNotRunning
	}
	if active {
		m.lastActive = time.Now()
	}
	return m.guest, m.session, nil
}

func (m *machine) touch() error {
	_, _, err := m.use(true)
	return err
}

func (m *machine) running() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state == machineRunning
}

func (m *machine) idle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.idleLocked()
}

func (m *machine) idleLocked() bool {
	return m.state == machineRunning && m.timeout > 0 && time.Since(m.lastActive) > time.Duration(m.timeout)*time.Second
}

func (m *machine) currentGuest() *guest.Guest {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.guest
}

func (m *machine) pause(ctx context.Context) error {
	m.change.Lock()
	defer m.change.Unlock()
	return m.pauseLocked(ctx)
}

// pauseIfIdle looks again: something may have happened since it was found idle.
func (m *machine) pauseIfIdle(ctx context.Context) error {
	m.change.Lock()
	defer m.change.Unlock()
	if !m.idle() {
		return errNotRunning
	}
	return m.pauseLocked(ctx)
}

func (m *machine) pauseLocked(ctx context.Context) error {
	g, _, err := m.use(false)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // the caller gave up before anything happened
	}
	stats, err := g.Stats(ctx)
	if err != nil {
		return err
	}
	// New commands are refused before the old ones are stopped.
	m.setState(machinePaused)
	if err := g.Pause(context.WithoutCancel(ctx)); err != nil {
		m.setState(machineRunning)
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.samples, m.diskBytes, m.pausedAt = stats.Samples, stats.DiskBytes, time.Now()
	m.endSession()
	return nil
}

func (m *machine) setState(s machineState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = s
}

func (m *machine) resume(ctx context.Context, a *agent) error {
	m.change.Lock()
	defer m.change.Unlock()
	m.mu.Lock()
	state, g := m.state, m.guest
	m.mu.Unlock()
	if state != machinePaused {
		return errNotRunning
	}
	if g == nil || g.Dead() {
		return m.boot(ctx, a)
	}
	if err := g.Resume(ctx); err != nil {
		return err
	}
	m.start(a)
	return nil
}

// halt ends every process of the machine.
func (m *machine) halt() {
	m.change.Lock()
	defer m.change.Unlock()
	m.mu.Lock()
	m.state = machineGone
	g := m.guest
	if m.endSession != nil {
		m.endSession()
	}
	m.mu.Unlock()
	if g != nil {
		g.Kill()
	}
}

// discard ends every process of the machine and removes its files.
func (m *machine) discard() error {
	m.halt()
	return removeTree(m.dir)
}

// kill ends the processes but leaves the agent in the belief that the machine
// runs: a guest that died inside its microVM.
func (m *machine) kill() {
	if g := m.currentGuest(); g != nil {
		g.Kill()
	}
}

// snapshot copies the machine's files to a directory. The machine is paused for it
// and stays so.
func (m *machine) snapshot(ctx context.Context, to string) (int64, error) {
	m.change.Lock()
	defer m.change.Unlock()
	if err := m.pauseLocked(ctx); err != nil && !errors.Is(err, errNotRunning) {
		return 0, err
	}
	m.mu.Lock()
	state := m.state
	m.mu.Unlock()
	if state != machinePaused {
		return 0, errNotRunning
	}
	return copyContent(m.dir, to)
}

// complain reports what a supervisor wrote to its log: it should have nothing to say.
func (a *agent) complain(m *machine) {
	f, err := os.Open(filepath.Join(m.dir, "guest.log"))
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, 8<<10))
	if err == nil && len(text) > 0 {
		a.log.Error("sandbox guest complained", "sandbox", m.id, "log", string(text))
	}
}
