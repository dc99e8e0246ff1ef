package wrenndev

import (
	"net/http"
	"sync"
	"testing"
)

// TestManySandboxesAtOnce is the race detector's test.
func TestManySandboxesAtOnce(t *testing.T) {
	const sandboxes, workers = 100, 8
	s := start(t, Config{})
	work := make(chan struct{}, sandboxes)
	for range sandboxes {
		work <- struct{}{}
	}
	close(work)
	var wg sync.WaitGroup
	for range workers {
		c := s.client(t, pathS)
		wg.Go(func() {
			for range work {
				id, one := "", ""
				steps := []func() (answer, error){
					func() (answer, error) { return c.try(t.Context(), http.MethodPost, pathS, "{}") },
					func() (answer, error) {
						return c.try(t.Context(), http.MethodPost, one+"/exec", `{"cmd":"sh","args":["-c","echo $WRENN_SANDBOX_ID"]}`)
					},
					func() (answer, error) { return c.try(t.Context(), http.MethodPost, one+"/pause", nil) },
					func() (answer, error) { return c.try(t.Context(), http.MethodGet, pathS, nil) },
					func() (answer, error) { return c.try(t.Context(), http.MethodPost, one+"/resume", nil) },
					func() (answer, error) { return c.try(t.Context(), http.MethodDelete, one, nil) },
				}
				for i, step := range steps {
					a, err := step()
					if err != nil || a.status/100 != 2 {
						t.Errorf("step %d: %d %s %v", i, a.status, a.body, err)
						break
					}
					switch i {
					case 0:
						var row sandboxAnswer
						a.json(t, &row)
						id, one = row.ID, pathS+"/"+row.ID
					case 1:
						var run execAnswer
						if a.json(t, &run); run.Stdout != id+"\n" {
							t.Errorf("exec in %s said %q", id, run.Stdout)
						}
					}
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, info := range s.Sandboxes() {
		if info.Status != StatusStopped || info.Machine || info.Files || seen[info.ID] {
			t.Errorf("%+v", info)
		}
		seen[info.ID] = true
	}
	if n := s.LiveProcesses(); len(seen) != sandboxes || n != 0 {
		t.Errorf("%d sandboxes, %d processes left", len(seen), n)
	}
}

// TestManyStreamsOfOneSandbox checks that one chatty stream without a reader does
// not hold up the others.
func TestManyStreamsOfOneSandbox(t *testing.T) {
	c := start(t, Config{}).client(t, pathS)
	id := c.create()
	c.stream(id, "yes") // nobody reads it
	for range 20 {
		if got := read(t, c.stream(id, "head -c 100000 /dev/zero")); len(got.stdout) != 100000 || got.exit == nil {
			t.Errorf("%d bytes, end %v", len(got.stdout), got.end)
		}
	}
}
