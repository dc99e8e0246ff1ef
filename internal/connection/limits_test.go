package connection

import (
	"context"
	"testing"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// Connections of one credential may have different limits: creates that are under way count whichever was seen last.
func TestTeamBoundsCreatesAcrossChanges(t *testing.T) {
	server := startWrenn(t, wrenndev.Config{})
	pool, _ := startPool(t)
	settings := settingsFor(t, server.URL(), server.APIKey())
	set := func(name string, creates int32) *Team {
		t.Helper()
		settings.ConcurrentCreates = creates
		team, err := pool.Set(key(name), settings)
		if err != nil {
			t.Fatal(err)
		}
		return team
	}
	team := set("few", 2)
	leaves := take(t, team.AcquireCreate)
	set("many", 3)
	leaves = append(leaves, take(t, team.AcquireCreate)...)
	for range 3 { // as each reconcile does
		set("few", 2)
		set("many", 3)
		leaves = append(leaves, take(t, team.AcquireCreate)...)
	}
	if len(leaves) != 3 {
		t.Errorf("%d creates at a time", len(leaves))
	}
	for _, leave := range leaves {
		leave()
	}
}

// Whoever asks and however often, no more is asked of Wrenn than the connection allows.
func TestTeamBoundsItsRequests(t *testing.T) {
	server := startWrenn(t, wrenndev.Config{Generations: wrenndev.Sandboxes})
	pool, _ := startPool(t)
	settings := settingsFor(t, server.URL(), server.APIKey())
	settings.Generation, settings.RequestsPerSecond = wrenn.GenerationSandboxes, 1
	team, err := pool.Candidate(settings) // without a poller, which asks too
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(team.Client.CloseIdleConnections)
	const calls, burst = 50, 2
	held, began := 0, time.Now()
	for range calls {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, err := team.Client.Sandboxes.List(ctx); err != nil {
			held++
		}
		cancel()
	}
	allowed := burst + int(time.Since(began)/time.Second) + 1
	if asked := len(server.Requests()); asked > allowed || held < calls-allowed {
		t.Errorf("%d of %d calls were made, %d held back; %d are allowed", asked, calls, held, allowed)
	}
	settings.RequestsPerSecond = 1000
	team.limit(settings)
	if limit, burst := team.limiter.Limit(), team.limiter.Burst(); limit != 1000 || burst != 2000 {
		t.Errorf("with another limit: %v calls a second, in bursts of %d", limit, burst)
	}
}
