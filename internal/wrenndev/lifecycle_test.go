package wrenndev

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMemoryThatNoHostHas is refused on C paths, without a row.
func TestMemoryThatNoHostHas(t *testing.T) {
	s := start(t, Config{})
	const body = `{"memory_mb":2147483647}`
	s.client(t, pathS).create(body)
	c := s.client(t, pathC)
	c.want(http.StatusServiceUnavailable, "no_hosts_available", http.MethodPost, pathC, body)
	if rows := c.list(); len(rows) != 1 {
		t.Errorf("rows: %+v", rows)
	}
}

func TestCreateAnswersWithTheRunningSandbox(t *testing.T) {
	s := start(t, Config{})
	for _, tt := range []struct {
		name, body string
		want       sandboxAnswer
	}{
		{"defaults", `{}`, sandboxAnswer{Template: "minimal", VCPUs: 1, MemoryMB: 512}},
		{"null is an empty object", `null`, sandboxAnswer{Template: "minimal", VCPUs: 1, MemoryMB: 512}},
		{"unknown fields and what follows are ignored", `{"metadata":{"a":"b"}} garbage`, sandboxAnswer{Template: "minimal", VCPUs: 1, MemoryMB: 512}},
		{"given", `{"template":"minimal","vcpus":3,"memory_mb":700,"timeout_sec":90}`, sandboxAnswer{Template: "minimal", VCPUs: 3, MemoryMB: 700, TimeoutSec: 90}},
		{"sizes below one", `{"vcpus":0,"memory_mb":-4}`, sandboxAnswer{Template: "minimal", VCPUs: 1, MemoryMB: 512}},
		{"no upper bound", `{"vcpus":100000,"memory_mb":1048576}`, sandboxAnswer{Template: "minimal", VCPUs: 100000, MemoryMB: 1 << 20}},
		{"negative timeout is echoed", `{"timeout_sec":-1987654321}`, sandboxAnswer{Template: "minimal", VCPUs: 1, MemoryMB: 512, TimeoutSec: -1987654321}},
	} {
		for _, f := range families {
			t.Run(tt.name+" "+f.name, func(t *testing.T) {
				c := s.client(t, f.base)
				var got, again sandboxAnswer
				c.want(http.StatusCreated, "", http.MethodPost, f.base, tt.body).json(t, &got)
				if !validID(got.ID) {
					t.Errorf("id %q", got.ID)
				}
				for _, stamp := range []string{got.CreatedAt, got.StartedAt, got.LastActive, got.LastUpdated} {
					at, err := time.Parse(time.RFC3339, stamp)
					if err != nil || at.Nanosecond() != 0 || !strings.HasSuffix(stamp, "Z") {
						t.Errorf("time %q is not RFC 3339 UTC with whole seconds", stamp)
					}
				}
				c.want(http.StatusOK, "", http.MethodGet, f.base+"/"+got.ID, nil).json(t, &again)
				if diff := cmp.Diff(got, again); diff != "" {
					t.Errorf("GET differs from create: %s", diff)
				}
				if hasMetadata := got.Metadata != nil; hasMetadata != (f.base == pathC) {
					t.Errorf("metadata: %v", got.Metadata)
				}
				want := tt.want
				want.ID, want.Status, want.HostIP, want.Metadata = got.ID, StatusRunning, got.HostIP, got.Metadata
				want.CreatedAt, want.StartedAt, want.LastActive, want.LastUpdated = got.CreatedAt, got.StartedAt, got.LastActive, got.LastUpdated
				if diff := cmp.Diff(want, got); diff != "" || got.HostIP == "" {
					t.Error(diff)
				}
				c.want(http.StatusNoContent, "", http.MethodDelete, f.base+"/"+got.ID, nil)
			})
		}
	}
}

func TestCreateIsNotIdempotent(t *testing.T) {
	c := start(t, Config{}).client(t, pathS)
	if a, b := c.create(), c.create(); a == b {
		t.Errorf("two creates made one sandbox %s", a)
	}
}

func TestRefusedCreateLeavesNoRow(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathS)
	for body, want := range map[string]struct {
		status int
		code   string
	}{
		"":                         {400, "invalid_request"},
		"[]":                       {400, "invalid_request"},
		`{"vcpus":1.5}`:            {400, "invalid_request"},
		`{"vcpus":"1"}`:            {400, "invalid_request"},
		`{"memory_mb":2147483648}`: {400, "invalid_request"},
		`{"template":"-x"}`:        {400, "invalid_request"},
		`{"template":"a b"}`:       {400, "invalid_request"},
		`{"template":"` + strings.Repeat("a", 65) + `"}`: {400, "invalid_request"},
		`{"template":"` + strings.Repeat("a", 64) + `"}`: {404, "not_found"},
		`{"template":"nosuch"}`:                          {404, "not_found"},
	} {
		c.want(want.status, want.code, http.MethodPost, pathS, body)
	}
	if got := s.Sandboxes(); len(got) != 0 {
		t.Errorf("rows: %v", got)
	}
}

func TestListShowsAllButStoppedAndErrorNewestFirst(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			s := start(t, Config{Reconcile: time.Hour})
			c := s.client(t, f.base)
			if a := c.do(http.MethodGet, f.base+"/", nil); strings.TrimSpace(string(a.body)) != "[]" {
				t.Errorf("empty list is %q", a.body)
			}
			var want []string
			for _, status := range []string{StatusRunning, StatusPaused, StatusPending, StatusMissing, StatusStopped, StatusError} {
				id := c.create()
				if err := s.SetStatus(id, status); err != nil {
					t.Fatal(err)
				}
				if status != StatusStopped && status != StatusError {
					want = append([]string{id}, want...)
				}
				if got := c.status(id); got != status {
					t.Errorf("GET answers %s, want %s", got, status)
				}
			}
			var got []string
			for _, row := range c.list() {
				got = append(got, row.ID)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDestroyFromEveryStatusAndAgain(t *testing.T) {
	s := start(t, Config{Reconcile: time.Hour})
	c := s.client(t, pathS)
	for _, status := range []string{StatusRunning, StatusPaused, StatusPending, StatusMissing, StatusStopped, StatusError} {
		t.Run(status, func(t *testing.T) {
			id := c.create()
			c.sh(id, counter)
			if err := s.SetStatus(id, status); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				c.want(http.StatusNoContent, "", http.MethodDelete, pathS+"/"+id, nil)
				if got := c.status(id); got != StatusStopped {
					t.Errorf("GET answers %s", got)
				}
			}
			if info, _ := s.Sandbox(id); info.Machine || info.Files || info.Processes != 0 {
				t.Errorf("something is left: %+v", info)
			}
			if n := s.LiveProcesses(); n != 0 {
				t.Errorf("%d processes are left", n)
			}
		})
	}
}

func TestStateConflicts(t *testing.T) {
	s := start(t, Config{Reconcile: time.Hour})
	for _, f := range families {
		c := s.client(t, f.base)
		id := c.create()
		for _, tt := range []struct {
			status, op string
			want       int
		}{
			{StatusRunning, "resume", 409},
			{StatusPaused, "pause", 409},
			{StatusPaused, "ping", 409},
			{StatusPaused, "exec", 409},
			{StatusPaused, "files/read", 409},
			{StatusPaused, "files/write", 409},
			{StatusPaused, "files/stream/read", 409},
			{StatusPaused, "files/stream/write", 409},
			{StatusStopped, "pause", 409},
			{StatusStopped, "resume", 409},
			{StatusError, "resume", 409},
			{StatusPending, "pause", 409},
			{StatusMissing, "ping", 409},
		} {
			t.Run(f.name+" "+tt.status+" "+tt.op, func(t *testing.T) {
				if err := s.SetStatus(id, tt.status); err != nil {
					t.Fatal(err)
				}
				c := s.client(t, f.base)
				// The state is looked at before the body, which is none here.
				c.want(tt.want, "invalid_state", http.MethodPost, f.base+"/"+id+"/"+tt.op, nil)
			})
		}
	}
}

func TestAbandonedCreateStaysPending(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathS)
	defer s.Faults().Add(Fault{Kind: FaultAgentDelay, Op: OpCreate, Latency: Millis(time.Hour)})()
	ctx, giveUp := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := c.try(ctx, http.MethodPost, pathS, "{}")
		done <- err
	}()
	wait(t, "the row is there", func() bool { return len(s.Sandboxes()) == 1 })
	giveUp()
	if err := <-done; err == nil {
		t.Fatal("the create was answered")
	}
	wait(t, "the request is over", func() bool { return s.Requests()[0].Done })
	s.reconcile()
	rows := c.list()
	if len(rows) != 1 || rows[0].Status != StatusPending || rows[0].StartedAt != "" || rows[0].HostIP != "" {
		t.Fatalf("list: %+v", rows)
	}
	if got := s.Requests()[0]; got.Lost != "client gone" || got.Sandbox != rows[0].ID {
		t.Errorf("log: %+v", got)
	}
	c.want(http.StatusNoContent, "", http.MethodDelete, pathS+"/"+rows[0].ID, nil)
	if got := c.status(rows[0].ID); got != StatusStopped {
		t.Errorf("status %s", got)
	}
}

func TestAbandonedPauseSaysPausedWhileTheSandboxRuns(t *testing.T) {
	s := start(t, Config{Reconcile: time.Hour})
	c := s.client(t, pathS)
	id := c.create()
	c.sh(id, counter)
	remove := s.Faults().Add(Fault{Kind: FaultAgentDelay, Op: OpPause, Latency: Millis(time.Hour)})
	ctx, giveUp := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := c.try(ctx, http.MethodPost, pathS+"/"+id+"/pause", nil)
		done <- err
	}()
	wait(t, "the row says paused", func() bool { return c.status(id) == StatusPaused })
	giveUp()
	if err := <-done; err == nil {
		t.Fatal("the pause was answered")
	}
	remove()
	before := s.counted(id)
	wait(t, "the processes go on", func() bool { return s.counted(id) > before })
	c.want(http.StatusBadGateway, "agent_error", http.MethodPost, pathS+"/"+id+"/resume", nil)
	if got := c.status(id); got != StatusPaused {
		t.Errorf("status %s", got)
	}
}

func TestResumeChangesHostAndStartButNotCreation(t *testing.T) {
	c := start(t, Config{}).client(t, pathC)
	id := c.create()
	var before, after sandboxAnswer
	c.want(http.StatusOK, "", http.MethodPost, pathC+"/"+id+"/pause", nil).json(t, &before)
	c.want(http.StatusOK, "", http.MethodPost, pathC+"/"+id+"/resume", nil).json(t, &after)
	if before.Status != StatusPaused || after.Status != StatusRunning || before.HostIP == after.HostIP || before.CreatedAt != after.CreatedAt {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestTemporaryDataDirGoesWithTheServer(t *testing.T) {
	s := start(t, Config{})
	s.client(t, pathS).create()
	if info, err := os.Stat(s.DataDir()); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("%v, %v", info, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.DataDir()); !os.IsNotExist(err) {
		t.Errorf("data directory: %v", err)
	}
}
