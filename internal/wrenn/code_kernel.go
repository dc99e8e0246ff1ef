package wrenn

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// maxKernels bounds the kernels that a client remembers; more can be in use at once.
const maxKernels = 1024

// codePace is the rhythm of RunCode.
type codePace struct {
	// settle is how long a cell may take to stop.
	settle time.Duration
	// half is how long the kernel may be silent between telling that a cell has ended and how.
	half time.Duration
	// longest is the longest pause between two looks for a kernel.
	longest time.Duration
}

var defaultCodePace = codePace{settle: 5 * time.Second, half: 10 * time.Second, longest: 500 * time.Millisecond}

// kernelKey says which kernel is meant: the first of its language in a sandbox.
type kernelKey struct {
	sandbox  string
	port     int
	language string
}

// kernel is what a client knows of a kernel. Cells of one client take turns at it, so that one that still waits is not at
// the kernel yet, from where nothing can call it back.
type kernel struct {
	// turn holds one token: whoever has it runs a cell.
	turn chan struct{}

	// What follows is guarded by kernels.mu. id is empty until the kernel is found, and again when it is gone. users is how
	// many calls have the kernel, and last when one had it last.
	id    string
	users int
	last  time.Time
}

// kernels are those that a client remembers.
type kernels struct {
	mu    sync.Mutex
	known map[kernelKey]*kernel
}

// lease returns the kernel of a key, and what is to be called when it is not needed any more.
func (ks *kernels) lease(key kernelKey) (*kernel, func()) {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	k := ks.known[key]
	if k == nil {
		ks.makeRoom()
		k = &kernel{turn: make(chan struct{}, 1)}
		ks.known[key] = k
	}
	k.users++
	return k, func() {
		ks.mu.Lock()
		defer ks.mu.Unlock()
		k.users--
		k.last = time.Now()
	}
}

// makeRoom forgets the kernel that was not used for the longest time, when there are many.
func (ks *kernels) makeRoom() {
	if len(ks.known) < maxKernels {
		return
	}
	var oldest kernelKey
	for key, k := range ks.known {
		if k.users == 0 && (oldest == (kernelKey{}) || k.last.Before(ks.known[oldest].last)) {
			oldest = key
		}
	}
	delete(ks.known, oldest)
}

// forget has the kernels of a sandbox looked for anew. Its processes may not be those of before.
func (ks *kernels) forget(sandbox string) {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	for key, k := range ks.known {
		if key.sandbox != sandbox {
			continue
		}
		if k.id = ""; k.users == 0 {
			delete(ks.known, key)
		}
	}
}

func (ks *kernels) idOf(k *kernel) string {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	return k.id
}

func (ks *kernels) setID(k *kernel, id string) {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	k.id = id
}

// wait returns when it is the caller's turn, which ends with the function returned.
func (k *kernel) wait(ctx context.Context, op string) (done func(), err error) {
	if ctx.Err() == nil {
		select {
		case k.turn <- struct{}{}:
			return func() { <-k.turn }, nil
		case <-ctx.Done():
		}
	}
	return nil, &Error{Op: op, Message: "nothing was run: " + endOf(ctx).Error(), Err: endOf(ctx)}
}

// connect returns a connection to the kernel, found or made, within the time for that. Until then it overlooks what a
// server that is not up yet looks like; a clear no of anybody's is told at once.
func (j *jupyter) connect(ctx context.Context, k *kernel, s codeSettings, session string) (*websocket.Conn, string, error) {
	start, cancel := context.WithTimeoutCause(ctx, s.start, errBudget)
	defer cancel()
	var failed *Error
	for wait := j.c.pace.base; ; wait = min(2*wait, j.c.code.longest) {
		conn, id, err := j.tryKernel(start, k, s.language, session)
		if err == nil {
			return conn, id, nil
		}
		e := ownError(start, j.op, err)
		if start.Err() == nil || failed == nil {
			failed = e
		}
		if start.Err() == nil && !comesLater(e) {
			return nil, "", e
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-start.Done():
			timer.Stop()
			return nil, "", &Error{
				Op: j.op, StatusCode: failed.StatusCode, Message: "no kernel in time: " + failed.reason(), Err: errors.Join(failed.Err, endOf(start)),
			}
		}
	}
}

// tryKernel connects to the kernel that is known, and else to the one that is found or made.
func (j *jupyter) tryKernel(ctx context.Context, k *kernel, spec, session string) (*websocket.Conn, string, error) {
	id := j.c.kernels.idOf(k)
	if id == "" {
		var err error
		if id, err = j.findKernel(ctx, spec); err != nil {
			return nil, "", err
		}
	}
	conn, err := j.channels(ctx, id, session)
	switch {
	case err == nil:
		j.c.kernels.setID(k, id)
	case errors.Is(err, errNoKernel):
		j.c.kernels.setID(k, "")
	}
	return conn, id, err
}

// comesLater reports whether a failure may be gone when the server in the guest is up.
func comesLater(e *Error) bool {
	return e.StatusCode >= http.StatusInternalServerError || errors.Is(e, ErrTransport) || errors.Is(e, errNoKernel)
}
