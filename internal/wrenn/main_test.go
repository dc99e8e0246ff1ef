package wrenn

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const (
	testKey     = "wrn_0123456789abcdef0123456789abcdef"
	testID      = "cl-0a1b2c3d4e5f6g7h8i9j0k1l2"
	sandboxJSON = `{"id":"` + testID + `","status":"running","template":"minimal","vcpus":1,"memory_mb":512,"timeout_sec":-7,` +
		`"created_at":"2026-01-02T03:04:05Z","last_updated":"2026-01-02T03:04:06Z","started_at":"2026-01-02T03:04:05Z"}`
	snapshotJSON = `{"name":"snap-1","type":"snapshot","vcpus":2,"memory_mb":1024,"size_bytes":12345678901,` +
		`"created_at":"2026-01-02T03:04:05Z","platform":false}`
)

var generations = []Generation{GenerationSandboxes, GenerationCapsules}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testCredential(t testing.TB) Credential {
	t.Helper()
	cred, err := APIKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	return cred
}

func testToken(t testing.TB) Credential {
	t.Helper()
	cred, err := JWT(testJWT)
	if err != nil {
		t.Fatal(err)
	}
	return cred
}

// newTestClient returns a client of the server at url, impatient between retries.
func newTestClient(t testing.TB, url string, opts ...Option) *Client {
	t.Helper()
	c, err := New(url, testCredential(t), opts...)
	if err != nil {
		t.Fatal(err)
	}
	c.pace.base = 2 * time.Millisecond
	if transport, ok := c.streams.Transport.(*http.Transport); ok {
		// Raw test servers do not know "100 Continue".
		transport.ExpectContinueTimeout = 100 * time.Millisecond
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// serve returns a client of generation Sandboxes, unless an option says otherwise, of a server with the handler.
func serve(t testing.TB, handler http.HandlerFunc, opts ...Option) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newTestClient(t, server.URL, append([]Option{WithGeneration(GenerationSandboxes)}, opts...)...)
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

func refuse(w http.ResponseWriter, status int, code Code) {
	answer(w, status, `{"error":{"code":"`+string(code)+`","message":"told to people"}}`)
}

// unknown answers as the service's router does for a route that it does not have.
func unknown(w http.ResponseWriter) { http.Error(w, unknownRoute, http.StatusNotFound) }

func asError(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := err.(*Error) //nolint:errorlint // Every call must return an *Error itself, not something around it.
	if !ok {
		t.Fatalf("error is %T (%v), want *Error", err, err)
	}
	if strings.Contains(e.Error(), testKey) || strings.Contains(e.RequestID, testKey) {
		t.Fatalf("the error shows the key: %v", e)
	}
	return e
}
