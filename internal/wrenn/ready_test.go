package wrenn

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// inTurn answers one GET after the other, the last one for ever. A status of digits is an HTTP status.
func inTurn(t *testing.T, statuses ...string) (*Client, *atomic.Int32) {
	t.Helper()
	var n atomic.Int32
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("sent %s %s", r.Method, r.URL)
		}
		switch status := statuses[min(int(n.Add(1)), len(statuses))-1]; status {
		case "404":
			refuse(w, 404, CodeNotFound)
		case "500":
			refuse(w, 500, CodeDBError)
		default:
			answer(w, 200, strings.Replace(sandboxJSON, `"running"`, `"`+status+`"`, 1))
		}
	}), &n
}

func TestWaitReady(t *testing.T) {
	for name, tc := range map[string]struct {
		statuses []string
		asked    int32
		status   Status
		kind     error
	}{
		"at once":          {[]string{"running"}, 1, StatusRunning, nil},
		"in the end":       {[]string{"pending", "starting", "missing", "500", "running"}, 5, StatusRunning, nil},
		"stopped":          {[]string{"pending", "stopped"}, 2, StatusStopped, ErrFinal},
		"in error":         {[]string{"error"}, 1, StatusError, ErrFinal},
		"paused":           {[]string{"paused"}, 1, StatusPaused, ErrPaused},
		"unknown":          {[]string{"404"}, 1, "", nil},
		"unknown after it": {[]string{"pending", "404"}, 2, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			c, asked := inTurn(t, tc.statuses...)
			sandbox, err := c.Sandbox(testID).WaitReady(t.Context())
			if n := asked.Load(); n != tc.asked {
				t.Errorf("asked %d times", n)
			}
			switch {
			case tc.status == "" && (sandbox != nil || !IsNotFound(err)):
				t.Fatalf("%+v, %v", sandbox, err)
			case tc.status != "" && (sandbox == nil || sandbox.Status != tc.status || !errors.Is(err, tc.kind)):
				t.Fatalf("%+v, %v", sandbox, err)
			}
		})
	}
}

func TestWaitReadyEndsWithItsContext(t *testing.T) {
	for _, status := range []string{"pending", "500"} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		c, _ := inTurn(t, status)
		_, err := c.Sandbox(testID).WaitReady(ctx)
		if e := asError(t, err); !errors.Is(e, context.DeadlineExceeded) || e.Op != "sandboxes.wait_ready" {
			t.Errorf("%s: %+v", status, e)
		}
	}
}

// once serves one sandbox and reports when it is destroyed.
func once(t *testing.T, status string, destroy int) (*Client, *atomic.Int32) {
	t.Helper()
	var destroyed atomic.Int32
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		body := strings.Replace(sandboxJSON, `"running"`, `"`+status+`"`, 1)
		switch r.Method {
		case http.MethodPost:
			answer(w, 201, body)
		case http.MethodGet:
			answer(w, 200, body)
		default:
			destroyed.Add(1)
			if destroy != 204 {
				refuse(w, destroy, CodeForbidden)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		}
	}), &destroyed
}

func TestWithSandboxAlwaysDestroys(t *testing.T) {
	failure := errors.New("mine")
	for name, tc := range map[string]struct {
		status  string
		use     func(context.Context, *SandboxHandle) error
		destroy int
		want    []error
		panics  bool
	}{
		"success":           {"running", func(context.Context, *SandboxHandle) error { return nil }, 204, nil, false},
		"failure":           {"running", func(context.Context, *SandboxHandle) error { return failure }, 204, []error{failure}, false},
		"panic":             {"running", func(context.Context, *SandboxHandle) error { panic("x") }, 204, nil, true},
		"it never ran":      {"stopped", func(context.Context, *SandboxHandle) error { panic("used") }, 204, []error{ErrFinal}, false},
		"destroy fails too": {"running", func(context.Context, *SandboxHandle) error { return failure }, 403, []error{failure, errForbiddenHere}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, destroyed := once(t, tc.status, tc.destroy)
			func() {
				defer func() {
					if (recover() != nil) != tc.panics {
						t.Error("the panic is lost or new")
					}
				}()
				err := c.WithSandbox(t.Context(), CreateSandboxRequest{}, tc.use)
				if (err == nil) != (len(tc.want) == 0) {
					t.Errorf("error is %v", err)
				}
				for _, want := range tc.want {
					if forbidden := errors.Is(want, errForbiddenHere); forbidden && !IsForbidden(err) || !forbidden && !errors.Is(err, want) {
						t.Errorf("error is %v, want %v", err, want)
					}
				}
			}()
			if destroyed.Load() != 1 {
				t.Errorf("destroyed %d times", destroyed.Load())
			}
		})
	}
}

// errForbiddenHere stands for IsForbidden in a table of errors.
var errForbiddenHere = errors.New("forbidden")

func TestWithSandboxDestroysAfterItsContextEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, destroyed := once(t, "running", 204)
	err := c.WithSandbox(ctx, CreateSandboxRequest{}, func(ctx context.Context, h *SandboxHandle) error {
		cancel()
		_, err := h.Get(ctx)
		return err
	})
	if !errors.Is(err, context.Canceled) || destroyed.Load() != 1 {
		t.Fatalf("destroyed %d times, %v", destroyed.Load(), err)
	}
}

func TestWithSandboxThatCannotBeCreated(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			t.Errorf("sent %s %s", r.Method, r.URL)
		}
		refuse(w, 400, CodeInvalidRequest)
	})
	err := c.WithSandbox(t.Context(), CreateSandboxRequest{}, func(context.Context, *SandboxHandle) error { panic("used") })
	if e := asError(t, err); !IsInvalidRequest(e) {
		t.Fatalf("error is %+v", e)
	}
}
