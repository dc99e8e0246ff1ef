package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// ledger is a directory of this machine in which commands write down what they do. The guests share its files, and whatever
// befalls a sandbox or the operator does not befall it.
type ledger struct{ dir string }

// keepsLedger is what the script of every command begins with: it notes that it was run, where its files are, and, with
// the functions, what it writes.
const keepsLedger = `echo "$WRENN_EXEC_ID ${0%/*}" >>"$LEDGER/runs"
out() { tee -a "$LEDGER/$WRENN_EXEC_ID.stdout"; }
err() { tee -a "$LEDGER/$WRENN_EXEC_ID.stderr" >&2; }
`

// commandRun is one time that a command was run.
type commandRun struct {
	job     types.UID
	attempt int32
	// dir holds the files that the operator has in the guest for the attempt.
	dir string
}

// runs are all of them, in order.
func (l ledger) runs() ([]commandRun, error) {
	var found []commandRun
	err := l.lines("runs", func(r commandRun, rest string) { found = append(found, commandRun{r.job, r.attempt, rest}) })
	return found, err
}

// hasFiles tells that the operator's files of an attempt are still in the guest.
func (r commandRun) hasFiles() bool {
	_, err := os.Stat(r.dir)
	return err == nil
}

// left are the processes that were noted of an attempt and are still there. Those that a command starts at its side are
// noted in a file of their own: with "$WRENN_EXEC_ID" and the number in a line.
func (l ledger) left(of func(commandRun) bool) ([]string, error) {
	var found []string
	err := l.lines("processes", func(r commandRun, number string) {
		if of(r) && isProcessOf(number, r) {
			found = append(found, fmt.Sprintf("process %s of attempt %d", number, r.attempt))
		}
	})
	return found, err
}

// isProcessOf tells a process of an attempt from one that is dead, and from another that got its number.
func isProcessOf(number string, r commandRun) bool {
	environment, err := os.ReadFile(filepath.Join("/proc", number, "environ")) //nolint:gosec // a number that our own script wrote
	return err == nil && slices.ContainsFunc(bytes.Split(environment, []byte{0}), func(variable []byte) bool {
		return string(variable) == fmt.Sprintf("WRENN_EXEC_ID=%s-%d", r.job, r.attempt)
	})
}

// lines reads a file of lines that begin with an attempt. There is none before the first.
func (l ledger) lines(name string, take func(of commandRun, rest string)) error {
	content, err := os.ReadFile(filepath.Join(l.dir, name)) //nolint:gosec // in a directory of our own
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(content)) {
		id, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		at := strings.LastIndexByte(id, '-')
		if at < 0 {
			return fmt.Errorf("%q is no line of %s", line, name)
		}
		attempt, err := strconv.ParseInt(id[at+1:], 10, 32)
		if err != nil {
			return fmt.Errorf("%q is no line of %s: %w", line, name, err)
		}
		take(commandRun{job: types.UID(id[:at]), attempt: int32(attempt)}, rest)
	}
	return nil
}

// streams are the names of the two streams of a command, in the ledger and in ConfigMaps.
var streams = [2]string{"stdout", "stderr"}

// written is what the command of an attempt wrote to its streams.
func (l ledger) written(job types.UID, attempt int32) (all [2][]byte, err error) {
	for i, stream := range streams {
		all[i], err = os.ReadFile(filepath.Join(l.dir, fmt.Sprintf("%s-%d.%s", job, attempt, stream)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return all, err
		}
	}
	return all, nil
}

// allow makes the file that a command waits for.
func (l ledger) allow() error { return os.WriteFile(filepath.Join(l.dir, "go"), nil, 0o600) }
