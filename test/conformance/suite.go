package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// suite is a server and what is known of it.
type suite struct {
	options
	base       *url.URL
	generation wrenn.Generation
	// c has the API key, user the token, or is nil.
	c, user *wrenn.Client
	// other is another user, for checks that say that they need one.
	other func() (*person, error)
	// prefix begins every name that this run gives.
	prefix  string
	isAdmin func() bool

	// before are the sandboxes that were there when the run began: whatever happens, they are not touched.
	before map[string]bool
	mu     sync.Mutex
	// marks are the idle timeouts that sandboxes were created with. The service echoes every number, and a negative one
	// means never: so even a sandbox whose create was never answered is known again.
	marks map[int32]bool
	names int
}

// newSuite asks the server which generation it speaks, and whether the key opens it.
func newSuite(ctx context.Context, o options) (*suite, error) {
	base, err := url.Parse(o.baseURL)
	if err != nil {
		return nil, err
	}
	s := &suite{options: o, base: base, prefix: "conformance-" + randomHex(4), before: map[string]bool{}, marks: map[int32]bool{}}
	key, err := wrenn.APIKey(o.key)
	if err != nil {
		return nil, err
	}
	if s.c, err = s.client(key); err != nil {
		return nil, err
	}
	if s.generation, err = s.c.Generation(ctx); err != nil {
		return nil, err
	}
	if s.token == "" && s.email != "" && s.password != "" {
		session, err := s.c.Auth.Login(ctx, s.email, s.password)
		if err != nil {
			return nil, err
		}
		s.token = session.Token.Reveal()
	}
	if s.user, err = s.withToken(s.token); err != nil {
		return nil, err
	}
	listed, err := s.c.Sandboxes.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, sandbox := range listed {
		s.before[sandbox.ID] = true
	}
	// These are found out when they are first asked for, be it after an interruption.
	lasting := context.WithoutCancel(ctx)
	s.other = s.otherUser(lasting)
	s.isAdmin = sync.OnceValue(func() bool {
		_, err := s.user.Admin.ListTemplates(lasting)
		return !wrenn.IsForbidden(err)
	})
	return s, nil
}

// client is one with a credential, whose exchanges are validated.
func (s *suite) client(credential wrenn.Credential) (*wrenn.Client, error) {
	opts := []wrenn.Option{wrenn.WithHTTPClient(httpClient(s.strict)), wrenn.WithUserAgent("wrenn-conformance")}
	if s.generation != "" {
		opts = append(opts, wrenn.WithGeneration(s.generation))
	}
	if s.proxyDomain != "" {
		opts = append(opts, wrenn.WithProxyDomain(s.proxyDomain))
	}
	return wrenn.New(s.baseURL, credential, opts...)
}

func (s *suite) withToken(token string) (*wrenn.Client, error) {
	if token == "" {
		return nil, nil
	}
	credential, err := wrenn.JWT(token)
	if err != nil {
		return nil, err
	}
	return s.client(credential)
}

// name is one that nothing else has, fit for whatever is named.
func (s *suite) name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names++
	return fmt.Sprintf("%s-%d", s.prefix, s.names)
}

// mark is an idle timeout that means never and that no other sandbox has.
func (s *suite) mark() int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		var b [4]byte
		_, _ = rand.Read(b[:]) // never fails
		mark := -1 - (int32(b[0])<<22 | int32(b[1])<<14 | int32(b[2])<<6 | int32(b[3]>>2))
		if !s.marks[mark] {
			s.marks[mark] = true
			return mark
		}
	}
}

// made tells whether a sandbox is of this run, by its mark.
func (s *suite) made(sandbox wrenn.Sandbox) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks[sandbox.TimeoutSec] && !s.before[sandbox.ID]
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// sandbox makes one that runs, for this check alone.
func (p *probe) sandbox() *wrenn.SandboxHandle {
	return p.c.Sandbox(p.create(p.c, wrenn.CreateSandboxRequest{}).ID)
}

// create makes a sandbox and has it destroyed when the check is over. By a race of the service a fresh one can turn
// stopped; then another one is made, once.
func (p *probe) create(c *wrenn.Client, req wrenn.CreateSandboxRequest) *wrenn.Sandbox {
	ctx, cancel := p.steady()
	defer cancel()
	if req.TimeoutSec == 0 {
		req.TimeoutSec = p.mark()
	}
	for attempt := 1; ; attempt++ {
		sandbox, err := c.Sandboxes.Create(ctx, req)
		p.ok(err)
		p.later(func(ctx context.Context) error { return c.Sandboxes.Destroy(ctx, sandbox.ID) })
		now, err := c.Sandboxes.Get(ctx, sandbox.ID)
		p.ok(err)
		if now.Status != wrenn.StatusStopped || attempt == 2 {
			return sandbox
		}
	}
}

// sh runs a script in a sandbox and returns what it printed. It fails the check unless the script exits with 0.
func (p *probe) sh(h *wrenn.SandboxHandle, script string) string {
	result := p.exec(h, "/bin/sh", "-c", script)
	p.want(result.ExitCode == 0, "the script %q exits with %d: %s", script, result.ExitCode, result.Stderr)
	return string(result.Stdout)
}

func (p *probe) exec(h *wrenn.SandboxHandle, cmd string, args ...string) *wrenn.ExecResult {
	result, err := h.Exec(p.ctx, wrenn.ExecRequest{Cmd: cmd, Args: args})
	p.ok(err)
	return result
}

// status is what the service says of a sandbox.
func (p *probe) status(h *wrenn.SandboxHandle) wrenn.Status {
	sandbox, err := h.Get(p.ctx)
	p.ok(err)
	return sandbox.Status
}

// is fails the check unless a sandbox has a status.
func (p *probe) is(h *wrenn.SandboxHandle, status wrenn.Status) {
	now := p.status(h)
	p.want(now == status, "the sandbox is %s, want %s", now, status)
}

// waitFor is how long the service may take for what it does in its own time, such as learning of an idle pause.
const waitFor = 2 * time.Minute
