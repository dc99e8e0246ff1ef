package wrenn

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
)

// redacted is all that a Credential ever shows of itself.
const redacted = "[redacted]"

// maxTokenBytes bounds a JWT: no server accepts header fields much larger than this.
const maxTokenBytes = 8 << 10

// The headers that credentials travel in, which also tell the kinds of credentials apart.
const (
	headerAPIKey = "X-API-Key" //nolint:gosec // G101: the name of a header
	headerJWT    = "Authorization"
)

var (
	apiKeyForm = regexp.MustCompile(`^wrn_[0-9a-f]{32}$`)
	jwtForm    = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)
)

// Credential authenticates a Client: an API key or a JWT. It is opaque and prints, logs and marshals as "[redacted]".
// The zero Credential sends nothing.
type Credential struct {
	// The secret hides in a closure so that no reflection-based printer reaches it, even through the unexported field
	// of some other struct, where fmt cannot call the methods below.
	reveal func() string
	header string
}

// APIKey returns the credential of a team's API key: "wrn_" and 32 lowercase hexadecimal digits, with nothing around them.
// API keys do not expire and open the sandbox and snapshot routes only.
func APIKey(key string) (Credential, error) {
	if !apiKeyForm.MatchString(key) {
		return Credential{}, errors.New(`wrenn: not an API key: want "wrn_" followed by 32 lowercase hexadecimal digits`)
	}
	return Credential{reveal: func() string { return key }, header: headerAPIKey}, nil
}

// JWT returns the credential of a user's token, as the login route hands it out. Tokens live for six hours. Only the form
// is checked here, not the signature.
func JWT(token string) (Credential, error) {
	if len(token) > maxTokenBytes || !jwtForm.MatchString(token) {
		return Credential{}, errors.New("wrenn: not a JWT: want three base64url parts separated by dots")
	}
	return Credential{reveal: func() string { return token }, header: headerJWT}, nil
}

// IsZero reports whether c carries no secret.
func (c Credential) IsZero() bool { return c.reveal == nil }

// Fingerprint identifies the secret without giving it away: 16 hexadecimal digits of its SHA-256. It is empty for the
// zero Credential. Two credentials with the same fingerprint are the same.
func (c Credential) Fingerprint() string {
	if c.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(c.reveal()))
	return hex.EncodeToString(sum[:8])
}

// String returns "[redacted]".
func (Credential) String() string { return redacted }

// GoString returns "[redacted]".
func (Credential) GoString() string { return redacted }

// Format writes "[redacted]" for every verb and flag.
func (Credential) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns "[redacted]".
func (Credential) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns "[redacted]" as a JSON string.
func (Credential) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns "[redacted]".
func (Credential) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// authorize puts the secret into the one header that the API takes it from.
func (c Credential) authorize(h http.Header) {
	switch {
	case c.IsZero():
	case c.header == headerJWT:
		h.Set(c.header, "Bearer "+c.reveal())
	default:
		h.Set(c.header, c.reveal())
	}
}
