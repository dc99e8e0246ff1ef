package execrun

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// newCodeWorld is a world whose sandbox has a real Jupyter server and Python kernel.
func newCodeWorld(t *testing.T) *world {
	t.Helper()
	if _, err := os.Stat("/usr/bin/jupyter-server"); err != nil {
		t.Skip("no Jupyter server on this machine: Debian has it in jupyter-server, python3-ipykernel and python3-jupyter-client")
	}
	w := newWorld(t, wrenndev.Config{})
	if w.server.Isolation() != wrenndev.Namespaces {
		t.Skip("sandboxes have no namespaces here")
	}
	if err := w.server.BuildCodeRunner(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.sandbox = w.newSandboxOf(wrenn.CreateSandboxRequest{Template: wrenndev.CodeRunnerTemplate})
	return w
}

// cell is an attempt of a job of its own to run a cell.
func (w *world) cell(name, source string) Attempt {
	w.job.Name, w.job.UID = name, types.UID("uid-"+name)
	return w.attempt(Command{Script: source, Language: "python"})
}

// Cells share what they define, and tell what they came to. They run one after the other, since they share a kernel.
func TestCells(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
	for i, tc := range []struct {
		source         string
		code           int32
		stdout, stderr string
		want           CellResult
	}{
		{"x = 6\nprint('out €')\nimport sys; print('err', file=sys.stderr)", 0, "out €\n", "err\n", CellResult{Count: 1}},
		{"x * 7", 0, "", "", CellResult{Count: 2, Text: "42", MIMETypes: []string{"text/plain"}}},
		{"print('a')\n1/0", 1, "a\n", "", CellResult{Count: 3, Error: &CellError{Name: "ZeroDivisionError", Value: "division by zero"}}},
		{"x", 0, "", "", CellResult{Count: 4, Text: "6", MIMETypes: []string{"text/plain"}}},
		{
			"from IPython.display import display\nimport base64\n" +
				"display({'image/png': '" + png + "', 'text/plain': 'picture'}, raw=True)\ndisplay({'application/json': {'a': 1}}, raw=True)",
			0, "", "",
			CellResult{
				Count: 5, MIMETypes: []string{"application/json", "image/png", "text/plain"},
				Files: []cellFile{{"cell-0.png", "image/png", 70}, {"cell-1.json", "application/json", 8}},
			},
		},
		{"'long' * 10000", 0, "", "", CellResult{
			Count: 6, Text: "'" + strings.Repeat("long", 10000)[:16383], MIMETypes: []string{"text/plain"},
			Files: []cellFile{{"cell-0.txt", "text/plain", 40002}},
		}},
		{"import os; os.kill(os.getpid(), 9)", 1, "", "", CellResult{Error: &CellError{Name: "KernelDied", Value: "the kernel died, and what it held with it"}}},
		{"print('x' in dir())", 0, "False\n", "", CellResult{Count: 1}},
	} {
		p := w.run(w.cell(fmt.Sprint("cell-", i), tc.source))
		if p.Exit.Kind != Exited || p.Exit.Code != tc.code || p.Result == nil {
			t.Fatalf("%s: exit %+v, result %+v, stderr %s", tc.source, p.Exit, p.Result, p.Stderr.Tail)
		}
		w.wantStored(p, []byte(tc.stdout), []byte(tc.stderr))
		if diff := cmp.Diff(tc.want, *p.Result, cmpopts.IgnoreFields(CellError{}, "Traceback"), cmpopts.EquateEmpty(),
			cmpopts.IgnoreFields(CellResult{}, ignoredOf(tc.want)...)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tc.source, diff)
		}
		if e := p.Result.Error; e != nil && e.Name == "ZeroDivisionError" && (!strings.Contains(e.Traceback, "1/0") || strings.Contains(e.Traceback, "\x1b")) {
			t.Errorf("traceback %q", e.Traceback)
		}
		for i, file := range tc.want.Files {
			if a := p.Artifacts[i]; a.Name != file.Name || a.MIMEType != file.MIMEType || int64(len(w.artifact(a))) != file.Bytes {
				t.Errorf("artifact %+v", a)
			}
		}
		if i == 4 && !bytes.HasPrefix(w.artifact(p.Artifacts[0]), []byte("\x89PNG")) {
			t.Error("the picture is not stored as bytes")
		}
		w.clean()
	}
}

// ignoredOf leaves out the count of a cell whose kernel may have died before it told.
func ignoredOf(want CellResult) []string {
	if want.Count == 0 {
		return []string{"Count"}
	}
	return nil
}

// A cell that is told to stop is interrupted, and one that waits for it runs then. One that does not let itself be
// interrupted loses its kernel.
func TestCellsAreStopped(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	w.run(w.cell("define", "x = 1"))
	for i, tc := range []struct{ source, failure, after string }{
		{"print('on', flush=True)\nimport time\ntime.sleep(1000)", "KeyboardInterrupt", "True\n"},
		{
			"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('on', flush=True)\nwhile True: pass",
			"KernelRestarted", "False\n",
		},
	} {
		long := w.cell(fmt.Sprint("long-", i), tc.source)
		w.runner.Ensure(long, Follow)
		w.await("output", func(p Progress) bool { return p.Stdout.Bytes == 3 })
		longJob := w.job
		next := w.cell(fmt.Sprint("next-", i), "print('x' in dir())")
		w.runner.Ensure(next, Follow)
		w.await("start", func(p Progress) bool { return p.PID != 0 })
		nextJob := w.job
		withdrawn := w.cell(fmt.Sprint("withdrawn-", i), "del x")
		w.runner.Ensure(withdrawn, Follow)
		w.awaitHeed(w.await("start", func(p Progress) bool { return p.PID != 0 }).PID)
		w.runner.Ensure(withdrawn, Stop)
		if p := w.awaitPhase(Finished); p.Result == nil || p.Result.Error == nil || p.Result.Error.Name != "Stopped" {
			t.Errorf("the cell that waited: %+v", p.Result)
		}
		w.job = longJob
		w.runner.Ensure(long, Stop)
		p := w.awaitPhase(Finished)
		if !p.Exit.Stopped || p.Result == nil || p.Result.Error == nil || p.Result.Error.Name != tc.failure {
			t.Errorf("exit %+v, result %+v", p.Exit, p.Result)
		}
		w.job = nextJob
		p = w.awaitPhase(Finished)
		if got := w.stored(p.ConfigMaps); string(got[stdout]) != tc.after {
			t.Errorf("the cell after it wrote %q", got[stdout])
		}
	}
}

// awaitHeed waits until the client of a cell heeds SIGTERM. Before that, it ends by it without a word.
func (w *world) awaitHeed(pid int32) {
	w.t.Helper()
	eventually(w.t, func() error {
		caught := strings.TrimSpace(w.exec("sed", "-n", `s/^SigCgt:\s*//p`, fmt.Sprintf("/proc/%d/status", pid)))
		signals, err := strconv.ParseUint(caught, 16, 64)
		if err == nil && signals&(1<<(syscall.SIGTERM-1)) == 0 {
			err = fmt.Errorf("it catches %s", caught)
		}
		return err
	})
}

// A new operator finds a cell again, which is run once.
func TestCellOverRestarts(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	a := w.cell("cell", `
import os, time
open(os.path.expanduser("~/count"), "a").write("ran\n")
for i in range(20):
    print("line", i, flush=True)
    time.sleep(0.1)
i`)
	for range 3 {
		w.runner.Ensure(a, Follow)
		w.await("output", func(p Progress) bool { return p.Stdout.Bytes > 0 })
		w.stop()
		w.startRunner(w.api)
	}
	p := w.run(a)
	if p.Result == nil || p.Result.Text != "19" || p.Stdout.Bytes != 10*7+10*8 {
		t.Errorf("progress %+v, result %+v", p, p.Result)
	}
	if got := w.runs(); got != "ran\n" {
		t.Errorf("the cell was run: %q", got)
	}
}

// A sandbox that cannot run cells says what it lacks.
func TestCellWhereThereIsNoKernel(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	a := w.cell("cell", "1")
	a.Command.Language = "cobol"
	p := w.run(a)
	if p.Exit.Code != 125 || p.Result == nil || !strings.Contains(p.Result.Unavailable, "no kernel for cobol, only for: python3") {
		t.Errorf("exit %+v, result %+v", p.Exit, p.Result)
	}
}

func TestParseResult(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		``: false, `null`: false, `[]`: false, `{`: false,
		`{}`:                     true,
		`{"executionCount": -1}`: false,
		`{"files": [{"name": "cell-0.png", "bytes": 1}]}`:                                                           true,
		`{"files": [{"name": "../x", "bytes": 1}]}`:                                                                 false,
		`{"files": [{"name": "cell-0.png", "bytes": -1}]}`:                                                          false,
		`{"files": [{"name": "cell-0.png", "bytes": 1}, {"name": "cell-0.png", "bytes": 1}]}`:                       false,
		`{"executionCount": 2147483648}`:                                                                            false,
		`{"mimeTypes": ["", "text/plain", ""]}`:                                                                     true,
		`{"mimeTypes": ["` + strings.Repeat("€", 129) + `"]}`:                                                       true,
		`{"mimeTypes": [` + strings.Repeat(`"a",`, 32) + `"a"]}`:                                                    false,
		`{"files": [{"name": "cell-0.png", "mimeType": "` + strings.Repeat("€", 129) + `", "bytes": 1}]}`:           true,
		`{"files": [{"name": "cell-0.png", "bytes": 4611686018427387904}]}`:                                         true,
		`{"unavailable": "` + strings.Repeat("€", 2000) + `"}`:                                                      true,
		`{"error": {"name": "` + strings.Repeat("€", 300) + `", "traceback": "` + strings.Repeat("€", 9000) + `"}}`: true,
		`{"text": "` + strings.Repeat("€", 20000) + `", "error": {"value": "` + strings.Repeat("x", 2000) + `"}}`:   true,
	} {
		r := parseResult([]byte(text))
		if (r != nil) != want {
			t.Errorf("%.60s: %+v", text, r)
		}
		if r != nil && !r.isBounded() {
			t.Errorf("%.60s: not bounded: %+v", text, r)
		}
	}
}

// isBounded tells whether the status can hold a result.
func (r *CellResult) isBounded() bool {
	within := func(text string, limit int) bool { return utf8.RuneCountInString(text) <= limit }
	ok := within(r.Unavailable, 1024) && within(r.Text, 16384) && r.Count >= 0 && len(r.MIMETypes) <= 32 && len(r.Files) <= 32
	for _, mime := range r.MIMETypes {
		ok = ok && mime != "" && within(mime, 128)
	}
	for _, file := range r.Files {
		ok = ok && within(file.Name, 40) && within(file.MIMEType, 128) && file.Bytes >= 0
	}
	if e := r.Error; e != nil {
		ok = ok && within(e.Name, 256) && within(e.Value, 1024) && within(e.Traceback, 8192)
	}
	return ok
}
