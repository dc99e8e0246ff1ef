package execrun

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// EnvVar is one variable of a command's environment.
type EnvVar struct {
	// Name is a shell identifier.
	Name string
	// Value is taken as it is, whatever bytes it has, except NUL.
	Value string
	// Secret keeps the value out of tails.
	Secret bool
}

// Command is what an attempt runs.
type Command struct {
	// Args is the argv. It is empty when Script is set.
	Args []string
	// Script is a text for /bin/sh, or for the kernel of Language.
	Script string
	// Language is set where Script is a cell for a kernel of that language.
	Language string
	// Stdin is what the command reads. Without it there is nothing to read.
	Stdin string
	// Dir is the directory to start in; empty means the home directory.
	Dir string
	// Env is added to what the sandbox gives.
	Env []EnvVar
}

// ErrUnusableEnv says that a value cannot be in an environment.
var ErrUnusableEnv = errors.New("a variable cannot hold a NUL byte")

// payload is what is uploaded for one command. The environment and the input travel in files, because arguments are seen
// by every process of the guest and by everything that logs requests.
type payload struct {
	files []uploadedFile
}

// uploadedFile is a file of an attempt's directory in the guest. The launcher drops what its name has behind the last dot.
type uploadedFile struct {
	name    string
	content []byte
}

// cellName is what the client of the kernel is called in the guest.
var cellName = hashedName("cell-", cellScript, ".py")

// newPayload writes the shell text that begin() of the launcher sources. It is one compound command: the shell reads it to
// its end before it does any of it. It removes its own file first, since the secrets in it are needed no longer than until
// the shell has read them, and with it the word that nothing has begun. The variables of the command come last: they may
// have the names of the launcher's own.
//
// Each payload has names of its own for its files. What a launcher has been told of is never written again.
func newPayload(c Command) (*payload, error) {
	var b bytes.Buffer
	b.WriteString("{\nrm -f -- \"$dir/payload\" \"$dir/unstarted\" \"$dir\"/payload.* || exit 126\nset --")
	p := &payload{}
	if c.Script != "" {
		p.files = append(p.files, uploadedFile{"script", []byte(c.Script)})
	}
	switch {
	case c.Language != "":
		p.files = append(p.files, uploadedFile{cellName, cellScript})
		b.WriteString(" python3 \"$dir/" + cellName + "\" \"$dir\" " + quote(c.Language))
	case c.Script != "":
		b.WriteString(" /bin/sh \"$dir/script\"")
	}
	for _, arg := range c.Args {
		b.WriteString(" " + quote(arg))
	}
	if c.Stdin != "" {
		p.files = append(p.files, uploadedFile{"stdin", []byte(c.Stdin)})
		b.WriteString("\nexec <\"$dir/stdin\" || exit 126\nrm -f -- \"$dir/stdin\"")
	}
	if c.Dir != "" {
		fmt.Fprintf(&b, "\ncd -- %s || exit 126", quote(c.Dir))
	}
	b.WriteString("\nunset OLDPWD")
	for _, v := range c.Env {
		if strings.ContainsRune(v.Value, 0) {
			return nil, fmt.Errorf("%s: %w", v.Name, ErrUnusableEnv)
		}
		fmt.Fprintf(&b, "\nexport %s=%s", v.Name, quote(v.Value))
	}
	b.WriteString("\nexec \"$@\"\n}\n")
	p.files = append(p.files, uploadedFile{"payload", b.Bytes()})
	for i := range p.files {
		p.files[i].name += "." + rand.Text()
	}
	return p, nil
}

// quote makes one word of the shell of s, byte for byte.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// minSecret is the shortest value that is redacted: anything shorter is found in innocent text all the time.
const minSecret = 4

// secrets are the values to keep out of tails, the longest first. A newline at the end of a value is often not printed.
func (c Command) secrets() []string {
	var values []string
	for _, v := range c.Env {
		if value := strings.TrimRight(v.Value, "\r\n"); v.Secret && len(value) >= minSecret {
			values = append(values, value)
		}
	}
	return longestFirst(values)
}

func longestFirst(values []string) []string {
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(values)
}
