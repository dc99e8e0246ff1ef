package controller

import (
	"sync"
	"time"
)

// term is the time for which this process leads. One that waits to be elected may be old already, so it begins with
// the first look at what another process has begun.
type term struct {
	once  sync.Once
	begun time.Time
}

// begin returns when the term began, which is now where it had not.
func (t *term) begin() time.Time {
	t.once.Do(func() { t.begun = time.Now() })
	return t.begun
}
