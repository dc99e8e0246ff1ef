package execrun

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTail(t *testing.T) {
	t.Parallel()
	const secret, other = "hunter2-secret", "pass"
	for _, tc := range []struct {
		name   string
		writes []string
		want   string
	}{
		{"nothing", nil, ""},
		{"less than its size", []string{"abc", "def"}, "abcdef"},
		{"the end", []string{"0123456789abcdefghijKLMNOPQRSTUVWXYZ"}, "ghijKLMNOPQRSTUVWXYZ"},
		{"the end of many", []string{"0123456789abcdef", "ghij", "KLMNOPQRSTUVWXYZ"}, "ghijKLMNOPQRSTUVWXYZ"},
		{"cut on a rune", []string{strings.Repeat("€", 7)}, strings.Repeat("€", 6)},
		{"invalid bytes", []string{"a\xffb"}, "a\ufffdb"},
		{"a split rune", []string{"a\xe2\x82", "\xacb"}, "a€b"},
		{"a secret", []string{"x" + secret + "y"}, "x***y"},
		{"a secret in pieces", []string{"x" + secret[:5], secret[5:] + "y"}, "x***y"},
		{"a secret that is being written", []string{"x" + secret[:6]}, "x***"},
		{"a secret that the cut goes through", []string{"before " + secret + " 123456789012345"}, "*** 123456789012345"},
		{"a secret before the cut", []string{secret + "12345678901234567890"}, "12345678901234567890"},
		{"a secret that the cut leaves little of", []string{"before " + secret + " 123456789012345678"}, " 123456789012345678"},
		{"two secrets", []string{secret + other + "p"}, "***p"},
		{"secrets that overlap", []string{"hunter2-secrettes-6 end"}, "*** end"},
		{"a secret's end", []string{"x" + secret[:2]}, "xhu"},
		{"nearly a secret", []string{"hunter hunter3"}, "hunter hunter3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			command := Command{Env: []EnvVar{
				{Name: "A", Value: other, Secret: true},
				{Name: "B", Value: secret + "\n", Secret: true},
				{Name: "SHORT", Value: "b", Secret: true},
				{Name: "PLAIN", Value: "before"},
				{Name: "C", Value: "secrettes-6", Secret: true},
			}}
			tail := newTail(20, command.secrets())
			for _, w := range tc.writes {
				tail.write([]byte(w))
			}
			if got := tail.text(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// However output is cut into writes, the tail is text of a bounded size without any secret in it.
func TestTailNeverShowsASecret(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t-value"
	text := strings.Repeat("some text € "+secret+" and ", 20)
	for size := 1; size < 40; size++ {
		for piece := 1; piece < 40; piece++ {
			tail := newTail(size, []string{secret})
			for at := 0; at < len(text); at += piece {
				tail.write([]byte(text[at:min(len(text), at+piece)]))
				got := tail.text()
				if !utf8.ValidString(got) || strings.Contains(got, "3cr3") || utf8.RuneCountInString(got) > size {
					t.Fatalf("size %d, pieces of %d, after %d: %q", size, piece, at, got)
				}
			}
		}
	}
}

func TestTailAfterAGap(t *testing.T) {
	t.Parallel()
	tail := newTail(20, nil)
	tail.write([]byte("before the gap"))
	tail.skip()
	tail.write([]byte("\xac after"))
	if got := tail.text(); got != " after" {
		t.Errorf("got %q", got)
	}
}

// Whatever is written, and whatever the secrets are, the status can hold the tail, and no secret is in it.
func TestTailOfAnything(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // a test
	text := func(longest int) string {
		var b strings.Builder
		for range random.IntN(longest) {
			b.WriteString([]string{"a", "b", "€", "\xff", "\xe2\x82"}[random.IntN(5)])
		}
		return b.String()
	}
	for range 20_000 {
		one, two, size := text(9), text(7), 1+random.IntN(30)
		secrets := Command{Env: []EnvVar{{Name: "A", Value: one, Secret: true}, {Name: "B", Value: two, Secret: true}}}.secrets()
		tail := newTail(size, secrets)
		for range 8 {
			tail.write([]byte(text(20) + []string{one, two, one[:len(one)/2]}[random.IntN(3)]))
			got := tail.text()
			if n := utf8.RuneCountInString(got); !utf8.ValidString(got) || n > size {
				t.Fatalf("secrets %q: a tail of %d shows %d characters: %q", secrets, size, n, got)
			}
			for _, secret := range secrets {
				if strings.Contains(got, secret) {
					t.Fatalf("%q shows %q", got, secret)
				}
			}
		}
	}
}
