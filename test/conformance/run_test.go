package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// TestPerform runs checks that need no server.
func TestPerform(t *testing.T) {
	t.Parallel()
	refusal := &wrenn.Error{Op: "x", StatusCode: 404, Code: wrenn.CodeNotFound}
	for name, tc := range map[string]struct {
		check   check
		options options
		want    result
	}{
		"passes":           {check: check{run: func(*probe) {}}, want: result{outcome: passed}},
		"passes with note": {check: check{run: func(p *probe) { p.note("%d", 7) }}, want: result{outcome: passed, note: "7"}},
		"fails":            {check: check{run: func(p *probe) { p.fail("why") }}, want: result{outcome: failed, note: "why"}},
		"skips":            {check: check{run: func(p *probe) { p.skip("why") }}, want: result{outcome: skipped, note: "why"}},
		"fails by an error": {
			check: check{run: func(p *probe) { p.ok(nil); p.ok(errors.New("why")) }}, want: result{outcome: failed, note: "why"},
		},
		"fails by what does not hold": {
			check: check{run: func(p *probe) { p.want(true, "not"); p.want(false, "why") }}, want: result{outcome: failed, note: "why"},
		},
		"panics": {check: check{run: func(*probe) { panic("why") }}, want: result{outcome: failed, note: "panic: why"}},
		"refused as it ought to be": {
			check: check{run: func(p *probe) { p.refused(refusal, "a get", wrenn.CodeConflict, wrenn.CodeNotFound) }}, want: result{outcome: passed},
		},
		"refused for another reason": {
			check: check{run: func(p *probe) { p.refused(refusal, "a get", wrenn.CodeConflict) }},
			want:  result{outcome: failed, note: "a get: wrenn x: HTTP 404 not_found, and ought to be refused with [conflict]"},
		},
		"not refused": {
			check: check{run: func(p *probe) { p.refused(nil, "a get", wrenn.CodeConflict) }},
			want:  result{outcome: failed, note: "a get succeeds, and ought to be refused with [conflict]"},
		},
		"takes too long": {
			check: check{limit: time.Millisecond, run: func(p *probe) { <-p.ctx.Done(); p.ok(p.ctx.Err()) }},
			want:  result{outcome: failed, note: "did not end within 1ms: context deadline exceeded"},
		},
		"waits too long": {
			check: check{run: func(p *probe) { p.eventually(time.Millisecond, "it", func() bool { return false }) }},
			want:  result{outcome: failed, note: "still not after 1ms: it"},
		},
		"slow": {
			check: check{slow: "takes a day", run: func(*probe) {}}, want: result{outcome: skipped, note: "takes a day: set WRENN_SLOW=1"},
		},
		"slow as wanted": {check: check{slow: "takes a day", run: func(*probe) {}}, options: options{slow: true}, want: result{outcome: passed}},
		"without a token": {
			check: check{token: true, run: func(*probe) {}}, want: result{outcome: skipped, note: "takes the token of a user: set WRENN_TOKEN"},
		},
		"clearing up fails": {
			check: check{run: func(p *probe) { p.later(func(context.Context) error { return errors.New("why") }) }},
			want:  result{outcome: failed, note: "clearing up: why"},
		},
		"both fail": {
			check: check{run: func(p *probe) { p.later(func(context.Context) error { return errors.New("why") }); p.fail("first") }},
			want:  result{outcome: failed, note: "first; clearing up: why"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &suite{options: tc.options, generation: wrenn.GenerationSandboxes}
			if diff := cmp.Diff(tc.want, s.perform(t.Context(), tc.check), cmp.AllowUnexported(result{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestClearing: what was made last goes first, all of it goes, and an interruption does not keep it from going.
func TestClearing(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	var gone []string
	undo := func(what string, err error) func(context.Context) error {
		return func(ctx context.Context) error {
			gone = append(gone, fmt.Sprint(what, ctx.Err()))
			return err
		}
	}
	s := &suite{}
	got := s.perform(ctx, check{run: func(p *probe) {
		p.later(undo("first ", nil))
		p.later(undo("second ", errors.New("why")))
		p.later(undo("third ", nil))
		interrupt()
		p.ok(p.ctx.Err())
	}})
	if want := (result{outcome: failed, note: "interrupted; clearing up: why"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if diff := cmp.Diff([]string{"third <nil>", "second <nil>", "first <nil>"}, gone); diff != "" {
		t.Error(diff)
	}
	if got := s.perform(ctx, check{run: func(*probe) { t.Error("it runs") }}); got != (result{outcome: skipped, note: "interrupted"}) {
		t.Errorf("the next one: %+v", got)
	}
}

// TestNames: an operation is called as the contract calls it in the server's generation, and no two lines are the same.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, generation := range []wrenn.Generation{wrenn.GenerationSandboxes, wrenn.GenerationCapsules} {
		seen := map[string]bool{}
		for _, c := range checks() {
			if c.only != "" && c.only != generation {
				continue
			}
			name := c.named(generation)
			if name == "" || seen[name] || strings.ContainsAny(name, " \t") {
				t.Errorf("%s: the name %q", generation, name)
			}
			seen[name] = true
		}
	}
	if got := (check{name: "listSandboxes"}).named(wrenn.GenerationCapsules); got != "listCapsules" {
		t.Errorf("listSandboxes is %s", got)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	const key = "wrn_00000000000000000000000000000000"
	for name, tc := range map[string]struct {
		env  map[string]string
		want string
	}{
		"nothing":     {nil, "not both set"},
		"no key":      {map[string]string{"WRENN_BASE_URL": "http://127.0.0.1:1"}, "not both set"},
		"a bad key":   {map[string]string{"WRENN_BASE_URL": "http://127.0.0.1:1", "WRENN_API_KEY": "secret"}, "not an API key"},
		"a bad token": {map[string]string{"WRENN_BASE_URL": "http://127.0.0.1:1", "WRENN_API_KEY": key, "WRENN_TOKEN": "secret"}, "not a JWT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			_, err := run(t.Context(), func(name string) string { return tc.env[name] }, &out, &errs)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// TestNoServer: the report has its form also when there is nothing to report on.
func TestNoServer(t *testing.T) {
	t.Parallel()
	env := map[string]string{"WRENN_BASE_URL": "http://127.0.0.1:1", "WRENN_API_KEY": "wrn_00000000000000000000000000000000"}
	var out, errs bytes.Buffer
	total, err := run(t.Context(), func(name string) string { return env[name] }, &out, &errs)
	want := "fail  server  wrenn generation: connection refused\n0 passed, 1 failed, 0 skipped\n"
	if err != nil || total.failed != 1 || out.String() != want {
		t.Errorf("the report is %q, want %q; error %v", out.String(), want, err)
	}
}
