package execrun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// shells are those that a guest may have as /bin/sh, and the one that this machine has. One under two names is there once.
func shells(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	seen := map[string]bool{}
	for _, shell := range []struct {
		name string
		argv []string
	}{
		{"dash", []string{"dash"}},
		{"busybox", []string{"busybox", "sh"}},
		{"bash", []string{"bash", "--posix"}},
		{"sh", []string{"/bin/sh"}},
	} {
		path, err := exec.LookPath(shell.argv[0])
		if err != nil {
			continue
		}
		resolved, err := filepath.EvalSymlinks(path)
		if err != nil {
			t.Fatal(err)
		}
		// Bash alone does other things under another name.
		if seen[resolved] && shell.name == "sh" && filepath.Base(resolved) != "bash" {
			continue
		}
		seen[resolved] = true
		found[shell.name] = append([]string{path}, shell.argv[1:]...)
	}
	return found
}

// eachShell runs a test with every shell there is, each in a home of its own.
func eachShell(t *testing.T, test func(t *testing.T, h *home)) {
	t.Helper()
	for name, argv := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newHome(t, argv))
		})
	}
}

// home is a guest's home directory, as plain files and processes.
type home struct {
	t     *testing.T
	path  string
	bin   string
	shell []string
	dir   string
}

// homes numbers them: the processes of a command are known by its id.
var homes atomic.Int64

// newHome makes a home whose programs are the shell's own where it is busybox, and whose sh is the shell.
func newHome(t *testing.T, shell []string) *home {
	t.Helper()
	h := &home{t: t, path: t.TempDir(), bin: t.TempDir(), shell: shell, dir: fmt.Sprintf("%stest%d-1", guestRoot, homes.Add(1))}
	for _, tool := range []string{
		"base64", "cat", "date", "dd", "grep", "head", "kill", "ls", "mkdir", "mkfifo", "mv", "od", "rm", "setsid", "sleep", "tail",
		"tr", "wc", "env", "true", "printf",
	} {
		target, err := exec.LookPath(tool)
		if filepath.Base(shell[0]) == "busybox" {
			target, err = shell[0], nil
		}
		if err == nil {
			h.link(target, tool)
		}
	}
	script := "#!/bin/sh\nexec " + strings.Join(shell, " ") + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(h.bin, "sh"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.control("stop", h.dir, "0") })
	return h
}

func (h *home) link(target, name string) {
	h.t.Helper()
	if err := os.Symlink(target, filepath.Join(h.bin, name)); err != nil {
		h.t.Fatal(err)
	}
}

// lacks takes programs away.
func (h *home) lacks(tools ...string) {
	h.t.Helper()
	for _, tool := range tools {
		if err := os.Remove(filepath.Join(h.bin, tool)); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *home) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, h.shell[0], append(h.shell[1:], args...)...)
	cmd.Dir, cmd.Env = h.path, []string{"PATH=" + h.bin, "HOME=" + h.path}
	return cmd
}

func (h *home) control(args ...string) []string {
	h.t.Helper()
	out, err := h.command(context.Background(), append([]string{"-c", controlScript, "wrenn-exec"}, args...)...).Output()
	words := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || words[len(words)-1] != "end" {
		h.t.Errorf("control %v: %v, %q", args, err, out)
	}
	return words[:len(words)-1]
}

// upload prepares the directory as the Runner does, and returns what was found in it.
func (h *home) upload(c Command) (*payload, []string) {
	h.t.Helper()
	found := h.control("prepare", h.dir, "launch", launcherName)
	p, err := newPayload(c)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, file := range append(p.files, uploadedFile{launcherName, launchScript}) {
		h.write(file.name, file.content)
	}
	return p, found
}

// write writes a file of the attempt's directory.
func (h *home) write(name string, content []byte) {
	h.t.Helper()
	if err := os.WriteFile(h.file(name), content, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *home) file(name string) string { return filepath.Join(h.path, h.dir, name) }

// look is what one run of the launcher showed.
type look struct {
	out  [2]bytes.Buffer
	pid  int32
	exit *Exit
	end  frame
	gone bool
	last frameKind
}

// errEnough ends a look from outside.
var errEnough = errors.New("seen enough")

func (l *look) take(f frame) error {
	l.last = f.kind
	switch f.kind {
	case framePID:
		l.pid = f.pid
	case frameStdout, frameStderr:
		stream := stdout
		if f.kind == frameStderr {
			stream = stderr
		}
		if f.offset != int64(l.out[stream].Len()) {
			return fmt.Errorf("offset %d after %d bytes", f.offset, l.out[stream].Len())
		}
		_, _ = l.out[stream].Write(f.data) // never fails
	case frameExit:
		l.exit, l.end = &f.exit, f
	case frameGone:
		l.gone = true
	}
	return nil
}

// run starts the launcher and reads it to its end, or until take fails, and then kills it.
func (h *home) run(args []string, take func(frame) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := h.command(ctx, append([]string{h.dir + "/" + launcherName}, args...)...)
	stream, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { _ = cmd.Wait() }()
	var input lines
	block := make([]byte, 32<<10)
	for {
		n, readErr := stream.Read(block)
		err := input.feed(string(block[:n]), func(line []byte) error {
			f, err := parseFrame(line)
			if err != nil {
				return fmt.Errorf("%w: %.80q", err, line)
			}
			return take(f)
		})
		if err != nil {
			_ = cmd.Process.Kill()
			return err
		}
		if readErr != nil {
			return nil
		}
	}
}

// launch runs a command to its end.
func (h *home) launch(c Command) *look {
	h.t.Helper()
	p, _ := h.upload(c)
	var l look
	if err := h.run(launchArgs(h.dir, p), l.take); err != nil {
		h.t.Fatal(err)
	}
	if l.exit == nil {
		h.t.Fatalf("the launcher showed no end, last %q", l.last)
	}
	return &l
}

func launchArgs(dir string, p *payload) []string {
	args := []string{"launch", dir, "0", "0", "0"}
	for _, file := range p.files {
		args = append(args, file.name, strconv.Itoa(len(file.content)))
	}
	return args
}

func attachArgs(dir string, l *look) []string {
	return []string{"attach", dir, strconv.Itoa(l.out[stdout].Len()), strconv.Itoa(l.out[stderr].Len()), "0"}
}

// alive tells whether a process is there and is not a zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !errors.Is(err, os.ErrNotExist)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
