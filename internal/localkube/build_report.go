package localkube

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// buildReport reads what go build -v writes, counts it, and keeps the last lines, which hold the error if there
// is one.
type buildReport struct {
	progress io.Writer
	started  time.Time

	mu         sync.Mutex
	partial    []byte // a line whose end has not come yet
	last       []string
	compiled   int
	downloaded int
}

func newBuildReport(progress io.Writer) *buildReport {
	return &buildReport{progress: progress, started: time.Now()}
}

// Write takes the output of go build.
func (r *buildReport) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.partial = append(r.partial, p...)
	for {
		line, rest, found := bytes.Cut(r.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		r.line(string(line))
		r.partial = rest
	}
}

func (r *buildReport) line(line string) {
	const keep = 20
	if strings.HasPrefix(line, "go: downloading ") {
		r.downloaded++
		return
	}
	r.compiled++
	if r.last = append(r.last, line); len(r.last) > keep {
		r.last = r.last[1:]
	}
}

// tellEvery writes a line of progress at each interval until the function that it returns is called.
func (r *buildReport) tellEvery(interval time.Duration) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				r.tell()
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (r *buildReport) tell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.progress, "control plane: %s: %d modules fetched, %d packages compiled\n",
		time.Since(r.started).Round(time.Second), r.downloaded, r.compiled)
}

func (r *buildReport) lastLines() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(append(r.last, string(r.partial)), "\n")
}
