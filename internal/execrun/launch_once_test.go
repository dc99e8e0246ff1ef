package execrun

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestACommandIsStartedOnce(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		p, _ := h.upload(Command{Script: "echo ran >>count; echo out"})
		var group sync.WaitGroup
		for range 12 {
			group.Go(func() { _ = h.run(launchArgs(h.dir, p), func(frame) error { return nil }) })
		}
		group.Wait()
		// Uploading anew, as after a restart, does not start it anew.
		_, found := h.upload(Command{Script: "echo ran >>count; echo out"})
		if found[0] != "started" {
			t.Errorf("prepare found %q", found)
		}
		var l look
		if err := h.run(launchArgs(h.dir, p), l.take); err != nil {
			t.Fatal(err)
		}
		count, err := os.ReadFile(filepath.Join(h.path, "count"))
		if err != nil || string(count) != "ran\n" {
			t.Errorf("the command wrote %q, %v", count, err)
		}
		l.want(t, []byte("out\n"), nil)
	})
}

func TestAnIncompleteUploadIsNotRun(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		command := Command{Script: "echo ran >count", Stdin: "input"}
		p, _ := h.upload(command)
		for _, cut := range []string{"payload", "script", "stdin"} {
			h.upload(command)
			content, err := os.ReadFile(h.file(cut))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(h.file(cut), content[:len(content)-1], 0o600); err != nil {
				t.Fatal(err)
			}
			var l look
			if err := h.run(launchArgs(h.dir, p), l.take); err != nil || l.last != frameIncomplete {
				t.Errorf("%s cut short: last frame %q, %v", cut, l.last, err)
			}
		}
		if _, err := os.Stat(filepath.Join(h.path, "count")); err == nil {
			t.Error("the command was run")
		}
	})
}

// A launcher that was cut short does nothing at all.
func TestAnIncompleteLauncherDoesNothing(t *testing.T) {
	t.Parallel()
	h := newHome(t, []string{"/bin/sh"})
	p, _ := h.upload(Command{Script: "true"})
	for cut := bytes.LastIndex(launchScript, []byte("\ncase $mode in")); cut > 0; cut -= 97 {
		if err := os.WriteFile(h.file(launcherName), launchScript[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := h.run(launchArgs(h.dir, p), func(frame) error { return nil }); err != nil {
			t.Logf("cut at %d: %v", cut, err)
		}
		if _, err := os.Stat(h.file("started")); err == nil {
			t.Fatalf("cut at %d, it passed the guard", cut)
		}
	}
}
