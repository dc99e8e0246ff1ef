package execrun

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestLaunchTellsHowACommandEnded(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		script string
		want   Exit
	}{
		{"success", "true", Exit{Kind: Exited}},
		{"failure", "exit 3", Exit{Kind: Exited, Code: 3}},
		{"killed", "kill -KILL $$", Exit{Kind: Signaled, Code: 9}},
		{"terminated", "kill -TERM $$", Exit{Kind: Signaled, Code: 15}},
		{"a code that looks like a signal", "exit 137", Exit{Kind: Exited, Code: 137}},
		{"another", "echo Killed >&2; exit 143", Exit{Kind: Exited, Code: 143}},
		{"a child was killed", "sh -c 'kill -9 $$'; exit 137", Exit{Kind: Exited, Code: 137}},
		// No shell tells these two from the codes.
		{"interrupted", "kill -INT $$", Exit{Kind: Exited, Code: 130}},
		{"not found", "exec no-such-program", Exit{Kind: Exited, Code: 127}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, h *home) {
				got := h.launch(Command{Script: tc.script})
				if diff := cmp.Diff(tc.want, *got.exit, cmpopts.IgnoreFields(Exit{}, "Duration")); diff != "" {
					t.Errorf("exit (-want +got):\n%s\nstderr: %s", diff, got.out[stderr].String())
				}
				if got.pid == 0 {
					t.Error("no pid was shown")
				}
			})
		})
	}
}

func TestLaunchLeavesNoProcess(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		h.launch(Command{Script: "echo out; echo err >&2"})
		dir := []byte(h.path + "/")
		eventually(t, func() error {
			lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, path := range lines {
				if line, unread := os.ReadFile(path); unread == nil && bytes.Contains(line, dir) { // it may have ended by now
					err = errors.Join(err, fmt.Errorf("there is %s", bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
				}
			}
			return err
		})
	})
}

func TestLaunchMakesTheEnvironmentOfACommand(t *testing.T) {
	t.Parallel()
	awkward := "it's \"$HOME\"\n`x` \\ \xff*; "
	for _, tc := range []struct {
		name    string
		command Command
		stdout  string
	}{
		{"argv", Command{Args: []string{"printf", "%s|", "a b", "", "$x", awkward}}, "a b||$x|" + awkward + "|"},
		{"variable", Command{Script: `printf %s "$V"`, Env: []EnvVar{{Name: "V", Value: awkward}}}, awkward},
		{"names of the launcher's own", Command{
			Script: `printf %s "$dir$mode$home$id$self"`, Env: []EnvVar{{Name: "dir", Value: "x"}, {Name: "home", Value: "y"}},
		}, "xy"},
		{"names of the launcher's own, with stdin", Command{
			Script: `/bin/cat; PATH=/bin:/usr/bin; cat stdin; ls "$HOME"/.wrenn/exec/*/ | grep -c stdin$`, Stdin: "input\n", Dir: "x",
			Env: []EnvVar{{Name: "dir", Value: "."}, {Name: "PATH", Value: "/nowhere"}},
		}, "input\nof the user\n0\n"},
		{"no leaks", Command{Script: `env | grep -c -e LC_ALL -e OLDPWD -e TIME_STYLE`}, "0\n"},
		{"directory", Command{Args: []string{"sh", "-c", "pwd"}, Dir: "/"}, "/\n"},
		{"home", Command{Script: `[ "$PWD" = "$HOME" ] && echo same`}, "same\n"},
		{"stdin", Command{Script: "cat; ls .wrenn/exec/*/ | grep -c stdin", Stdin: "a\nb\xff" + awkward}, "a\nb\xff" + awkward + "0\n"},
		{"stdin of argv", Command{Args: []string{"cat"}, Stdin: awkward, Dir: "/"}, awkward},
		{"no stdin", Command{Script: "cat; echo end"}, "end\n"},
		{"umask", Command{Script: "umask"}, "0022\n"},
		{"script without end of line", Command{Script: "printf x"}, "x"},
		{"SIGINT is not ignored", Command{Script: `sh -c 'kill -INT $$; echo survived'; echo $?`}, "130\n"},
		{"SIGINT can be trapped", Command{Script: `trap 'echo trapped' INT; kill -INT $$`}, "trapped\n"},
		{"stderr can be opened anew", Command{Script: `echo a >&2; echo b >/dev/stderr; echo c >&2; echo o >/dev/stdout`}, "o\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, h *home) {
				if tc.command.Dir == "x" {
					h.put("x/stdin", []byte("of the user\n"))
				}
				if diff := cmp.Diff(tc.stdout, h.launch(tc.command).out[stdout].String()); diff != "" {
					t.Errorf("stdout (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestLaunchKeepsWhatIsWrittenToReopenedStderr(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		got := h.launch(Command{Script: `echo a >&2; echo b >/dev/stderr; echo c >&2`})
		if diff := cmp.Diff("a\nb\nc\n", got.out[stderr].String()); diff != "" {
			t.Errorf("stderr (-want +got):\n%s", diff)
		}
	})
}

func TestLaunchTellsOfADirectoryThatIsNotThere(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		got := h.launch(Command{Script: "echo ran", Dir: "/no/such/directory"})
		if got.exit.Code != 126 || got.out[stdout].Len() > 0 || !strings.Contains(got.out[stderr].String(), "/no/such/directory") {
			t.Errorf("got %+v, stdout %q, stderr %q", got.exit, got.out[stdout].String(), got.out[stderr].String())
		}
	})
}

func TestPayloadDoesNotStayInTheGuest(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, h *home) {
		got := h.launch(Command{
			Script: "cat .wrenn/exec/*/payload 2>/dev/null; tr '\\0' '\\n' </proc/$PPID/environ | grep -c hunter",
			Env:    []EnvVar{{Name: "TOKEN", Value: "hunter2-and-more", Secret: true}},
		})
		if diff := cmp.Diff("0\n", got.out[stdout].String()); diff != "" {
			t.Errorf("stdout (-want +got):\n%s", diff)
		}
		if left, err := filepath.Glob(h.file("payload*")); err != nil || len(left) > 0 {
			t.Errorf("the payload is there: %v, %v", left, err)
		}
		if info, err := os.Stat(h.file(".")); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the directory: %v, %v", info.Mode(), err)
		}
	})
}
