package wrenn

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// upgrading returns a sandbox of a server of generation Capsules that upgrades on one path and then does what the script
// says.
func upgrading(t *testing.T, path string, script func(context.Context, *websocket.Conn)) *SandboxHandle {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if want := "/v1/capsules/" + testID + path; r.URL.Path != want || r.Header.Get("X-API-Key") != testKey {
			t.Errorf("request %s with %v, want %s", r.URL, r.Header, want)
		}
		accept(t, w, r, script)
	}, WithGeneration(GenerationCapsules)).Sandbox(testID)
}

func TestProcessStream(t *testing.T) {
	s, err := upgrading(t, "/processes/a nap/stream", say(started, `{"type":"stdout","data":"x"}`, exited)).ProcessStream(t.Context(), ByTag("a nap"))
	if err != nil {
		t.Fatal(err)
	}
	events, err := collect(s)
	want := []StreamEvent{{Type: StreamStart, PID: 42}, {Type: StreamStdout, Data: "x"}, {Type: StreamExit}}
	if diff := cmp.Diff(want, events); diff != "" || err != nil || s.PID() != 42 {
		t.Errorf("ended with %v, events differ (-want +got):\n%s", err, diff)
	}
}

func TestProcessStreamThatDoesNotStart(t *testing.T) {
	for name, tc := range map[string]struct {
		script func(context.Context, *websocket.Conn)
		kind   error
	}{
		"ended or unknown": {say(), ErrProcessNotFound},
		"closed with a frame": {func(_ context.Context, conn *websocket.Conn) {
			_ = conn.Close(websocket.StatusNormalClosure, "")
		}, ErrProcessNotFound},
		"refused":      {say(`{"type":"error","data":"authentication failed"}`), ErrStreamRefused},
		"garbage":      {say(`[]`), ErrInvalidResponse},
		"output first": {say(`{"type":"stdout","data":"x"}`), ErrInvalidResponse},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := upgrading(t, "/processes/7/stream", tc.script).ProcessStream(t.Context(), ByPID(7))
			// Listening changes nothing.
			if e := asError(t, err); !errors.Is(e, tc.kind) || e.Ambiguous || IsRefusal(e) {
				t.Fatalf("error is %+v", e)
			}
		})
	}
	t.Run("lost later", func(t *testing.T) {
		s, err := upgrading(t, "/processes/7/stream", say(started)).ProcessStream(t.Context(), ByPID(7))
		if err != nil {
			t.Fatal(err)
		}
		_, err = collect(s)
		if e := asError(t, err); !errors.Is(e, ErrStreamLost) || errors.Is(e, ErrProcessNotFound) || e.Ambiguous {
			t.Fatalf("error is %+v", e)
		}
	})
	t.Run("canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := upgrading(t, "/processes/7/stream", func(ctx context.Context, conn *websocket.Conn) {
			cancel()
			_, _, _ = conn.Read(ctx)
		})
		_, err := h.ProcessStream(ctx, ByPID(7))
		if e := asError(t, err); !errors.Is(e, context.Canceled) || errors.Is(e, ErrProcessNotFound) {
			t.Fatalf("error is %+v", e)
		}
	})
}
