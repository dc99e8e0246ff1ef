package wrenndev

import (
	"crypto/rand"
	"encoding/hex"
	"math/big"
	"regexp"
	"strings"
)

const idDigits = 25

// newID makes an identifier as the service does: a prefix and the 25 base-36 digits
// of a random 128-bit number.
func newID(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	digits := new(big.Int).SetBytes(b[:]).Text(36)
	return prefix + strings.Repeat("0", idDigits-len(digits)) + digits
}

// validID tells whether s has the form of a sandbox id.
func validID(s string) bool { return hasIDForm(s, sandboxPrefix) }

// hasIDForm tells whether s has the form of an id with this prefix.
func hasIDForm(s, prefix string) bool {
	digits, ok := strings.CutPrefix(s, prefix)
	if !ok || len(digits) != idDigits {
		return false
	}
	for _, c := range digits {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	n, ok := new(big.Int).SetString(digits, 36)
	return ok && n.BitLen() <= 128
}

const (
	sandboxPrefix = "cl-"
	auditPrefix   = "log-"
	channelPrefix = "ch-"
	hostPrefix    = "host-"
)

// nameForm is the form of template and snapshot names.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
