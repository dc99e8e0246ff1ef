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

// text shows the tail, of size characters at the most: cut on a rune, what is no UTF-8 replaced, and what is or may become
// a secret redacted.
func (t *tail) text() string {
	cut := max(0, len(t.data)-t.size)
	if t.more && len(t.secrets) > 0 {
		// What it begins with may be the end of a secret.
		cut = min(max(cut, len(t.secrets[0])-1), len(t.data))
	}
	hidden := cover(t.data, t.secrets)
	if cut > 0 || t.more {
		for k := 0; k < utf8.UTFMax-1 && cut < len(t.data) && !hidden[cut] && !utf8.RuneStart(t.data[cut]); k++ {
			cut++
		}
	}
	text := cleared(t.data[cut:], hidden[cut:])
	if utf8.RuneCountInString(text) <= t.size {
		return text
	}
	// What the cut leaves of a secret is shorter than the mark for it. Nothing else is.
	for cut < len(t.data) && hidden[cut] {
		cut++
	}
	return cleared(t.data[cut:], hidden[cut:])
}

// redact is a text without the secrets in it.
func redact(text string, secrets []string) string {
	return cleared([]byte(text), cover([]byte(text), secrets))
}

// cover marks the bytes that belong to a secret, also where secrets overlap, and to one that the end of the data goes
// through.
func cover(data []byte, secrets []string) []bool {
	hidden := make([]bool, len(data))
	hide := func(from, to int) {
		for i := from; i < to; i++ {
			hidden[i] = true
		}
	}
	for _, secret := range secrets {
		s := []byte(secret)
		for at := 0; ; at++ {
			n := bytes.Index(data[at:], s)
			if n < 0 {
				break
			}
			at += n
			hide(at, at+len(s))
		}
		for n := min(len(s)-1, len(data)); n >= minSecret; n-- {
			if bytes.HasSuffix(data, s[:n]) {
				hide(len(data)-n, len(data))
				break
			}
		}
	}
	return hidden
}

// cleared is data as text, with one mark in the place of each run of hidden bytes.
func cleared(data []byte, hidden []bool) string {
	var b strings.Builder
	for i := 0; i < len(data); {
		next := i + 1
		for next < len(data) && hidden[next] == hidden[i] {
			next++
		}
		if hidden[i] {
			b.WriteString(redacted)
		} else {
			b.Write(data[i:next])
		}
		i = next
	}
	return strings.ToValidUTF8(b.String(), string(utf8.RuneError))
}
