package localkube

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// keeperArgument makes this test binary a program that starts a process, tells its id, and then does nothing.
const keeperArgument = "keep-a-process"

func runKeeper() int {
	dir, err := os.MkdirTemp("", "localkube-keeper-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	p, err := startProcess("child", "/bin/sh", []string{"-c", "sleep 1000 & wait"}, dir)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_ = os.RemoveAll(dir) // nobody will be left to do so
	fmt.Println(p.cmd.Process.Pid)
	<-p.done
	return 1
}

func TestChildDiesWithAKilledParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends children with their parent")
	}
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	keeper := exec.CommandContext(t.Context(), program, keeperArgument)
	output, err := keeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the keeper says %q", line)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the child is not there: %v", err)
	}
	if err := keeper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = keeper.Wait()
	eventually(t, "the child gone", func() error {
		if state := processState(pid); state != "" && state != "Z" {
			return fmt.Errorf("process %d: %w (state %s)", pid, errStill, state)
		}
		return nil
	})
}

// processState is the letter of a process's state, or empty if there is no such process. An orphan that the first
// process of a container does not reap stays there as a zombie.
func processState(pid int) string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(content), ") ")
	return after[:1]
}

func TestProcessThatIgnoresSIGTERMIsKilled(t *testing.T) {
	t.Parallel()
	p, err := startProcess("stubborn", "/bin/sh", []string{"-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the signal ignored", func() error {
		if p.logTail() != "deaf" {
			return errStill
		}
		return nil
	})
	err = p.stop(50 * time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "stubborn did not end within 50ms of SIGTERM and was killed") {
		t.Errorf("stop: %v", err)
	}
	assertGone(t, []int{p.cmd.Process.Pid})
	if err := p.stop(0); err != nil {
		t.Errorf("stop of one that is gone: %v", err)
	}
}

func TestExitErrorShowsTheEndOfTheLog(t *testing.T) {
	t.Parallel()
	p, err := startProcess("talker", "/bin/sh", []string{"-c", "seq 1000; echo it is broken >&2; exit 7"}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	message := p.exitError().Error()
	for _, want := range []string{"talker ended unexpectedly (exit status 7)", p.logPath, "\n1000\nit is broken"} {
		if !strings.Contains(message, want) {
			t.Errorf("%q does not contain %q", message, want)
		}
	}
	if lines := strings.Count(message, "\n"); lines != 15 {
		t.Errorf("%d lines of log, want the last 15", lines)
	}
}

func TestStartProcessThatIsNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := startProcess("etcd", dir+"/etcd", nil, dir); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "etcd: no program at ") {
		t.Errorf("error %v", err)
	}
	if _, err := startProcess("etcd", dir, nil, dir); err == nil || !strings.Contains(err.Error(), "not a program") {
		t.Errorf("error %v", err)
	}
}
