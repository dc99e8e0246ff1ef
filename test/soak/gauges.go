package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// held is what the manager holds on to.
type held struct {
	// heap is live memory in bytes: what the latest collection has left.
	heap                float64
	goroutines, sockets int
	// collections counts those of the garbage since the start.
	collections float64
}

// tolerance is how much more may be held at the end than after the warm-up.
type tolerance struct {
	heapShare           float64
	goroutines, sockets int
}

const (
	// eventsFor is the longest that client-go keeps the events that it has told, to tell one that comes again as a series,
	// and eventsOf is what those of a job take. They are let go of, but later than the end of a soak of minutes.
	eventsFor = 12 * time.Minute
	eventsOf  = 4 << 10
)

// exceeded says what is held at the end beyond what is tolerated. Recent are the jobs whose events may still be kept.
func (t tolerance) exceeded(first, last held, recent int) error {
	var errs []error
	if limit := first.heap*(1+t.heapShare) + float64(recent*eventsOf); last.heap > limit {
		errs = append(errs, fmt.Errorf("the heap has grown from %.1f to %.1f MiB, beyond %.1f", mib(first.heap), mib(last.heap), mib(limit)))
	}
	if limit := first.goroutines + t.goroutines; last.goroutines > limit {
		errs = append(errs, fmt.Errorf("there were %d goroutines and are %d, more than %d", first.goroutines, last.goroutines, limit))
	}
	if limit := first.sockets + t.sockets; last.sockets > limit {
		errs = append(errs, fmt.Errorf("there were %d sockets and are %d, more than %d", first.sockets, last.sockets, limit))
	}
	return errors.Join(errs...)
}

func mib(bytes float64) float64 { return bytes / (1 << 20) }

// measure reads what the manager holds just now.
func (w *world) measure(ctx context.Context) (held, error) {
	var h held
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.Replace(w.manager.MetricsURL, "https:", "http:", 1), nil)
	if err != nil {
		return h, err
	}
	answer, err := w.metrics.Do(request)
	if err != nil {
		return h, err
	}
	defer func() { _ = answer.Body.Close() }()
	if h, err = read(answer.Body); err != nil {
		return h, err
	}
	h.sockets, err = sockets(w.manager.PID())
	return h, err
}

// read takes what is of interest from the text that metrics are served in. None of it has labels.
func read(text io.Reader) (held, error) {
	values := map[string]float64{"go_gc_heap_live_bytes": 0, "go_gc_cycles_total_gc_cycles_total": 0, "go_goroutines": 0}
	missing := len(values)
	for lines := bufio.NewScanner(text); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if _, wanted := values[name]; !wanted {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return held{}, err
		}
		values[name] = number
		missing--
	}
	if missing != 0 {
		return held{}, errors.New("the manager's metrics are not those that are looked for")
	}
	return held{
		heap: values["go_gc_heap_live_bytes"], collections: values["go_gc_cycles_total_gc_cycles_total"],
		goroutines: int(values["go_goroutines"]),
	}, nil
}

// sockets counts those that a process has open.
func sockets(pid int) (int, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return 0, err
	}
	n := 0
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && strings.HasPrefix(target, "socket:") { // it may be closed by now
			n++
		}
	}
	return n, nil
}

// collected is how many collections of garbage there must be while the least is looked for: one may have begun before, and
// what has a finalizer needs another.
const collected = 3

// least is the least that the manager holds over a while. To be asked makes garbage, so it is asked until that was
// collected often enough.
func (w *world) least(ctx context.Context, watch time.Duration) (held, error) {
	first, err := w.measure(ctx)
	if err != nil {
		return first, err
	}
	least := first
	for begun := time.Now(); ; {
		now, err := w.measure(ctx)
		if err != nil {
			return least, err
		}
		least.heap = min(least.heap, now.heap)
		least.goroutines = min(least.goroutines, now.goroutines)
		least.sockets = min(least.sockets, now.sockets)
		if time.Since(begun) > watch && now.collections-first.collections >= collected {
			return least, nil
		}
		if time.Since(begun) > patience {
			return least, errors.New("the manager collects no garbage")
		}
	}
}
