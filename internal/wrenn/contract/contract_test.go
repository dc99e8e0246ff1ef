package contract

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func load(t *testing.T) *Contract {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOperations(t *testing.T) {
	operations := load(t).Operations()
	seen := map[string]bool{}
	for _, op := range operations {
		if op.ID == "" || seen[op.ID] || len(op.Statuses) == 0 {
			t.Errorf("operation %+v", op)
		}
		seen[op.ID] = true
	}
	i := slices.IndexFunc(operations, func(o Operation) bool { return o.ID == "getMe" })
	if i < 0 || !slices.Equal(operations[i].Generations, []string{Capsules}) {
		t.Fatalf("getMe is %+v", operations[max(i, 0)])
	}
}

// TestEveryCodeIsKnown keeps the lists of codes in the contract and its x-known-codes together.
func TestEveryCodeIsKnown(t *testing.T) {
	c := load(t)
	detail := c.doc.Components.Schemas["ErrorDetail"].Value.Properties["code"].Value
	known := texts(detail.Extensions["x-known-codes"])
	for path, item := range c.doc.Paths.Map() {
		for method, op := range item.Operations() {
			codes, _ := op.Extensions["x-error-codes"].(map[string]any)
			for status, list := range codes {
				if op.Responses.Value(status) == nil {
					t.Errorf("%s %s: codes for %s, which is no answer", method, path, status)
				}
				for _, code := range texts(list) {
					if !slices.Contains(known, code) {
						t.Errorf("%s %s: unknown code %s", method, path, code)
					}
				}
			}
		}
	}
}

func TestTransport(t *testing.T) {
	const id = "cl-0a1b2c3d4e5f6g7h8i9j0k1l2"
	sandbox := `{"id":"` + id + `","status":"running","template":"minimal","vcpus":1,"memory_mb":512,"timeout_sec":0,` +
		`"created_at":"2026-01-02T03:04:05Z","last_updated":"2026-01-02T03:04:05Z"}`
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		media, answer      string
		// violation is part of what must be reported, and nothing is where it is empty.
		violation string
	}{
		"right":            {"POST", "/v1/sandboxes", `{"vcpus":1}`, 201, "application/json", sandbox, ""},
		"charset":          {"GET", "/v1/sandboxes/" + id, "", 200, "application/json; charset=utf-8", sandbox, ""},
		"stats is no id":   {"GET", "/v1/sandboxes/stats", "", 200, "application/json", sandbox, "response"},
		"wrong type":       {"POST", "/v1/sandboxes", `{"vcpus":"1"}`, 201, "application/json", sandbox, "request"},
		"field missing":    {"GET", "/v1/sandboxes/" + id, "", 200, "application/json", `{"id":"` + id + `"}`, "response"},
		"wrong status":     {"POST", "/v1/sandboxes", `{}`, 200, "application/json", sandbox, "response"},
		"bad id":           {"GET", "/v1/sandboxes/x", "", 200, "application/json", sandbox, "request"},
		"unknown path":     {"GET", "/v1/volumes", "", 200, "application/json", "[]", "no operation"},
		"other generation": {"GET", "/v1/capsules", "", 404, "text/plain; charset=utf-8", "404 page not found\n", ""},
		"a refusal":        {"GET", "/v1/sandboxes/" + id, "", 404, "application/json", `{"error":{"code":"not_found","message":""}}`, ""},
		"another code":     {"GET", "/v1/sandboxes/" + id, "", 404, "application/json", `{"error":{"code":"conflict","message":""}}`, "conflict"},
		"everywhere":       {"GET", "/v1/sandboxes/" + id, "", 500, "application/json", `{"error":{"code":"db_error","message":""}}`, ""},
		"no code":          {"GET", "/v1/sandboxes/" + id, "", 404, "application/json", `{"error":"x"}`, "no code"},
		"nothing":          {"DELETE", "/v1/sandboxes/" + id, "", 204, "", "", ""},
		"null tags":        {"GET", "/v1/hosts/host-0a1b2c3d4e5f6g7h8i9j0k1l2/tags", "", 200, "application/json", "null", ""},
		"a file":           {"POST", "/v1/sandboxes/" + id + "/files/read", `{"path":"a"}`, 200, "application/octet-stream", "\xff", ""},
		"no file":          {"POST", "/v1/sandboxes/" + id + "/files/read", `{"path":"a"}`, 200, "text/html", "\xff", "content type"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body, err := io.ReadAll(r.Body); err != nil || string(body) != tc.body {
					t.Errorf("the server got %q, %v", body, err)
				}
				w.Header()["Content-Type"] = []string{tc.media}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.answer)
			}))
			defer server.Close()
			var violations []string
			transport := load(t).NewTransport(http.DefaultTransport, "/api", func(err error) { violations = append(violations, err.Error()) })
			req, err := http.NewRequestWithContext(t.Context(), tc.method, server.URL+"/api"+tc.path, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if tc.body == "" {
				req.Body = nil
			} else {
				req.Header.Set("Content-Type", "application/json")
			}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			if body, err := io.ReadAll(resp.Body); err != nil || string(body) != tc.answer {
				t.Errorf("the client got %q, %v", body, err)
			}
			all := strings.Join(violations, "\n")
			if tc.violation == "" && all != "" || !strings.Contains(all, tc.violation) {
				t.Fatalf("reported %q, want %q", all, tc.violation)
			}
		})
	}
}

// TestAnswersOnly sends what the contract does not allow.
func TestAnswersOnly(t *testing.T) {
	const refusal = `{"error":{"code":"invalid_request","message":""}}`
	for name, tc := range map[string]struct {
		path, body, answer string
		violation          string
		seen               bool
	}{
		"a bad request":    {"/v1/sandboxes", `{"vcpus":"1"}`, refusal, "", true},
		"and a bad answer": {"/v1/sandboxes", `{"vcpus":"1"}`, `{"error":{"code":"conflict","message":""}}`, "conflict", true},
		"of no operation":  {"/v1/volumes", `{}`, refusal, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, tc.answer)
			}))
			defer server.Close()
			var violations []string
			transport := load(t).NewTransport(http.DefaultTransport, "", func(err error) { violations = append(violations, err.Error()) })
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+tc.path, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			resp, err := transport.AnswersOnly().RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			all := strings.Join(violations, "\n")
			if tc.violation == "" && all != "" || !strings.Contains(all, tc.violation) {
				t.Errorf("reported %q, want %q", all, tc.violation)
			}
			if seen := transport.Seen()["createSandbox"][http.StatusBadRequest] == 1; seen != tc.seen {
				t.Errorf("seen is %v", transport.Seen())
			}
		})
	}
}
