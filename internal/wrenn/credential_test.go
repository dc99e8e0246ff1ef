package wrenn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

const testJWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c3ItMSJ9.c2lnbmF0dXJl"

func TestCredentialForms(t *testing.T) {
	for name, tc := range map[string]struct {
		make func(string) (Credential, error)
		in   string
		ok   bool
	}{
		"key":                  {APIKey, testKey, true},
		"key with newline":     {APIKey, testKey + "\n", false},
		"key with upper case":  {APIKey, strings.ToUpper(testKey), false},
		"key too short":        {APIKey, testKey[:35], false},
		"key too long":         {APIKey, testKey + "0", false},
		"key without a prefix": {APIKey, testKey[4:], false},
		"empty key":            {APIKey, "", false},
		"token":                {JWT, testJWT, true},
		"token of two parts":   {JWT, "a.b", false},
		"token with newline":   {JWT, testJWT + "\r\nX: y", false},
		"token too long":       {JWT, "a." + strings.Repeat("b", maxTokenBytes) + ".c", false},
		"empty token":          {JWT, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			cred, err := tc.make(tc.in)
			if (err == nil) != tc.ok || cred.IsZero() == tc.ok {
				t.Fatalf("got zero=%v, err=%v, want ok=%v", cred.IsZero(), err, tc.ok)
			}
			if err != nil && tc.in != "" && strings.Contains(err.Error(), tc.in) {
				t.Fatalf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestCredentialShowsNothing(t *testing.T) {
	cred := testCredential(t)
	client, err := New("http://localhost", cred)
	if err != nil {
		t.Fatal(err)
	}
	marshaled, err := json.Marshal(map[string]any{"exported": struct{ Credential Credential }{cred}})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "cred", cred, "holder", struct{ C Credential }{cred})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "cred", cred, "holder", struct{ C Credential }{cred})
	hidden := struct{ cred Credential }{cred}
	shown := string(marshaled) + log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown += fmt.Sprintf(verb+verb+verb+verb, cred, &cred, hidden, *client)
	}
	for _, secret := range []string{testKey, fmt.Sprintf("%x", testKey), testKey[4:]} {
		if strings.Contains(shown, secret) {
			t.Fatalf("the secret shows in %s", shown)
		}
	}
	if got := cred.String(); got != "[redacted]" {
		t.Fatalf("String() = %q", got)
	}
}

func TestCredentialHeaders(t *testing.T) {
	token, err := JWT(testJWT)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		cred       Credential
		key, token string
	}{
		"key":   {testCredential(t), testKey, ""},
		"token": {token, "", "Bearer " + testJWT},
		"zero":  {Credential{}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			tc.cred.authorize(h)
			if h.Get("X-API-Key") != tc.key || h.Get("Authorization") != tc.token {
				t.Fatalf("headers are %v", h)
			}
		})
	}
}

func TestFingerprint(t *testing.T) {
	one := testCredential(t)
	other, err := APIKey("wrn_ffffffffffffffffffffffffffffffff")
	if err != nil {
		t.Fatal(err)
	}
	if f := one.Fingerprint(); len(f) != 16 || f != testCredential(t).Fingerprint() || f == other.Fingerprint() {
		t.Fatalf("fingerprints %q and %q", f, other.Fingerprint())
	}
	if f := (Credential{}).Fingerprint(); f != "" {
		t.Fatalf("the zero credential has fingerprint %q", f)
	}
}
