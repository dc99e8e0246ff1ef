package wrenn

import (
	"bytes"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNewFromEnv(t *testing.T) {
	for name, tc := range map[string]struct {
		key, base, domain string
		opts              []Option
		// wantURL is that of port 80, empty where New is to fail.
		wantURL string
	}{
		"public service": {key: testKey, wantURL: "https://80-" + testID + ".app.wrenn.dev"},
		"another server": {key: testKey, base: "http://wrenn.example:8000", wantURL: "http://80-" + testID + ".wrenn.example:8000"},
		"proxy domain":   {key: testKey, domain: "box.example", wantURL: "https://80-" + testID + ".box.example"},
		"option wins": {
			key: testKey, domain: "box.example", opts: []Option{WithProxyDomain("own.example")},
			wantURL: "https://80-" + testID + ".own.example",
		},
		"no key":     {},
		"bad key":    {key: "wrn_hunter2"},
		"bad URL":    {key: testKey, base: "wrenn.example"},
		"bad domain": {key: testKey, domain: "https://x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(EnvAPIKey, tc.key)
			t.Setenv(EnvBaseURL, tc.base)
			t.Setenv(EnvProxyDomain, tc.domain)
			c, err := NewFromEnv(tc.opts...)
			if err != nil {
				if tc.wantURL != "" || strings.Contains(err.Error(), "hunter2") {
					t.Fatalf("error is %v", err)
				}
				return
			}
			if got, err := c.Sandbox(testID).URL(80); got != tc.wantURL || err != nil {
				t.Fatalf("got %q, %v, want %q", got, err, tc.wantURL)
			}
			if c.cred.Fingerprint() != testCredential(t).Fingerprint() {
				t.Fatal("the key is another one")
			}
		})
	}
}

func TestCABundle(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(present))
	t.Cleanup(server.Close)
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, tc := range map[string]struct {
		opts    []Option
		trusted bool
	}{
		"the system's":   {nil, false},
		"the server's":   {[]Option{WithCABundle(bundle)}, true},
		"among others":   {[]Option{WithCABundle(append([]byte("# a comment\n"), bundle...))}, true},
		"client instead": {[]Option{WithHTTPClient(server.Client())}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, server.URL, append(tc.opts, WithGeneration(GenerationSandboxes))...)
			_, err := c.Sandbox(testID).Get(t.Context())
			if tc.trusted && err != nil {
				t.Fatal(err)
			}
			if e := (*Error)(nil); !tc.trusted && (!errors.As(err, &e) || e.Message != "certificate not trusted" || e.Ambiguous) {
				t.Fatalf("error is %v", err)
			}
			// A stream is opened to the same server, or to none.
			_, err = c.Sandbox(testID).ExecStream(t.Context(), shX)
			if e := asError(t, err); (e.StatusCode != 0) != tc.trusted {
				t.Fatalf("error is %+v", e)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	body := strings.Repeat(" ", 2000) + sandboxJSON
	handler := func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, testID) {
			answer(w, http.StatusOK, body)
			return
		}
		answer(w, http.StatusOK, "["+sandboxJSON+"]")
	}
	c := serve(t, handler, WithLimits(Limits{ObjectBytes: 1000}))
	if _, err := c.Sandbox(testID).Get(t.Context()); !errors.Is(asError(t, err), ErrResponseTooLarge) {
		t.Fatalf("error is %v", err)
	}
	if _, err := c.Sandboxes.List(t.Context()); err != nil {
		t.Fatalf("a limit that was not given is not the default: %v", err)
	}
	c = serve(t, handler, WithLimits(Limits{}))
	if _, err := c.Sandbox(testID).Get(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestLogger(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("X-Request-Id", "req-"+testKey)
			refuse(w, http.StatusNotFound, CodeNotFound)
			return
		}
		answer(w, http.StatusCreated, sandboxJSON)
	}, WithLogger(logger))
	if _, err := c.Sandboxes.Create(t.Context(), CreateSandboxRequest{Template: "a-template"}); err != nil {
		t.Fatal(err)
	}
	for _, call := range []func() error{
		func() error { _, err := c.Sandbox(testID).Get(t.Context()); return err },
		func() error { _, err := c.Sandbox(testID).ExecStream(t.Context(), shX); return err },
	} {
		if err := call(); !IsNotFound(err) {
			t.Fatalf("error is %v", err)
		}
	}
	for _, want := range []string{"op=sandboxes.create method=POST", "op=sandboxes.get method=GET", "op=sandboxes.exec_stream", "HTTP 404 not_found"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in the log:\n%s", want, &log)
		}
	}
	for _, secret := range []string{testKey, "127.0.0.1", "a-template"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log shows %q:\n%s", secret, &log)
		}
	}
}

func TestObserver(t *testing.T) {
	type seen struct {
		op     string
		failed bool
	}
	var requests []seen
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			refuse(w, http.StatusNotFound, CodeNotFound)
			return
		}
		answer(w, http.StatusCreated, sandboxJSON)
	}, WithObserver(func(op string, took time.Duration, err error) {
		if took < 0 || (err != nil && !IsNotFound(err)) {
			t.Errorf("%s took %s and failed with %v", op, took, err)
		}
		requests = append(requests, seen{op, err != nil})
	}))
	_, _ = c.Sandboxes.Create(t.Context(), CreateSandboxRequest{})
	_, _ = c.Sandbox(testID).Get(t.Context())
	_, _ = c.Sandbox(testID).ExecStream(t.Context(), shX)
	want := []seen{{"sandboxes.create", false}, {"sandboxes.get", true}, {"sandboxes.exec_stream", true}}
	if !slices.Equal(requests, want) {
		t.Errorf("told of %v, want %v", requests, want)
	}
}
