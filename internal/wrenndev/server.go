package wrenndev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Server is a running embedded Wrenn. Its methods are safe for concurrent use.
type Server struct {
	cfg       Config
	dir       string
	temporary bool
	lock      *os.File
	begun     time.Time

	secrets credentials
	people  *people
	auth    *authenticator
	rows    *rows
	agent   *agent
	faults  *Faults
	log     requestLog
	router  router
	proxy   *portProxy

	audit    *auditLog
	channels channelTable
	outbox   outbox
	hosts    *table[hostRow]
	local    localHost

	http     *http.Server
	listener net.Listener

	// life ends when Close begins; background is what has to end for it.
	life       context.Context //nolint:containedctx // the server's lifetime
	endLife    context.CancelFunc
	background sync.WaitGroup

	closing   sync.Mutex
	closed    bool
	busy      sync.WaitGroup // requests under way, WebSockets included
	closeOnce sync.Once
	closeErr  error
}

// Start opens the data directory, tries the isolation and begins to serve. ctx
// bounds the start only; the server runs until Close.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("wrenn-dev: %w", err)
	}
	s := &Server{cfg: cfg, begun: time.Now()}
	s.life, s.endLife = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("wrenn-dev: %w", err), s.Close())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	// The port first: a server that is already there is the likeliest mistake.
	var err error
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Addr); err != nil {
		return fmt.Errorf("cannot listen on %s: %w", s.cfg.Addr, err)
	}
	if err := s.openDir(); err != nil {
		return err
	}
	if s.secrets, err = loadCredentials(filepath.Join(s.dir, "credentials.json"), s.cfg); err != nil {
		return err
	}
	if s.people, err = openPeople(s.dir); err != nil {
		return err
	}
	if err := s.people.putConfigured(s.cfg, s.secrets); err != nil {
		return err
	}
	s.auth = &authenticator{s.people, []byte(s.secrets.Secret)}
	if s.rows, err = openRows(filepath.Join(s.dir, "state.jsonl")); err != nil {
		return err
	}
	if err := s.openEvents(); err != nil {
		return err
	}
	if err := s.dropHalfSnapshots(); err != nil {
		return err
	}
	host, err := findHostRoot(ctx, s.cfg, s.dir)
	if err != nil {
		return err
	}
	s.agent = newAgent(s.life, filepath.Join(s.dir, "sandboxes"), host, s.cfg.SampleEvery, s.cfg.Logger)
	for _, row := range s.rows.list("") {
		if row.Status == StatusPaused && !s.hostGone(row) {
			s.agent.adopt(row.ID, row.Template, row.TimeoutSec)
		}
	}
	s.announceLocal()
	s.faults = &Faults{rows: s.rows}
	s.router = router{s.routes()}
	s.proxy = newPortProxy(s.agent)
	s.http = &http.Server{
		Handler: s, ReadHeaderTimeout: 30 * time.Second,
		ErrorLog: slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
	}
	s.background.Go(func() { _ = s.http.Serve(s.listener) })
	s.background.Go(s.watchMachines)
	s.cfg.Logger.Info("embedded Wrenn serves", "url", s.URL(), "isolation", s.Isolation().String(), "network", s.Network().String())
	return nil
}

// openDir makes the data directory and takes it for this server alone.
func (s *Server) openDir() error {
	s.dir = s.cfg.DataDir
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "wrenn-dev-")
		if err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
		s.dir, s.temporary = dir, true
	}
	dir, err := filepath.Abs(s.dir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	s.dir = dir
	for _, d := range []string{s.dir, filepath.Join(s.dir, "sandboxes"), filepath.Join(s.dir, "snapshots")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
	}
	if err := os.Chmod(s.dir, 0o700); err != nil { //nolint:gosec // a directory needs its x bit
		return fmt.Errorf("data directory: %w", err)
	}
	s.lock, err = lockFile(filepath.Join(s.dir, "lock"))
	if err != nil {
		return fmt.Errorf("data directory %s: %w", s.dir, err)
	}
	return nil
}

// watchMachines pauses what is idle and lets the rows learn what happened.
func (s *Server) watchMachines() {
	idle, reconcile := time.NewTicker(s.cfg.IdleCheck), time.NewTicker(s.cfg.Reconcile)
	defer idle.Stop()
	defer reconcile.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case <-idle.C:
			s.agent.pauseIdle(s.life)
		case <-reconcile.C:
			s.reconcile()
		}
	}
}

// reconcile compares rows with machines. The rows are read first, so that a sandbox
// that is just being created is not taken for a lost one; the service has it the
// other way round, which is what [FaultFlap] is for.
func (s *Server) reconcile() {
	if !s.local.heard() {
		return // nobody there to compare with
	}
	listed := s.rows.list("")
	has, autoPaused := s.agent.report()
	for _, row := range listed {
		runs, there := has[row.ID]
		switch {
		case row.Status == StatusRunning && autoPaused[row.ID]:
			if _, paused := s.rows.move(row.ID, StatusPaused, nil, StatusRunning); paused {
				s.record(bySystem(row.Team), "sandbox", row.ID, "pause", nil)
			}
		case row.Status == StatusRunning && (!there || !runs):
			s.settle(row.ID)
		}
	}
}

// settle marks a running row whose machine is not there as stopped, unless the
// machine has changed since it was looked at.
func (s *Server) settle(id string) {
	m, err := s.agent.machine(id)
	if err == nil {
		m.change.Lock()
		defer m.change.Unlock()
		if m.running() {
			return
		}
	}
	s.rows.move(id, StatusStopped, nil, StatusRunning)
}

// enter admits a request unless the server is closing.
func (s *Server) enter() bool {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.closed {
		return false
	}
	s.busy.Add(1)
	return true
}

// Close ends every request, every process and the server. A temporary data
// directory is removed; in another one the state stays for the next Start.
func (s *Server) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Server) close() error {
	s.closing.Lock()
	s.closed = true
	s.closing.Unlock()
	s.endLife()
	var errs []error
	if s.http != nil {
		errs = append(errs, s.http.Close())
	} else if s.listener != nil {
		errs = append(errs, s.listener.Close())
	}
	if s.agent != nil {
		s.agent.close()
	}
	s.busy.Wait()
	s.background.Wait()
	if s.proxy != nil {
		s.proxy.transport.CloseIdleConnections()
	}
	if s.rows != nil {
		errs = append(errs, s.rows.journal.close())
	}
	errs = append(errs, s.people.close(), s.audit.close(), s.channels.close(), s.hosts.close())
	if s.temporary {
		errs = append(errs, removeTree(s.dir))
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("wrenn-dev: close: %w", err)
	}
	return nil
}
