package wrenndev

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// soon is a short wait before a delivery is tried again.
var soon = []time.Duration{10 * time.Millisecond, 20 * time.Millisecond}

// never has no further attempt in the time of a test.
var never = []time.Duration{time.Hour}

// testBody is a test of a webhook.
func testBody(url string) string {
	return fmt.Sprintf(`{"provider":"webhook","config":{"url":%q,"secret":"s3cret"}}`, url)
}

func TestAChannelTestDelivers(t *testing.T) {
	s := start(t, Config{})
	r := receive(t, nil)
	s.user(t).want(http.StatusOK, "", http.MethodPost, "/v1/channels/test", testBody(r.URL))
	d := r.next(t)
	want := channelEvent{
		Event: "channel.test", TeamID: "test", Timestamp: d.event(t).Timestamp,
		Actor: eventActor{Type: "system"}, Resource: eventResource{"test", "channel"},
	}
	if diff := cmp.Diff(want, d.event(t)); diff != "" || d.header.Get("X-Wrenn-Signature") != signed(d, "s3cret") {
		t.Errorf("%s; header %v", diff, d.header)
	}
	var channels []channelAnswer
	if s.user(t).want(http.StatusOK, "", http.MethodGet, "/v1/channels", nil).json(t, &channels); len(channels) != 0 {
		t.Errorf("a test left %v", channels)
	}
}

func TestAFailedChannelTestIsAnInternalError(t *testing.T) {
	for _, generations := range []Generations{Sandboxes, Capsules} {
		t.Run(fmt.Sprint(generations), func(t *testing.T) {
			s := start(t, Config{Generations: generations, DeliveryLimit: 200 * time.Millisecond})
			c := s.user(t)
			elsewhere := receive(t, nil)
			answers := map[string]*receiver{
				"refuses": receive(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
				"redirects": receive(t, func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
				}),
				"slow": receive(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
			}
			urls := map[string]string{"nobody listens": "http://" + freePort(t) + "/?token=hunter2", "no TLS": strings.Replace(elsewhere.URL, "http:", "https:", 1)}
			for name, r := range answers {
				urls[name] = r.URL + "/?token=hunter2"
			}
			for name, url := range urls {
				a := c.want(http.StatusInternalServerError, "internal_error", http.MethodPost, "/v1/channels/test", testBody(url))
				if generic := strings.Contains(string(a.body), "an internal error occurred"); generic != (generations == Capsules) || strings.Contains(string(a.body), "hunter2") {
					t.Errorf("%s: %s", name, a.body)
				}
			}
			for name, r := range answers {
				if d := r.next(t); !strings.HasPrefix(d.path, "POST /?token") {
					t.Errorf("%s: %s", name, d.path)
				}
			}
			if len(elsewhere.got) != 0 {
				t.Error("a redirect was followed")
			}
		})
	}
}

// freePort is an address of this machine that nobody listens on.
func freePort(t *testing.T) string {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestAFailedDeliveryIsTriedAgain(t *testing.T) {
	s := start(t, Config{DeliveryRetries: soon})
	var asked atomic.Int32
	r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	ch := s.user(t).webhook("x", r.URL, "capsule.created")
	id := s.client(t, pathS).create()
	deliveries := map[string]bool{}
	for range 3 {
		d := r.next(t)
		deliveries[d.header.Get("X-Wrenn-Delivery")] = true
		if d.event(t).Resource.ID != id || d.header.Get("X-Wrenn-Signature") != signed(d, ch.Secret) {
			t.Errorf("%s %v", d.body, d.header)
		}
	}
	if len(deliveries) != 3 {
		t.Errorf("deliveries %v are not told apart", deliveries)
	}
	s.retried(t)
	if n := asked.Load(); n != 3 {
		t.Errorf("%d attempts after one that succeeded", n)
	}
}

// retried waits until no delivery is to be tried again.
func (s *Server) retried(t *testing.T) {
	t.Helper()
	s.settled(t)
	wait(t, "nothing is tried again", func() bool {
		s.outbox.mu.Lock()
		defer s.outbox.mu.Unlock()
		return s.outbox.retries == 0
	})
}

func TestADeliveryThatFailsForGoodIsGivenUp(t *testing.T) {
	s := start(t, Config{DeliveryRetries: soon})
	r := receive(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	s.user(t).webhook("x", r.URL, "capsule.created")
	s.client(t, pathS).create()
	r.events(t, 3)
	s.retried(t)
	if len(r.got) != 0 {
		t.Error("there was a fourth attempt")
	}
}

func TestADeletedChannelIsNotTriedAgain(t *testing.T) {
	s := start(t, Config{DeliveryRetries: []time.Duration{100 * time.Millisecond}})
	failing := make(chan struct{})
	r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		<-failing
		w.WriteHeader(http.StatusInternalServerError)
	})
	ch := s.user(t).webhook("x", r.URL, "capsule.created")
	s.client(t, pathS).create()
	r.next(t)
	s.user(t).want(http.StatusNoContent, "", http.MethodDelete, "/v1/channels/"+ch.ID, nil)
	close(failing)
	s.retried(t)
	if len(r.got) != 0 {
		t.Error("a deleted channel was tried again")
	}
}

func TestASlowReceiverHoldsUpNothing(t *testing.T) {
	s := start(t, Config{DeliveryRetries: never})
	slow := receive(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	quick := receive(t, nil)
	c := s.user(t)
	c.webhook("slow", slow.URL)
	c.webhook("quick", quick.URL)
	id := c.create()
	c.want(http.StatusNoContent, "", http.MethodDelete, pathS+"/"+id, nil)
	if diff := cmp.Diff([]string{"capsule.created", "capsule.destroyed"}, quick.events(t, 2)); diff != "" {
		t.Error(diff)
	}
	if got := slow.events(t, 1); got[0] != "capsule.created" {
		t.Errorf("the slow one got %v", got)
	}
}

func TestADeliveryIsBoundedInTime(t *testing.T) {
	s := start(t, Config{DeliveryLimit: 500 * time.Millisecond, DeliveryRetries: never})
	slow := receive(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := s.user(t)
	c.webhook("slow", slow.URL)
	id := c.create()
	c.want(http.StatusNoContent, "", http.MethodDelete, pathS+"/"+id, nil)
	if diff := cmp.Diff([]string{"capsule.created", "capsule.destroyed"}, slow.events(t, 2)); diff != "" {
		t.Error(diff)
	}
}

func TestCloseEndsDeliveries(t *testing.T) {
	s := start(t, Config{DeliveryRetries: never})
	ended := make(chan struct{}, 1)
	hangs := receive(t, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		ended <- struct{}{}
	})
	refuses := receive(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	c := s.user(t)
	c.webhook("hangs", hangs.URL)
	c.webhook("refuses", refuses.URL)
	for range 3 {
		c.create()
	}
	hangs.next(t)
	refuses.events(t, 3)
	begun := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > s.cfg.DeliveryLimit {
		t.Errorf("Close took %v", took)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("a delivery goes on after Close")
	}
	if len(hangs.got) != 0 {
		t.Errorf("%d deliveries began after Close", len(hangs.got))
	}
}

func TestChannelsSurviveARestart(t *testing.T) {
	cfg := Config{DataDir: filepath.Join(t.TempDir(), "data")}
	r := receive(t, nil)
	first := start(t, cfg)
	ch := first.user(t).webhook("kept", r.URL, "capsule.created", "host.up")
	gone := first.user(t).webhook("gone", r.URL)
	first.user(t).want(http.StatusNoContent, "", http.MethodDelete, "/v1/channels/"+gone.ID, nil)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := start(t, cfg)
	up := r.next(t).event(t)
	if up.Event != "host.up" || up.Actor.Type != "system" || up.Resource != (eventResource{second.local.id, "host"}) {
		t.Errorf("after a restart: %+v", up)
	}
	var got []channelAnswer
	second.user(t).want(http.StatusOK, "", http.MethodGet, "/v1/channels", nil).json(t, &got)
	want := ch
	want.Secret = ""
	if diff := cmp.Diff([]channelAnswer{want}, got); diff != "" {
		t.Error(diff)
	}
	second.client(t, pathS).create()
	if d := r.next(t); d.event(t).Event != "capsule.created" || d.header.Get("X-Wrenn-Signature") != signed(d, ch.Secret) {
		t.Errorf("%s %v", d.body, d.header)
	}
}

func TestTheOutboxIsBounded(t *testing.T) {
	o := outbox{lanes: map[string][]channelEvent{}}
	if started, ok := o.push("a", channelEvent{Event: "0"}); !started || !ok {
		t.Fatal("a new lane is not for anybody to work on")
	}
	for i := 1; i < laneLimit; i++ {
		if started, ok := o.push("a", channelEvent{Event: fmt.Sprint(i)}); started || !ok {
			t.Fatalf("event %d: started %v, ok %v", i, started, ok)
		}
	}
	if _, ok := o.push("a", channelEvent{}); ok {
		t.Error("a full lane takes more")
	}
	if started, ok := o.push("b", channelEvent{}); !started || !ok {
		t.Error("a full lane is in the way of another")
	}
	for i := range laneLimit {
		if e, ok := o.next("a"); !ok || e.Event != fmt.Sprint(i) {
			t.Fatalf("event %d is %v, %v", i, e, ok)
		}
	}
	// The last one is still under way: what comes now is for the one who works on it.
	if started, ok := o.push("a", channelEvent{}); started || !ok {
		t.Error("two work on one lane")
	}
	o.next("a")
	if _, ok := o.next("a"); ok {
		t.Error("an empty lane has events")
	}
	if started, _ := o.push("a", channelEvent{}); !started {
		t.Error("nobody works on a lane that ended")
	}
	for range retryLimit {
		if !o.retry() {
			t.Fatal("a retry is refused too early")
		}
	}
	if o.retry() {
		t.Error("retries are not bounded")
	}
	if o.leave(); !o.retry() {
		t.Error("a place is not given back")
	}
}
