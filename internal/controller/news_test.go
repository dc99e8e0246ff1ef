package controller

import (
	"context"
	"slices"
	"testing"

	"github.com/wrennhq/wrenn-operator/internal/connection"
)

// Whoever tells news never waits for whoever hears them, and none is lost meanwhile.
func TestNewsDoNotHoldWhoTellsThem(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	n, heard, busy, ended := newNews(), make(chan string, 3), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- n.tell(ctx, func(ctx context.Context, change connection.Change) {
			heard <- change.SandboxIDs[0]
			select { // as a cache that is behind
			case <-busy:
			case <-ctx.Done():
			}
		})
	}()
	n.add(connection.Change{SandboxIDs: []string{"first"}})
	got := []string{<-heard}
	n.add(connection.Change{SandboxIDs: []string{"second"}})
	n.add(connection.Change{SandboxIDs: []string{"third"}})
	busy <- struct{}{}
	got = append(got, <-heard)
	busy <- struct{}{}
	got = append(got, <-heard)
	cancel()
	if err := <-ended; err != nil || !slices.Equal(got, []string{"first", "second", "third"}) {
		t.Errorf("heard %v, %v", got, err)
	}
}
