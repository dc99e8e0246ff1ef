package execrun

import (
	"bytes"
	"errors"
	"fmt"
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
		for i := range 3 { // script, stdin and payload
			p, _ := h.upload(command)
			cut := p.files[i]
			h.write(cut.name, cut.content[:len(cut.content)-1])
			var l look
			if err := h.run(launchArgs(h.dir, p), l.take); err != nil || l.last != frameIncomplete {
				t.Errorf("%s cut short: last frame %q, %v", cut.name, l.last, err)
			}
		}
		if _, err := os.Stat(filepath.Join(h.path, "count")); err == nil {
			t.Error("the command was run")
		}
	})
}

// A payload of which a launcher finds only the beginning, wherever that ends, is not run, and said not to be.
func TestAPayloadThatIsCutShortIsNotRun(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		p, err := newPayload(Command{
			Args: []string{"sh", "-c", "cat >count"}, Env: []EnvVar{{Name: "V", Value: "a\nb'c"}}, Stdin: "input", Dir: h.path,
		})
		if err != nil {
			t.Fatal(err)
		}
		content := string(p.files[len(p.files)-1].content)
		attempt := h.dir
		for cut := range len(content) - 1 {
			if cut > 0 && content[cut-1] != '\n' && cut != len(content)-4 {
				continue
			}
			h.dir = fmt.Sprintf("%s-%d", attempt, cut)
			h.control("prepare", h.dir, "launch", launcherName)
			if err := os.Mkdir(h.file("started"), 0o700); err != nil {
				t.Fatal(err)
			}
			h.write(launcherName, launchScript)
			h.write("stdin", []byte("input"))
			h.write("payload", []byte(content[:cut]))
			var l look
			if err := errors.Join(h.run([]string{"supervise", h.dir}, l.take), h.run(attachArgs(h.dir, &l), l.take)); err != nil {
				t.Fatal(err)
			}
			if l.exit == nil || l.exit.Kind != Unstarted {
				t.Errorf("cut after %q: exit %+v", content[:cut], l.exit)
			}
		}
		if _, err := os.Stat(filepath.Join(h.path, "count")); err == nil {
			t.Error("the command was run")
		}
	})
}

// What one operator uploads does not change what another has uploaded and started.
func TestAnUploadLeavesAnotherAlone(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		command := Command{Script: "cat; exit 3", Stdin: "input"}
		p, _ := h.upload(command)
		other, _ := h.upload(command)
		for _, file := range other.files {
			h.write(file.name, file.content[:len(file.content)/2])
		}
		var l look
		if err := h.run(launchArgs(h.dir, p), l.take); err != nil || l.exit == nil || l.exit.Code != 3 {
			t.Fatalf("exit %+v, last %q, %v", l.exit, l.last, err)
		}
		l.want(t, []byte("input"), nil)
	})
}

// A directory that an upload has made, where somebody removed the one with the guard, is not one to start anything in.
func TestADirectoryOfAnUploadIsNotLaunchedIn(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		command := Command{Script: "echo ran >count"}
		h.upload(command)
		if err := errors.Join(os.RemoveAll(h.file(".")), os.MkdirAll(h.file("."), 0o700)); err != nil {
			t.Fatal(err)
		}
		if found := h.control("prepare", h.dir, "again", launcherName); found[0] != "gone" {
			t.Errorf("prepare found %q", found)
		}
		p, err := newPayload(command)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range append(p.files, uploadedFile{launcherName, launchScript}) {
			h.write(file.name, file.content)
		}
		var l look
		if err := h.run(launchArgs(h.dir, p), l.take); err != nil || !l.gone {
			t.Errorf("last frame %q, %v", l.last, err)
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
		h.write(launcherName, launchScript[:cut])
		if err := h.run(launchArgs(h.dir, p), func(frame) error { return nil }); err != nil {
			t.Logf("cut at %d: %v", cut, err)
		}
		if _, err := os.Stat(h.file("started")); err == nil {
			t.Fatalf("cut at %d, it passed the guard", cut)
		}
	}
}
