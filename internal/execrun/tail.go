package execrun

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// redacted stands for a secret.
const redacted = "***"

// tail keeps the end of a stream. It keeps a secret's length more than it shows, so that a secret that the cut goes
// through is known for one.
type tail struct {
	size    int
	secrets []string
	window  int
	data    []byte
	more    bool // something came before data
}

func newTail(size int, secrets []string) *tail {
	t := &tail{size: size, secrets: secrets, window: size}
	if len(secrets) > 0 {
		t.window += len(secrets[0]) // the longest
	}
	return t
}

// skip says that bytes are missing between what was there and what comes.
func (t *tail) skip() { t.data, t.more = t.data[:0], true }

func (t *tail) write(b []byte) {
	if extra := len(b) - t.window; extra > 0 {
		b, t.more = b[extra:], true
		t.data = t.data[:0]
	}
	if extra := len(t.data) + len(b) - t.window; extra > 0 {
		t.data = t.data[:copy(t.data, t.data[extra:])]
		t.more = true
	}
	t.data = append(t.data, b...)
}

// text shows the tail: cut on a rune, what is no UTF-8 replaced, and what is or may become a secret redacted.
func (t *tail) text() string {
	cut := max(0, len(t.data)-t.size)
	var b strings.Builder
	for i := 0; i < len(t.data); {
		n := t.secretAt(i)
		if n == 0 {
			next := i + 1
			for next < len(t.data) && !t.mayBegin(next) {
				next++
			}
			if next > cut {
				b.Write(t.plain(max(i, cut), next, cut))
			}
			i = next
			continue
		}
		if i+n > cut {
			b.WriteString(redacted)
		}
		i += n
	}
	return strings.ToValidUTF8(b.String(), string(utf8.RuneError))
}

// plain is data[from:to], without the end of a rune that the beginning of the tail goes through.
func (t *tail) plain(from, to, cut int) []byte {
	if from == cut && (cut > 0 || t.more) {
		for k := 0; k < utf8.UTFMax-1 && from < to && !utf8.RuneStart(t.data[from]); k++ {
			from++
		}
	}
	return t.data[from:to]
}

func (t *tail) mayBegin(i int) bool {
	for _, s := range t.secrets {
		if s[0] == t.data[i] {
			return true
		}
	}
	return false
}

// secretAt is the length of the secret at i, or of what is there of one that the end of the data goes through.
func (t *tail) secretAt(i int) int {
	rest := t.data[i:]
	for _, s := range t.secrets {
		if bytes.HasPrefix(rest, []byte(s)) {
			return len(s)
		}
	}
	for _, s := range t.secrets {
		if len(rest) >= minSecret && len(rest) < len(s) && strings.HasPrefix(s, string(rest)) {
			return len(rest)
		}
	}
	return 0
}
