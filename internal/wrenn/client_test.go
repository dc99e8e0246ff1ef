package wrenn

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestNewRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		url  string
		opts []Option
	}{
		"empty URL":          {url: ""},
		"no scheme":          {url: "app.wrenn.dev/api"},
		"other scheme":       {url: "ftp://app.wrenn.dev"},
		"no host":            {url: "https:///api"},
		"password":           {url: "https://me:hunter2@app.wrenn.dev"}, //nolint:gosec // It is nobody's.
		"query":              {url: "https://app.wrenn.dev/api?x=hunter2"},
		"empty query":        {url: "https://app.wrenn.dev/api?"},
		"fragment":           {url: "https://app.wrenn.dev/#"},
		"unparsable":         {url: "https://me:hunter2@%zz"},
		"unknown generation": {url: "https://app.wrenn.dev", opts: []Option{WithGeneration("Boxes")}},
		"proxy URL":          {url: "https://app.wrenn.dev", opts: []Option{WithProxyDomain("https://x")}},
		"proxy path":         {url: "https://app.wrenn.dev", opts: []Option{WithProxyDomain("x/y")}},
		"proxy user":         {url: "https://app.wrenn.dev", opts: []Option{WithProxyDomain("me@x")}},
		"empty bundle":       {url: "https://app.wrenn.dev", opts: []Option{WithCABundle([]byte("hunter2"))}},
		"bundle for another": {url: "https://app.wrenn.dev", opts: []Option{WithHTTPClient(&http.Client{}), WithCABundle(nil)}},
		"negative limit":     {url: "https://app.wrenn.dev", opts: []Option{WithLimits(Limits{ListBytes: -1})}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(tc.url, Credential{}, tc.opts...)
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("the error shows what the URL holds: %v", err)
			}
		})
	}
}

func TestProxyURL(t *testing.T) {
	for name, tc := range map[string]struct {
		base, domain string
		port         int
		want         string
	}{
		"host":                {base: "https://app.wrenn.dev/api", port: 8080, want: "https://8080-" + testID + ".app.wrenn.dev"},
		"host and port":       {base: "http://wrenn.example:8000/api/", port: 1, want: "http://1-" + testID + ".wrenn.example:8000"},
		"loopback address":    {base: "http://127.0.0.1:8000", port: 65535, want: "http://65535-" + testID + ".localhost:8000"},
		"IPv6 loopback":       {base: "http://[::1]:8000", port: 80, want: "http://80-" + testID + ".localhost:8000"},
		"given domain":        {base: "https://10.0.0.1", domain: "box.example:8443", port: 80, want: "https://80-" + testID + ".box.example:8443"},
		"address without one": {base: "https://10.0.0.1", port: 80},
		"port zero":           {base: "https://app.wrenn.dev", port: 0},
		"port too large":      {base: "https://app.wrenn.dev", port: 65536},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, tc.base, WithProxyDomain(tc.domain))
			got, err := c.Sandbox(testID).URL(tc.port)
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Fatalf("got %q, %v, want %q", got, err, tc.want)
			}
			if err != nil && !errors.Is(err, ErrInvalidArgument) {
				t.Fatalf("error is %v", err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"minimal": true, "A": true, "0.a_b-C": true, strings.Repeat("a", 64): true,
		"": false, "-a": false, ".a": false, "..": false, "a/b": false, "a b": false, "ä": false, "a\n": false,
		strings.Repeat("a", 65): false,
	} {
		if got := ValidTemplateName(name); got != want {
			t.Errorf("ValidTemplateName(%q) = %v", name, got)
		}
	}
	for id, want := range map[string]bool{
		testID: true, probeID: true, testID + "\n": false, testID[3:]: false, strings.ToUpper(testID): false,
		testID + "0": false, testID[:27]: false, "": false, "cl-../../../../../../../../x": false,
	} {
		if got := ValidSandboxID(id); got != want {
			t.Errorf("ValidSandboxID(%q) = %v", id, got)
		}
	}
}
