package execrun

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// tree is a command that leaves processes in every way there is, and tells their pids.
const tree = `
echo $$ >>pids
sleep 1000 & echo $! >>pids
(sleep 1001 & echo $! >>pids)
(trap '' TERM; while :; do sleep 1; done) & echo $! >>pids
if command -v setsid >/dev/null; then
	setsid sh -c 'echo $$ >>pids; sleep 1002 & echo $! >>pids; wait' &
	(setsid sh -c '(sleep 1003 & echo $! >>pids) & echo $$ >>pids; exec sleep 1004' &)
fi
env -i PATH="$PATH" sh -c 'echo $$ >>pids; sleep 1005 & echo $! >>pids; wait' &
while [ $(wc -l <pids) -lt WANT ]; do sleep 0.01; done
echo ready
exec sleep 1006
`

func TestStopEndsEveryProcess(t *testing.T) {
	t.Parallel()
	for _, session := range []bool{true, false} {
		t.Run("setsid "+strconv.FormatBool(session), func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, h *home) {
				want := 10
				if !session {
					want = 6
					h.lacks("setsid")
					if strings.Contains(h.shell[0], "busybox") {
						t.Skip("this busybox has setsid built in")
					}
				}
				h.stopTree(strings.ReplaceAll(tree, "WANT", strconv.Itoa(want)))
			})
		})
	}
}

func (h *home) stopTree(script string) {
	h.t.Helper()
	p, _ := h.upload(Command{Script: script})
	var l look
	err := h.run(launchArgs(h.dir, p), func(f frame) error {
		if err := l.take(f); err != nil || l.out[stdout].String() != "ready\n" {
			return err
		}
		return errEnough
	})
	if !errors.Is(err, errEnough) {
		h.t.Fatalf("%v, stdout %q, stderr %q", err, l.out[stdout].String(), l.out[stderr].String())
	}
	pids := h.pids()
	for _, pid := range pids {
		if !alive(pid) {
			h.t.Errorf("process %d is not there before the stop", pid)
		}
	}
	for range 2 { // the second time there is nothing to do
		if got := h.control("stop", h.dir, "1"); got[0] != "ended" {
			h.t.Errorf("stop: %q", got)
		}
	}
	for _, pid := range pids {
		if alive(pid) {
			h.t.Errorf("process %d is there after the stop", pid)
		}
	}
	if err := h.run(attachArgs(h.dir, &l), l.take); err != nil || l.exit == nil || !l.exit.Stopped || l.exit.Kind != Signaled {
		h.t.Errorf("after the stop: %+v, %v", l.exit, err)
	}
}

func (h *home) pids() []int {
	h.t.Helper()
	content, err := os.ReadFile(filepath.Join(h.path, "pids"))
	if err != nil {
		h.t.Fatal(err)
	}
	var pids []int
	for _, field := range strings.Fields(string(content)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			h.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// Stop asks for the marks of all processes at once: a program for each takes longer than a stop may, in a guest that has
// many, and then nothing is ever ended.
func TestStopRunsNoProgramForEachProcess(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		const others = 100
		for range others {
			other := exec.CommandContext(t.Context(), "sleep", "1000")
			if err := other.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
		}
		for _, tool := range []string{"grep", "tr"} {
			target, err := filepath.EvalSymlinks(filepath.Join(h.bin, tool))
			if err != nil {
				t.Fatal(err)
			}
			h.lacks(tool)
			h.counts(target, tool)
		}
		h.launch(Command{Script: "true"})
		if err := os.RemoveAll(filepath.Join(h.path, "calls")); err != nil {
			t.Fatal(err)
		}
		if got := h.control("stop", h.dir, "0"); got[0] != "ended" {
			t.Errorf("stop: %q", got)
		}
		// A shell that has the program built in leaves none.
		if calls, _ := os.ReadFile(filepath.Join(h.path, "calls")); strings.Count(string(calls), "\n") > others/10 {
			t.Errorf("programs were run %d times", strings.Count(string(calls), "\n"))
		}
	})
}

// counts has each run of a program be a line of a file.
func (h *home) counts(target, tool string) {
	h.t.Helper()
	name := tool
	if filepath.Base(target) != "busybox" {
		name = ""
	}
	script := fmt.Sprintf("#!/bin/sh\necho >>%q\nexec %q %s \"$@\"\n", filepath.Join(h.path, "calls"), target, name)
	if err := os.WriteFile(filepath.Join(h.bin, tool), []byte(script), 0o700); err != nil {
		h.t.Fatal(err)
	}
}

// Stop leaves others alone, also those of the same user and those whose id begins alike.
func TestStopEndsNothingElse(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		other := *h
		other.dir = h.dir + "0"
		t.Cleanup(func() { other.control("stop", other.dir, "0") })
		p, _ := other.upload(Command{Script: "echo $$ >>pids; exec sleep 1000"})
		var l look
		if err := other.run(launchArgs(other.dir, p), func(f frame) error {
			if f.kind == framePID {
				l.pid = f.pid
				return errEnough
			}
			return nil
		}); !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		h.launch(Command{Script: "true"})
		if got := h.control("stop", h.dir, "1"); got[0] != "ended" {
			t.Errorf("stop: %q", got)
		}
		if !alive(int(l.pid)) {
			t.Error("the command of another job was ended")
		}
	})
}

// A command that was told to stop before it began never begins.
func TestStopBeforeTheStart(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		p, _ := h.upload(Command{Script: "echo ran >count"})
		if got := h.control("stop", h.dir, "1"); got[0] != "ended" {
			t.Errorf("stop: %q", got)
		}
		var l look
		if err := h.run(launchArgs(h.dir, p), l.take); err != nil || l.exit == nil || l.exit.Kind != Unstarted || !l.exit.Stopped {
			t.Errorf("exit %+v, %v", l.exit, err)
		}
		if _, err := os.Stat(filepath.Join(h.path, "count")); err == nil {
			t.Error("the command was run")
		}
	})
}

func TestCleanRemovesEverything(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		h.launch(Command{Script: "echo x"})
		for range 2 {
			if got := h.control("clean", h.dir); got[0] != "cleaned" {
				t.Errorf("clean: %q", got)
			}
		}
		if _, err := os.Stat(h.file(".")); !os.IsNotExist(err) {
			t.Errorf("the directory is there: %v", err)
		}
	})
}

// A supervisor that was killed leaves no exit code, and the job must not wait for one.
func TestAttachAfterTheSupervisorWasKilled(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		p, _ := h.upload(Command{Script: "echo x; exec sleep 1000"})
		var l look
		if err := h.run(launchArgs(h.dir, p), func(f frame) error {
			if err := l.take(f); err != nil || f.kind != frameStdout {
				return err
			}
			return errEnough
		}); !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		content, err := os.ReadFile(h.file("supervisor"))
		if err != nil {
			t.Fatal(err)
		}
		supervisor, err := strconv.Atoi(strings.TrimSpace(string(content)))
		if err != nil {
			t.Fatal(err)
		}
		kill(t, supervisor)
		if err := h.run(attachArgs(h.dir, &l), l.take); err != nil || l.exit == nil || l.exit.Kind != Unknown {
			t.Errorf("exit %+v, %v", l.exit, err)
		}
	})
}

// The winner of the guard can die before it starts anything.
func TestAttachAfterTheGuardOnly(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		h.upload(Command{Script: "echo x"})
		if err := os.Mkdir(h.file("started"), 0o700); err != nil {
			t.Fatal(err)
		}
		var l look
		if err := h.run(attachArgs(h.dir, &l), l.take); err != nil || l.exit == nil || l.exit.Kind != Unstarted {
			t.Errorf("exit %+v, %v", l.exit, err)
		}
	})
}
