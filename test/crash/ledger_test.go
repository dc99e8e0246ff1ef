package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// What a command notes is read back: that it ran, what it wrote, and the processes of it that are left.
func TestLedger(t *testing.T) {
	t.Parallel()
	l := ledger{dir: t.TempDir()}
	for range 2 {
		script := exec.CommandContext(t.Context(), "/bin/sh", "-c", keepsLedger+"printf 'a\\0' | out; printf b | err", "/guest/dir/script")
		script.Env = append(os.Environ(), "LEDGER="+l.dir, "WRENN_EXEC_ID=some-uid-2")
		if text, err := script.CombinedOutput(); err != nil || string(text) != "a\x00b" {
			t.Fatalf("it wrote %q, error %v", text, err)
		}
	}
	runs, err := l.runs()
	if want := (commandRun{job: "some-uid", attempt: 2, dir: "/guest/dir"}); err != nil || len(runs) != 2 || runs[0] != want || runs[1] != want {
		t.Errorf("runs: %+v, error %v", runs, err)
	}
	if written, err := l.written("some-uid", 2); err != nil || string(written[0]) != "a\x00a\x00" || string(written[1]) != "bb" {
		t.Errorf("written: %q, error %v", written, err)
	}
	lasting := lastingCommand(t, "some-uid-2")
	note := fmt.Sprintf("some-uid-2 %d\nsome-uid-3 %d\n", lasting.Process.Pid, lasting.Process.Pid)
	if err := os.WriteFile(filepath.Join(l.dir, "processes"), []byte(note), 0o600); err != nil {
		t.Fatal(err)
	}
	left := func() []string {
		found, err := l.left(func(commandRun) bool { return true })
		if err != nil {
			t.Error(err)
		}
		return found
	}
	if found := left(); len(found) != 1 {
		t.Errorf("left: %v", found)
	}
	_ = lasting.Process.Kill()
	_ = lasting.Wait()
	if found := left(); len(found) != 0 {
		t.Errorf("left of a dead process: %v", found)
	}
}

// lastingCommand is a process of an attempt that lasts until it is killed. It has said something already: until it runs
// its program, which Start does not wait for to the end, the kernel shows no environment of it.
func lastingCommand(t *testing.T, attempt string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), "/bin/sh", "-c", "echo runs; read -r line")
	command.Env = append(os.Environ(), "WRENN_EXEC_ID="+attempt)
	if _, err := command.StdinPipe(); err != nil { // which nothing is written to
		t.Fatal(err)
	}
	says, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := says.Read(make([]byte, len("runs\n"))); err != nil {
		t.Fatal(err)
	}
	return command
}

// A job that was finished and runs again contradicts itself, whatever becomes of it.
func TestHistorySeesAFinishedJobRunAgain(t *testing.T) {
	t.Parallel()
	h := newHistory()
	see := func(attempts int32, finished bool) int {
		job := &v1alpha1.ExecJob{Status: v1alpha1.ExecJobStatus{Attempts: attempts, SandboxID: fmt.Sprint("cl-", attempts), ObservedGeneration: -1}}
		job.UID = "some-uid"
		if finished {
			job.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionFailed, Status: metav1.ConditionTrue}}
			job.Status.ObservedGeneration = 0
		}
		h.sees(job)
		return len(h.broken)
	}
	if n := see(1, false) + see(2, true) + see(2, true); n != 0 {
		t.Errorf("%v", h.broken)
	}
	if see(2, false) != 1 || see(3, true) != 2 {
		t.Errorf("%v", h.broken)
	}
	if past := h.jobsSoFar()["some-uid"]; past.attempts != 3 || past.remotes[2] != "cl-2" {
		t.Errorf("%+v", past)
	}
}
