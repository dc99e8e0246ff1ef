package localkube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Stop ends all processes of the control plane and returns when they are gone. A temporary data directory is
// removed. It may be called again, and by several goroutines at once: each call returns after the end, with the
// same result. It is an error if a server had ended by itself before.
func (cp *ControlPlane) Stop() error { return cp.stop(nil) }

func (cp *ControlPlane) stop(cause error) error {
	cp.stopOnce.Do(func() {
		close(cp.stopping)
		grace := stopGrace
		if cause != nil {
			grace = time.Second // an API server whose etcd is gone tries for a minute to write what it cannot
		}
		cp.stopErr = errors.Join(cause, cp.end(grace))
		close(cp.done)
	})
	<-cp.done
	return cp.stopErr
}

// Done is closed when the control plane has ended, for whatever reason.
func (cp *ControlPlane) Done() <-chan struct{} { return cp.done }

func (cp *ControlPlane) end(grace time.Duration) error {
	var errs []error
	// Against the order of the start: nobody is left to complain that what it depends on is gone.
	processes := cp.processes()
	for i := len(processes) - 1; i >= 0; i-- {
		errs = append(errs, processes[i].stop(grace))
	}
	if cp.lock.file != nil {
		cp.lock.unlock()
	}
	for _, dir := range cp.remove {
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}

// processes are those that were started, in the order in which they were.
func (cp *ControlPlane) processes() []*process {
	var started []*process
	for _, p := range []*process{cp.etcd, cp.apiServer, cp.controllerManager} {
		if p != nil {
			started = append(started, p)
		}
	}
	return started
}

// supervise stops the control plane when ctx is done, and when one of its servers ends by itself: the rest would be
// of no use.
func (cp *ControlPlane) supervise(ctx context.Context) {
	ended := make(chan *process, len(cp.processes()))
	for _, p := range cp.processes() {
		go func() { <-p.done; ended <- p }()
	}
	select {
	case <-cp.stopping:
	case <-ctx.Done():
		_ = cp.stop(nil)
	case p := <-ended:
		select {
		case <-cp.stopping: // it was told to
			return
		default:
		}
		err := p.exitError()
		cp.log("%v", err)
		_ = cp.stop(err)
	}
}

func (cp *ControlPlane) log(format string, arguments ...any) {
	fmt.Fprintf(cp.logTo, "control plane: "+format+"\n", arguments...)
}

// lineWriter makes a writer safe for several goroutines, and a nil one silent.
type lineWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *lineWriter) Write(p []byte) (int, error) {
	if w.to == nil {
		return len(p), nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}
