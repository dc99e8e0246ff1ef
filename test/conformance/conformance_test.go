package main

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/contract"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// generations of the embedded Wrenn, by the contract's names.
var generations = map[string]wrenndev.Generations{contract.Sandboxes: wrenndev.Sandboxes, contract.Capsules: wrenndev.Capsules}

// unchecked are the only checks that the embedded Wrenn is not put to, and why.
var unchecked = map[string]string{
	"stream-10-minute-limit":   "takes ten minutes",
	"exec-45-second-limit":     "takes a minute",
	"exec-beyond-45-seconds":   "takes a minute",
	"pty-idle-reconnect-hangs": "takes a minute",
	"upload-limit":             "sends more than 100 MiB",
}

// embedded is an embedded Wrenn and a way to it that validates every exchange.
type embedded struct {
	*wrenndev.Server

	transport *contract.Transport
	// lacks is why checks whose names begin so are skipped on this machine.
	lacks map[string]string
}

// jupyter is where Debian has the server of code interpreters.
const jupyter = "/usr/bin/jupyter-server"

// equip gives the server what the checks of ports and cells need, where this machine has it.
func (e *embedded) equip(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		e.lacks["port-"] = "the guest has no python3"
	}
	if _, err := os.Stat(jupyter); err != nil || e.Isolation() != wrenndev.Namespaces {
		e.lacks["run-code"] = "the server has no template code-runner-beta"
		return
	}
	if err := e.BuildCodeRunner(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// allowed tells whether a check may be skipped for a reason.
func (e *embedded) allowed(name, reason string) bool {
	if why, ok := unchecked[name]; ok {
		return strings.HasPrefix(reason, why)
	}
	for prefix, why := range e.lacks {
		if strings.HasPrefix(name, prefix) {
			return strings.HasPrefix(reason, why)
		}
	}
	return false
}

func start(t *testing.T, generation wrenndev.Generations) *embedded {
	t.Helper()
	terms, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	server, err := wrenndev.Start(t.Context(), wrenndev.Config{Generations: generation})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	base := newTransport()
	t.Cleanup(base.CloseIdleConnections)
	var mu sync.Mutex
	seen := map[string]bool{}
	return &embedded{server, terms.NewTransport(base, "", func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if text := err.Error(); !seen[text] {
			seen[text] = true
			t.Errorf("beyond the contract: %s", text)
		}
	}), map[string]string{}}
}

func (e *embedded) options() options {
	return options{
		baseURL: e.URL(), key: e.APIKey(), token: e.Token(), email: e.User().Email, password: e.User().Password,
		disposable: true, mail: e.mail, agree: e.agree, strict: e.transport, loose: e.transport.AnswersOnly(),
	}
}

// mail is the token of the latest mail to an address.
func (e *embedded) mail(address string) string {
	for _, mail := range slices.Backward(e.Mails()) {
		if mail.To == address {
			return mail.Token
		}
	}
	return ""
}

// agree goes where a browser would be sent.
func (e *embedded) agree(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer http.DefaultClient.CloseIdleConnections()
	return resp.Body.Close()
}

// left fails the test when anything of a run is still there.
func (e *embedded) left(t *testing.T) {
	t.Helper()
	for _, sandbox := range e.Sandboxes() {
		if sandbox.Machine || sandbox.Files || sandbox.Processes > 0 || sandbox.Status != wrenndev.StatusStopped && sandbox.Status != wrenndev.StatusError {
			t.Errorf("left: %+v", sandbox)
		}
	}
	if n := e.LiveProcesses(); n != 0 {
		t.Errorf("%d processes are left", n)
	}
}

// TestConformance runs the suite against the embedded Wrenn, and fails when it or the client leaves the contract, or when
// an operation of the contract was not carried through.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, generation := range generations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := start(t, generation)
			e.equip(t)
			s, err := newSuite(t.Context(), e.options())
			if err != nil {
				t.Fatal(err)
			}
			var report bytes.Buffer
			total := s.run(t.Context(), checks(), &report)
			t.Log("\n" + report.String())
			if total.failed != 0 {
				t.Errorf("%d checks fail", total.failed)
			}
			for line := range strings.Lines(report.String()) {
				words := strings.SplitN(strings.TrimSpace(line), "  ", 3)
				if words[0] != string(skipped) {
					continue
				}
				if len(words) < 3 || !e.allowed(words[1], words[2]) {
					t.Errorf("skipped, and ought not to be: %s", line)
				}
			}
			e.left(t)
			e.complete(t, name)
		})
	}
}

// complete fails the test when an operation was never carried through.
func (e *embedded) complete(t *testing.T, generation string) {
	t.Helper()
	terms, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	seen := e.transport.Seen()
	for _, op := range terms.Operations() {
		statuses := slices.Collect(maps.Keys(seen[op.ID]))
		succeeds := func(status int) bool { return status < http.StatusBadRequest }
		if slices.Contains(op.Generations, generation) && !slices.ContainsFunc(statuses, succeeds) {
			t.Errorf("%s was answered with %v only", op.ID, statuses)
		}
	}
}

// TestInterrupted ends a run in the middle of its checks.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	e := start(t, wrenndev.Sandboxes)
	s, err := newSuite(t.Context(), e.options())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all []check
	for _, c := range checks() {
		if slices.Contains([]string{"listSandboxes", "exec-waits-for-its-output", "snapshot-pauses-its-source"}, c.name) {
			all = append(all, c)
		}
	}
	all = append(all, check{name: "interrupter", run: func(p *probe) {
		p.sandbox()
		cancel()
		_, err := p.c.Sandboxes.List(p.ctx)
		p.ok(err)
	}})
	// Whether it is under way at that moment or still to come makes no difference.
	all = append(all, check{name: "later", run: func(p *probe) {
		<-p.ctx.Done()
		p.ok(p.ctx.Err())
	}})
	var report bytes.Buffer
	total := s.run(ctx, all, &report)
	if want := "skip  interrupter  interrupted\nskip  later  interrupted\npass  nothing-is-left\n"; !strings.Contains(report.String(), want) {
		t.Errorf("the report is\n%s\nand has not\n%s", report.String(), want)
	}
	if diff := cmp.Diff(0, total.failed); diff != "" {
		t.Errorf("checks fail:\n%s", report.String())
	}
	e.left(t)
}
