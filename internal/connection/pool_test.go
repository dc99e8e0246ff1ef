package connection

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// errNotYet is what a condition that is waited for fails with.
var errNotYet = errors.New("not yet")

// testPace is a poller in a hurry.
var testPace = Pace{
	Calm: 50 * time.Millisecond, Hurried: 10 * time.Millisecond, HurryFor: time.Second, Slowest: 200 * time.Millisecond, Timeout: 5 * time.Second,
}

// news collects what a pool tells.
type news struct {
	mu      sync.Mutex
	changes []Change
}

func (n *news) take(c Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changes = append(n.changes, c)
}

func (n *news) ids() map[string]bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	seen := map[string]bool{}
	for _, change := range n.changes {
		for _, id := range change.SandboxIDs {
			seen[id] = true
		}
	}
	return seen
}

func startWrenn(t *testing.T, cfg wrenndev.Config) *wrenndev.Server {
	t.Helper()
	server, err := wrenndev.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func startPool(t *testing.T) (*Pool, *news) {
	t.Helper()
	pool, told := NewPool(testPace, "test"), &news{}
	pool.Subscribe(told.take)
	t.Cleanup(pool.Close)
	return pool, told
}

func settingsFor(t *testing.T, endpoint, key string) Settings {
	t.Helper()
	credential, err := wrenn.APIKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return Settings{Endpoint: endpoint, Credential: credential, RequestsPerSecond: 1000, ConcurrentCreates: 2}
}

func key(name string) Key { return KeyOf("ns", v1alpha1.ConnectionKindNamespaced, name) }

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

func awaitState(t *testing.T, team *Team, want State) {
	t.Helper()
	eventually(t, "the team is "+string(want), func() error {
		if health := team.Health(); health.State != want {
			return fmt.Errorf("%s: %w", health.State, health.Err)
		}
		return nil
	})
}

// However many connections share a credential, there is one team, and one poller.
func TestPoolSharesTeams(t *testing.T) {
	server := startWrenn(t, wrenndev.Config{})
	pool, _ := startPool(t)
	settings := settingsFor(t, server.URL(), server.APIKey())
	first, err := pool.Set(key("first"), settings)
	if err != nil {
		t.Fatal(err)
	}
	second, err := pool.Set(key("second"), settings)
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Error("two teams for one credential")
	}
	awaitState(t, first, StateConnected)
	pool.Remove(key("first"))
	if team, ok := pool.Get(key("second")); !ok || team != first {
		t.Error("the team went with one of its connections")
	}
	pool.Remove(key("second"))
	if _, ok := pool.Get(key("second")); ok {
		t.Error("the team outlives its connections")
	}
}

// However slow lists are, connections that share a credential never have two under way.
func TestPoolPollsOnce(t *testing.T) {
	server := startWrenn(t, wrenndev.Config{})
	server.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultDelay, Op: wrenndev.OpList, Latency: wrenndev.Millis(50 * time.Millisecond)})
	pool, _ := startPool(t)
	for _, name := range []string{"first", "second", "third"} {
		if _, err := pool.Set(key(name), settingsFor(t, server.URL(), server.APIKey())); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "lists are read", func() error {
		if n := len(server.Requests()); n < 6 {
			return fmt.Errorf("%d requests", n)
		}
		return nil
	})
	var end time.Time
	for _, request := range server.Requests() {
		if request.Op != wrenndev.OpList || !request.Done {
			continue
		}
		if request.Start.Before(end) {
			t.Errorf("a list began %s before the one before it had ended", end.Sub(request.Start))
		}
		end = request.Start.Add(request.Duration)
	}
}

// A door lets through only while it is open, and is not quiet while somebody passes.
func TestPoolDoors(t *testing.T) {
	pool, told := startPool(t)
	if _, ok := pool.Bind(key("a")); ok || pool.IsOpen(key("a")) || !pool.Shut(key("a")) {
		t.Error("it is open at first")
	}
	pool.Open(key("a"))
	pool.Open(key("a"))
	eventually(t, "its opening is told of once", func() error {
		told.mu.Lock()
		defer told.mu.Unlock()
		if len(told.changes) != 1 || !told.changes[0].Health {
			return fmt.Errorf("told: %+v", told.changes)
		}
		return nil
	})
	done, ok := pool.Bind(key("a"))
	if !ok {
		t.Fatal("it is not open")
	}
	if _, ok := pool.Bind(key("b")); ok {
		t.Error("the door of another is open")
	}
	if pool.Shut(key("a")) {
		t.Error("it is quiet while somebody passes")
	}
	if _, ok := pool.Bind(key("a")); ok {
		t.Error("it lets through while it is shut")
	}
	done()
	if !pool.Shut(key("a")) {
		t.Error("it is not quiet although nobody passes")
	}
}

func TestPoolTellsWhatChangesAtWrenn(t *testing.T) {
	server := startWrenn(t, wrenndev.Config{})
	pool, told := startPool(t)
	team, err := pool.Set(key("default"), settingsFor(t, server.URL(), server.APIKey()))
	if err != nil {
		t.Fatal(err)
	}
	awaitState(t, team, StateConnected)
	// Not through the team's inventory: somebody else makes it.
	made, err := team.Client.Sandboxes.Create(t.Context(), wrenn.CreateSandboxRequest{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new sandbox is told of", func() error {
		if !told.ids()[made.ID] {
			return fmt.Errorf("told: %v", told.ids())
		}
		// A list can show it while it is still being made.
		if s := team.Lookup(made.ID); s.Sandbox == nil || s.Sandbox.Status != wrenn.StatusRunning {
			return fmt.Errorf("looked up: %+v", s)
		}
		return nil
	})
	if err := team.Client.Sandboxes.Destroy(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its end is noticed", func() error {
		if s := team.Lookup(made.ID); s.Sandbox != nil {
			return fmt.Errorf("looked up: %+v", s.Sandbox)
		}
		return nil
	})
}

func TestTeamHealth(t *testing.T) {
	server := startWrenn(t, wrenndev.Config{Generations: wrenndev.Capsules})
	pool, _ := startPool(t)
	good := settingsFor(t, server.URL(), server.APIKey())
	for name, tc := range map[string]struct {
		change func(*Settings)
		want   State
	}{
		"good": {func(*Settings) {}, StateConnected},
		"refused key": {func(s *Settings) {
			s.Credential = settingsFor(t, s.Endpoint, "wrn_00000000000000000000000000000000").Credential
		}, StateUnauthorized},
		"other generation": {func(s *Settings) { s.Generation = wrenn.GenerationSandboxes }, StateMismatched},
		"nobody there":     {func(s *Settings) { s.Endpoint = "http://127.0.0.1:1" }, StateUnreachable},
		"not Wrenn":        {func(s *Settings) { s.Endpoint += "/elsewhere" }, StateMismatched},
	} {
		t.Run(name, func(t *testing.T) {
			settings := good
			tc.change(&settings)
			team, err := pool.Set(key(name), settings)
			if err != nil {
				t.Fatal(err)
			}
			awaitState(t, team, tc.want)
		})
	}
}

// An endpoint that comes back is noticed, and so is one that goes.
func TestTeamHealthChanges(t *testing.T) {
	server := startWrenn(t, wrenndev.Config{})
	pool, _ := startPool(t)
	team, err := pool.Set(key("default"), settingsFor(t, server.URL(), server.APIKey()))
	if err != nil {
		t.Fatal(err)
	}
	awaitState(t, team, StateConnected)
	remove := server.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultFailBefore, Op: wrenndev.OpList, Status: 500, Code: "internal_error"})
	awaitState(t, team, StateUnreachable)
	remove()
	awaitState(t, team, StateConnected)
}

// One black hole delays no other.
func TestPoolIsolatesSlowEndpoints(t *testing.T) {
	hole, healthy := startWrenn(t, wrenndev.Config{}), startWrenn(t, wrenndev.Config{})
	hole.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultHang})
	pool, _ := startPool(t)
	if _, err := pool.Set(key("hole"), settingsFor(t, hole.URL(), hole.APIKey())); err != nil {
		t.Fatal(err)
	}
	team, err := pool.Set(key("healthy"), settingsFor(t, healthy.URL(), healthy.APIKey()))
	if err != nil {
		t.Fatal(err)
	}
	awaitState(t, team, StateConnected)
	if stuck, _ := pool.Get(key("hole")); stuck.Health().State == StateConnected {
		t.Error("the black hole is not one")
	}
}

func TestTeamBoundsCreates(t *testing.T) {
	server := startWrenn(t, wrenndev.Config{})
	pool, _ := startPool(t)
	team, err := pool.Set(key("default"), settingsFor(t, server.URL(), server.APIKey()))
	if err != nil {
		t.Fatal(err)
	}
	var releases []func()
	for range 2 {
		release, err := team.AcquireCreate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, release)
	}
	third := make(chan error, 1)
	go func() {
		release, err := team.AcquireCreate(t.Context())
		if err == nil {
			release()
		}
		third <- err
	}()
	select {
	case err := <-third:
		t.Fatalf("a third create was let through: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	for _, release := range releases {
		release()
	}
	if err := <-third; err != nil {
		t.Error(err)
	}
}
