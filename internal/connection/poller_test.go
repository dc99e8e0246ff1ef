package connection

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

const awaitedID = "cl-0a1b2c3d4e5f6g7h8i9j0k1l2"

// lister is a service that has one sandbox. It tells when it was asked for a list, by a clock that the test moves.
type lister struct {
	mu     sync.Mutex
	status wrenn.Status
	// refusal is the status of its answers, and retryAfter how long it asks to be left alone, where it does not list.
	refusal    int
	retryAfter string
	asked      []time.Time
}

func (l *lister) RoundTrip(*http.Request) (*http.Response, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, time.Now())
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}}
	body := fmt.Sprintf(`[{"id":%q,"status":%q,"created_at":"2026-01-02T03:04:05Z","last_updated":"2026-01-02T03:04:05Z"}]`, awaitedID, l.status)
	if l.refusal != 0 {
		resp.StatusCode, body = l.refusal, `{"error":{"code":"slow_down","message":""}}`
		resp.Header.Set("Retry-After", l.retryAfter)
	}
	resp.Body = io.NopCloser(strings.NewReader(body))
	return resp, nil
}

// set changes what the lister answers.
func (l *lister) set(change func(*lister)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// gaps lets some time pass and returns how long it was between the lists that began in it.
func (l *lister) gaps(during time.Duration) (gaps []time.Duration) {
	l.set(func(l *lister) { l.asked = nil })
	time.Sleep(during)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := 1; i < len(l.asked); i++ {
		gaps = append(gaps, l.asked[i].Sub(l.asked[i-1]))
	}
	return gaps
}

// polled runs a test with a team whose list is read at the pace of the real service, on a clock that waits for nobody.
func polled(t *testing.T, test func(t *testing.T, team *Team, service *lister)) {
	t.Helper()
	settings := settingsFor(t, "http://wrenn.example", "wrn_00000000000000000000000000000000")
	settings.Generation = wrenn.GenerationSandboxes
	synctest.Test(t, func(t *testing.T) {
		service := &lister{status: wrenn.StatusRunning}
		team, err := newTeam(settings, "identity", "fingerprint", wrenn.WithHTTPClient(&http.Client{Transport: service}))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		team.poller = startPoller(ctx, team, DefaultPace, func([]string, bool) {})
		defer func() {
			cancel()
			<-team.poller.done
		}()
		synctest.Wait()
		test(t, team, service)
	})
}

// expectGaps holds the time between lists to an interval, give or take a tenth.
func expectGaps(t *testing.T, what string, gaps []time.Duration, want time.Duration) {
	t.Helper()
	if len(gaps) == 0 {
		t.Errorf("%s: there are no lists", what)
	}
	for _, gap := range gaps {
		if gap < want*9/10 || gap > want*11/10 {
			t.Errorf("%s: %s between two lists, want %s", what, gap, want)
		}
	}
}

func TestPollerIsCalmAndHurries(t *testing.T) {
	t.Parallel()
	polled(t, func(t *testing.T, team *Team, service *lister) {
		expectGaps(t, "calm", service.gaps(time.Minute), DefaultPace.Calm)
		team.Hurry()
		expectGaps(t, "hurried", service.gaps(DefaultPace.HurryFor-time.Second), DefaultPace.Hurried)
		service.gaps(3 * time.Second)
		expectGaps(t, "calm again", service.gaps(time.Minute), DefaultPace.Calm)
	})
}

// A transition that somebody waits for is looked at often until it is over, and one that does not end for a minute.
func TestPollerHurriesWhileATransitionIsAwaited(t *testing.T) {
	t.Parallel()
	for _, status := range []wrenn.Status{wrenn.StatusPending, wrenn.StatusStarting, wrenn.StatusMissing, "odd"} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			polled(t, func(t *testing.T, team *Team, service *lister) {
				service.set(func(l *lister) { l.status = status })
				expectGaps(t, "nobody waits", service.gaps(time.Minute), DefaultPace.Calm)
				team.Await(awaitedID)
				expectGaps(t, "awaited", service.gaps(40*time.Second), DefaultPace.Hurried)
				service.set(func(l *lister) { l.status = wrenn.StatusRunning })
				service.gaps(3 * time.Second)
				expectGaps(t, "over", service.gaps(time.Minute), DefaultPace.Calm)

				service.set(func(l *lister) { l.status = status })
				service.gaps(20 * time.Second)
				team.Await(awaitedID)
				expectGaps(t, "awaited once more", service.gaps(DefaultPace.AwaitFor-time.Second), DefaultPace.Hurried)
				service.gaps(3 * time.Second)
				expectGaps(t, "it hangs", service.gaps(time.Minute), DefaultPace.Calm)
				team.Await(awaitedID)
				service.gaps(DefaultPace.HurryFor + 2*time.Second)
				expectGaps(t, "it still hangs", service.gaps(time.Minute), DefaultPace.Calm)
			})
		})
	}
}

// A service that asks to be left alone is, whoever is in a hurry.
func TestPollerWaitsAsItIsAsked(t *testing.T) {
	t.Parallel()
	for retryAfter, want := range map[string]time.Duration{"300": 5 * time.Minute, "999999999": maxAsked} {
		polled(t, func(t *testing.T, team *Team, service *lister) {
			service.set(func(l *lister) { l.refusal, l.retryAfter = http.StatusTooManyRequests, retryAfter })
			service.gaps(DefaultPace.Calm * 2)
			service.set(func(l *lister) { l.asked = nil })
			team.Hurry()
			team.Await(awaitedID)
			time.Sleep(want - DefaultPace.Calm*2)
			service.set(func(l *lister) {
				if len(l.asked) != 0 {
					t.Errorf("asked %d times within %s", len(l.asked), want)
				}
				l.refusal = 0
			})
			time.Sleep(DefaultPace.Calm * 2)
			if health := team.Health(); health.State != StateConnected {
				t.Errorf("not asked after %s: %+v", want, health)
			}
		})
	}
}

// What fails is tried again more and more slowly.
func TestPollerBacksOff(t *testing.T) {
	t.Parallel()
	polled(t, func(t *testing.T, _ *Team, service *lister) {
		service.set(func(l *lister) { l.refusal = http.StatusInternalServerError })
		gaps := service.gaps(5 * time.Minute)
		want := DefaultPace.Hurried
		for _, gap := range gaps {
			expectGaps(t, "after failures", []time.Duration{gap}, want)
			want = min(2*want, DefaultPace.Slowest)
		}
	})
}
