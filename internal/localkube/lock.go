package localkube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// errLocked says that another process holds a lock.
var errLocked = errors.New("in use by another process")

// heldLock is a lock on a file. The system lets go of it when the process ends, however it ends.
type heldLock struct {
	file *os.File
}

// tryLockFile locks a file at once or fails with errLocked.
func tryLockFile(path string) (heldLock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // G304: a path of the caller's making
	if err != nil {
		return heldLock{}, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return heldLock{file: file}, nil
	}
	_ = file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return heldLock{}, fmt.Errorf("%s: %w", path, errLocked)
	}
	return heldLock{}, fmt.Errorf("locking %s: %w", path, err)
}

// lockFile waits for a lock as long as ctx allows and calls waiting at once when there is a wait and at every
// progressInterval of it.
func lockFile(ctx context.Context, path string, waiting func(waited time.Duration)) (heldLock, error) {
	const retryInterval = 200 * time.Millisecond
	retry := time.NewTicker(retryInterval)
	defer retry.Stop()
	started := time.Now()
	var told time.Time
	for {
		lock, err := tryLockFile(path)
		if !errors.Is(err, errLocked) {
			return lock, err
		}
		if time.Since(told) >= progressInterval {
			waiting(time.Since(started))
			told = time.Now()
		}
		select {
		case <-ctx.Done():
			return heldLock{}, fmt.Errorf("waiting for %s: %w", path, context.Cause(ctx))
		case <-retry.C:
		}
	}
}

// unlock lets go of the lock. The file stays: removing it would let two others hold "the same" lock.
func (l heldLock) unlock() {
	_ = l.file.Close()
}
