package execrun

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// noise is size random bytes, NUL and broken UTF-8 among them.
func noise(seed byte, size int) []byte {
	source := rand.NewChaCha8([32]byte{seed})
	b := make([]byte, size)
	_, _ = source.Read(b)
	return b
}

// put writes a file into the home.
func (h *home) put(name string, content []byte) {
	h.t.Helper()
	path := filepath.Join(h.path, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
		h.t.Fatal(err)
	}
}

func TestLaunchShowsEveryByte(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		out, err []byte
	}{
		{"nothing", nil, nil},
		{"text without end of line", []byte("x"), []byte("y")},
		{"every byte", allBytes(), allBytes()},
		{"split characters", []byte("\xe2\x82"), []byte("\xac€\xf0\x9f")},
		{"a block exactly", noise(1, 92160), noise(2, 1)},
		{"several blocks", noise(3, 300_001), noise(4, 92161)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, h *home) {
				h.put("out", tc.out)
				h.put("err", tc.err)
				got := h.launch(Command{Script: "cat out; cat err >&2"})
				got.want(t, tc.out, tc.err)
			})
		})
	}
}

func allBytes() []byte {
	var b []byte
	for i := range 256 {
		b = append(b, byte(i))
	}
	return b
}

func (l *look) want(t *testing.T, out, err []byte) {
	t.Helper()
	for stream, want := range [2][]byte{out, err} {
		if got := l.out[stream].Bytes(); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, not the %d that were written", streamKeys[stream], len(got), len(want))
		}
		if got := l.end.sizes[stream]; got != int64(len(want)) {
			t.Errorf("%s: the end tells a size of %d, not %d", streamKeys[stream], got, len(want))
		}
	}
}

func TestLaunchShowsMuch(t *testing.T) {
	if testing.Short() {
		t.Skip("20 MB")
	}
	t.Parallel()
	h := newHome(t, []string{"/bin/sh"})
	content := noise(5, 20<<20)
	h.put("out", content)
	h.launch(Command{Args: []string{"cat", "out"}}).want(t, content, nil)
}

func TestLaunchWithoutBase64(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		h.lacks("base64")
		h.put("out", noise(6, 200_000))
		h.launch(Command{Args: []string{"cat", "out"}}).want(t, noise(6, 200_000), nil)
	})
}

// A look can end at any frame. The next one goes on at the byte.
func TestAttachGoesOnAtTheByte(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
		out, errs := noise(7, 150_000), noise(8, 40_000)
		h.put("out", out)
		h.put("err", errs)
		script := "i=0; while [ $i -lt 10 ]; do tail -c +$((i*15000+1)) out | head -c 15000; " +
			"tail -c +$((i*4000+1)) err | head -c 4000 >&2; i=$((i+1)); sleep 0.05; done"
		p, _ := h.upload(Command{Script: script})
		var l look
		args := launchArgs(h.dir, p)
		looks := 0
		for l.exit == nil && looks < 1000 {
			looks++
			left := 1 + random.IntN(4)
			err := h.run(args, func(f frame) error {
				if left--; left < 0 {
					return errEnough
				}
				return l.take(f)
			})
			if err != nil && !errors.Is(err, errEnough) {
				t.Fatal(err)
			}
			args = attachArgs(h.dir, &l)
		}
		t.Logf("%d looks", looks)
		l.want(t, out, errs)
	})
}

func TestAttachToTheEndOnly(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		content := noise(9, 200_000)
		h.put("out", content)
		h.launch(Command{Args: []string{"cat", "out"}})
		var got []byte
		from := int64(0)
		err := h.run([]string{"attach", h.dir, "1000", "0", "4096"}, func(f frame) error {
			if f.kind == frameStdout {
				from, got = f.offset, f.data
			}
			return nil
		})
		if err != nil || from != 200_000-4096 || !bytes.Equal(got, content[from:]) {
			t.Errorf("%d bytes from %d, %v", len(got), from, err)
		}
	})
}

func TestAttachToNothing(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		h.upload(Command{Script: "true"})
		var l look
		if err := h.run(attachArgs(h.dir, &l), l.take); err != nil || !l.gone {
			t.Errorf("not started: gone %v, %v", l.gone, err)
		}
		if got := h.control("prepare", guestRoot+"other-1", "attach", launcherName); got[0] != "gone" {
			t.Errorf("no directory: %q", got)
		}
	})
}

// What a command leaves running keeps its pipes open. The command has ended all the same.
func TestLaunchDoesNotWaitForDaemons(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		var l look
		p, _ := h.upload(Command{Script: "sleep 1000 & echo done"})
		err := h.run(launchArgs(h.dir, p), func(f frame) error {
			if err := l.take(f); err != nil || l.exit == nil {
				return err
			}
			return errEnough
		})
		if !errors.Is(err, errEnough) || l.exit.Code != 0 {
			t.Fatalf("%v, exit %+v", err, l.exit)
		}
		l.want(t, []byte("done\n"), nil)
		if got := h.control("stop", h.dir, "1"); got[0] != "ended" {
			t.Errorf("stop: %q", got)
		}
	})
}

// What the command wrote is waited for until it is stored, however busy the guest is, and whether or not what the command
// leaves running keeps its pipes open.
func TestLaunchWaitsForWhatIsInThePipes(t *testing.T) {
	t.Parallel()
	for name, background := range map[string]string{
		"nothing is left running":    "(sleep 2; kill -CONT $reader) >/dev/null 2>&1 &",
		"a daemon keeps them open":   "(sleep 2; kill -CONT $reader; exec sleep 1000) &",
		"a daemon goes on to write":  "(sleep 2; kill -CONT $reader; while sleep 0.01; do echo more; done) &",
		"a daemon writes much":       "(sleep 2; kill -CONT $reader; head -c 1500000 /dev/zero; exec sleep 1000) &",
		"the other stream is closed": "exec 2>&-; (sleep 2; kill -CONT $reader) >/dev/null &",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, h *home) {
				h.put("out", noise(10, 50_000))
				p, _ := h.upload(Command{Script: "until reader=$(cat .wrenn/exec/*/stdout.open) && [ -n \"${reader%% *}\" ]; do :; done\n" +
					"kill -STOP $reader; " + background + " cat out"})
				var l look
				err := h.run(launchArgs(h.dir, p), func(f frame) error {
					if err := l.take(f); err != nil || l.exit == nil {
						return err
					}
					return errEnough
				})
				if !errors.Is(err, errEnough) || l.exit.Code != 0 {
					t.Fatalf("%v, exit %+v", err, l.exit)
				}
				if got := l.out[stdout]; !bytes.HasPrefix(got.Bytes(), noise(10, 50_000)) || l.end.sizes[stdout] != int64(got.Len()) {
					t.Errorf("%d of %d bytes are shown, 50000 were written", got.Len(), l.end.sizes[stdout])
				}
				if got := h.control("stop", h.dir, "1"); got[0] != "ended" {
					t.Errorf("stop: %q", got)
				}
			})
		})
	}
}

func TestPrepareTellsWhatIsMissing(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		h.lacks("mkfifo", "base64", "od")
		missing := strings.Join(h.control("prepare", h.dir, "launch", launcherName), ", ")
		if !strings.Contains(missing, "missing mkfifo") || !strings.Contains(missing, "missing base64") {
			if h.shell[0] == "/bin/sh" || !strings.Contains(fmt.Sprint(h.shell), "busybox") { // busybox has them built in
				t.Errorf("told %q", missing)
			}
		}
	})
}
