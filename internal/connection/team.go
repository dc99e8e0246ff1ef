package connection

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// State is whether a Team can be used.
type State string

// The states of a Team.
const (
	// StateConnecting: no answer yet, since the operator or the connection is new.
	StateConnecting State = "Connecting"
	// StateConnected: the latest list was answered.
	StateConnected State = "Connected"
	// StateUnauthorized: the service refuses the credential.
	StateUnauthorized State = "Unauthorized"
	// StateMismatched: the endpoint does not serve the generation that the connection forces, or is no Wrenn.
	StateMismatched State = "Mismatched"
	// StateUnreachable: no answer, or none that the service would give.
	StateUnreachable State = "Unreachable"
	// StateForeign: the service accepts the credential, but not as one of the team that was looked for. See Recognize.
	StateForeign State = "Foreign"
)

// Health is the outcome of the poller's latest attempts.
type Health struct {
	State State
	// Err is why State is not StateConnected.
	Err error
	// Generation of the API, once it is known.
	Generation wrenn.Generation
}

// Settings are what a Team is made of.
type Settings struct {
	// Endpoint is the base URL of the API.
	Endpoint string
	// Credential of the team or of one of its users.
	Credential wrenn.Credential
	// Generation of the API; empty to find out.
	Generation wrenn.Generation
	// ProxyDomain is where ports are published; empty for the host of Endpoint.
	ProxyDomain string
	// RequestsPerSecond bounds the calls, in bursts of twice as many.
	RequestsPerSecond int32
	// ConcurrentCreates bounds the creates under way.
	ConcurrentCreates int32
	// ConcurrentStreams bounds the commands that are followed at a time.
	ConcurrentStreams int32
	// MaxSandboxes is how many sandboxes the team may have before no more are made; 0 for any number.
	MaxSandboxes int32
	// CABundle holds PEM certificates that are trusted in place of the system's; empty for those.
	CABundle []byte
}

// Fingerprint identifies endpoint and credential without revealing either.
func (s Settings) Fingerprint() string { return hash(s.Endpoint, s.Credential.Fingerprint()) }

// identity is the same for settings that one team serves.
func (s Settings) identity() string {
	return hash(s.Endpoint, s.Credential.Fingerprint(), string(s.Generation), s.ProxyDomain, string(s.CABundle))
}

// Team is one Wrenn team as it is reached through one credential. It is safe for concurrent use.
type Team struct {
	// Client makes the calls. They share the Team's rate limit.
	Client *wrenn.Client
	// Fingerprint identifies endpoint and credential without revealing either.
	Fingerprint string

	identity  string
	inventory *inventory
	limiter   *rate.Limiter
	poller    *poller

	creates places

	mu      sync.Mutex
	health  Health
	refused bool
	// most is how many sandboxes there may be, reserved how many of them are in the making.
	most, reserved int32
	streams        int32
}

func newTeam(s Settings, identity, fingerprint string, options ...wrenn.Option) (*Team, error) {
	limiter := rate.NewLimiter(rate.Limit(s.RequestsPerSecond), int(2*s.RequestsPerSecond))
	options = append(options, wrenn.WithGeneration(s.Generation), wrenn.WithProxyDomain(s.ProxyDomain), wrenn.WithRateLimit(limiter))
	if len(s.CABundle) > 0 {
		options = append(options, wrenn.WithCABundle(s.CABundle))
	}
	client, err := wrenn.New(s.Endpoint, s.Credential, options...)
	if err != nil {
		return nil, err
	}
	team := &Team{
		Client:      client,
		Fingerprint: fingerprint,
		identity:    identity,
		inventory:   newInventory(),
		limiter:     limiter,
		health:      Health{State: StateConnecting},
	}
	team.limit(s)
	return team, nil
}

// limit applies other limits than before. What is under way counts against them.
func (t *Team) limit(s Settings) {
	t.limiter.SetLimit(rate.Limit(s.RequestsPerSecond))
	t.limiter.SetBurst(int(2 * s.RequestsPerSecond))
	t.creates.resize(int(s.ConcurrentCreates))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.most = s.MaxSandboxes
	t.streams = s.ConcurrentStreams
}

// Health returns the outcome of the poller's latest attempts.
func (t *Team) Health() Health {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.health
}

// setHealth records the poller's outcome and reports whether it is news.
func (t *Team) setHealth(h Health) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	news := t.health.State != h.State || t.health.Generation != h.Generation || text(t.health.Err) != text(h.Err)
	t.health = h
	return news
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Lookup returns what is known of a sandbox, without asking the service.
func (t *Team) Lookup(id string) Sighting { return t.inventory.lookup(id) }

// Observe records how the answer to a call, received now, describes a sandbox. Lists that were asked for earlier do not
// overrule it.
func (t *Team) Observe(sandbox wrenn.Sandbox) { t.inventory.observe(sandbox, time.Now()) }

// Forget drops what is known of a sandbox that has ended and that no object has any more.
func (t *Team) Forget(id string) { t.inventory.forget(id) }

// Sandboxes returns the sandboxes of the team that were last seen alive, and when the latest complete list was asked
// for: zero before the first.
func (t *Team) Sandboxes() ([]wrenn.Sandbox, time.Time) { return t.inventory.all() }

// Hurry makes the poller look often for the next few seconds, because something is in transition. An endpoint that does
// not answer is left to its backoff.
func (t *Team) Hurry() {
	if t.poller != nil {
		t.poller.hurry()
	}
}

// Await makes the poller look often until a sandbox is in transition no more, though not for ever.
func (t *Team) Await(id string) {
	if t.poller != nil {
		t.poller.await(id)
	}
}

// TakesTokens tells whether the service may be sent negative idle timeouts, which it takes for "never". All that were
// seen do; one that does not is remembered.
func (t *Team) TakesTokens() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.refused
}

// RefuseTokens remembers whether the service refuses negative idle timeouts.
func (t *Team) RefuseTokens(refused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused = refused
}

// Reserve takes a place among the sandboxes that the team may have, and reports whether there was one. The returned
// function must be called when the sandbox has been observed, or will not be made.
func (t *Team) Reserve() (release func(), ok bool) {
	alive, _ := t.inventory.all()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.most > 0 && len(alive)+int(t.reserved) >= int(t.most) {
		return nil, false
	}
	t.reserved++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.reserved--
	}, true
}

// Streams is how many commands may be followed at a time.
func (t *Team) Streams() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int(t.streams)
}

// AcquireCreate waits until one more create may be under way. The returned function must be called when it is not any
// more.
func (t *Team) AcquireCreate(ctx context.Context) (release func(), err error) {
	return t.creates.acquire(ctx)
}
