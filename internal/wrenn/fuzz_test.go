package wrenn

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

func FuzzStreamFrame(f *testing.F) {
	for _, frame := range []string{
		started, exited, `{"type":"stdout","data":"x"}`, `{"type":"error"}`, `{"type":"exit"}`, `{"type":"start","pid":null}`,
		`{"type":"ping"}`, `null`, `[]`, `{`, ``, `{"type":"exit","exit_code":1e3}`, "{\"type\":\"stdout\",\"data\":\"\xff\"}",
	} {
		f.Add([]byte(frame))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		event, known, err := parseFrame(frame)
		if err != nil && (known || !errors.Is(err, errBadFrame)) {
			t.Fatalf("known=%v, %v", known, err)
		}
		if !known {
			if event != (StreamEvent{}) && err != nil {
				t.Fatalf("a bad frame yields %+v", event)
			}
			return
		}
		// A known event says the same when it is written and read again.
		wire := api.ExecStreamEvent{Type: string(event.Type), Data: &event.Data, Pid: new(int32), ExitCode: new(int32)}
		*wire.Pid, *wire.ExitCode = int32(event.PID), int32(event.ExitCode) //nolint:gosec // Both were int32 before.
		again, known, err := parseFrame(jsonBody(wire))
		if again != event || !known || err != nil {
			t.Fatalf("%+v became %+v, %v", event, again, err)
		}
	})
}

func FuzzPtyFrame(f *testing.F) {
	for _, frame := range []string{
		ptyStarted, exited, `{"type":"output","data":"4oLi"}`, `{"type":"output","data":"%"}`, `{"type":"output"}`,
		`{"type":"error","data":"x","fatal":true}`, `{"type":"started","pid":1}`, `{"type":"ping"}`, `{"type":"exit"}`, `null`, `{`,
	} {
		f.Add([]byte(frame))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		event, known, err := parsePtyFrame(frame)
		if err != nil && (known || !errors.Is(err, errBadFrame)) {
			t.Fatalf("known=%v, %v", known, err)
		}
		if !known {
			if !cmp.Equal(event, PtyEvent{}) && err == nil {
				t.Fatalf("an unknown frame yields %+v", event)
			}
			return
		}
		if event.Type == PtyStarted && event.Tag == "" || event.Type != PtyOutput && event.Data != nil {
			t.Fatalf("event is %+v", event)
		}
	})
}

func FuzzErrorBody(f *testing.F) {
	for _, body := range []string{
		`{"error":{"code":"not_found","message":"m"}}`, `{"error":{"code":"has_active_sandboxes","sandbox_ids":["` + testID + `"]}}`,
		`{"error":"x"}`, `<html>`, ``, `null`, unknownRoute, `{"error":{"code":"` + testKey + `","message":"` + testKey + `"}}`,
	} {
		f.Add(404, []byte(body))
		f.Add(502, []byte(body))
	}
	cred, err := APIKey(testKey)
	if err != nil {
		f.Fatal(err)
	}
	c, err := New("http://localhost", cred)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		resp := &http.Response{
			StatusCode: status, Header: http.Header{"X-Request-Id": {string(body)}, "Retry-After": {string(body)}},
			Body: io.NopCloser(strings.NewReader(string(body))),
		}
		e := c.refusal(t.Context(), call{op: "op", effect: true}, resp)
		shown := e.Error() + e.RequestID + strings.Join(e.SandboxIDs, "")
		if strings.Contains(shown, testKey) || !utf8.ValidString(shown) || strings.ContainsAny(shown, "\n\r\x00\x1b") {
			t.Fatalf("the error shows %q", shown)
		}
		if len(e.Message) > maxMessageBytes || e.RetryAfter < 0 {
			t.Fatalf("error is %+v", e)
		}
		if IsRefusal(e) && (e.Ambiguous || status < 400 || status > 499 || !json.Valid(body)) {
			t.Fatalf("%q with %d is taken for a refusal: %+v", body, status, e)
		}
	})
}

func FuzzListing(f *testing.F) {
	for _, body := range []string{"[]", "null", "[" + sandboxJSON + "]", "[null]", "[{}]", "{}", "[" + sandboxJSON, `[{"id":"` + testID + `"}]`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var wire *[]api.Sandbox
		if err := json.Unmarshal(body, &wire); err != nil || wire == nil {
			return
		}
		list, err := sandboxesOf(wire)
		if err != nil {
			return
		}
		if len(list) != len(*wire) {
			t.Fatalf("%d of %d sandboxes", len(list), len(*wire))
		}
		for _, s := range list {
			if !ValidSandboxID(s.ID) || s.Status == "" {
				t.Fatalf("listed %+v", s)
			}
		}
	})
}

func FuzzAuditPage(f *testing.F) {
	for _, body := range []string{
		`{"items":[]}`, `{"items":null}`, `null`, `{"items":[{}]}`,
		`{"items":[{"id":"log-0000000000000000000000000","created_at":"2026-01-02T03:04:05Z"}],"next_before":"2026-01-02T03:04:05Z"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var wire *api.AuditLogPage
		if err := json.Unmarshal(body, &wire); err != nil || wire == nil {
			return
		}
		page, err := auditPageOf(wire)
		if err != nil {
			return
		}
		// Every entry has what the walk through the pages goes by.
		for _, entry := range page.Entries {
			if !prefixAudit.valid(entry.ID) || entry.CreatedAt.IsZero() {
				t.Fatalf("listed %+v", entry)
			}
		}
		if len(page.Entries) != len(wire.Items) {
			t.Fatalf("%d of %d entries", len(page.Entries), len(wire.Items))
		}
	})
}
