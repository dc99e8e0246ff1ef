package connection

import (
	"context"
	"testing"
)

// ended is a context that lets nobody wait: there is a place now, or there is none.
func ended(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// take takes as many places as there are at once.
func take(t *testing.T, acquire func(context.Context) (func(), error)) (leaves []func()) {
	t.Helper()
	for len(leaves) < 100 {
		leave, err := acquire(ended(t))
		if err != nil {
			return leaves
		}
		leaves = append(leaves, leave)
	}
	t.Fatal("there is no bound")
	return nil
}

func TestPlacesCountThoseUnderWay(t *testing.T) {
	t.Parallel()
	var p places
	if n := len(take(t, p.acquire)); n != 0 {
		t.Errorf("%d places without a bound", n)
	}
	p.resize(8)
	leaves := take(t, p.acquire)
	if len(leaves) != 8 {
		t.Fatalf("%d places, want 8", len(leaves))
	}
	p.resize(2)
	for i, leave := range leaves {
		leave()
		free := take(t, p.acquire)
		if want := max(0, 2-(len(leaves)-i-1)); len(free) != want {
			t.Errorf("%d places with %d taken before, want %d", len(free), len(leaves)-i-1, want)
		}
		for _, leave := range free {
			leave()
		}
	}
}

// Who waits has a turn, in the order of arrival, as soon as the bound is raised or a place is free. Who gives up takes none.
func TestPlacesAreTakenInTurn(t *testing.T) {
	t.Parallel()
	var p places
	type arrival struct {
		who   int
		leave func()
		err   error
	}
	arrived := make(chan arrival)
	impatient, giveUp := context.WithCancel(t.Context())
	for who, ctx := range []context.Context{t.Context(), impatient, t.Context()} {
		go func() {
			leave, err := p.acquire(ctx)
			arrived <- arrival{who, leave, err}
		}()
		eventually(t, "the next one waits", func() error {
			p.mu.Lock()
			defer p.mu.Unlock()
			if len(p.waiting) != who+1 {
				return errNotYet
			}
			return nil
		})
	}
	giveUp()
	if gone := <-arrived; gone.who != 1 || gone.err == nil {
		t.Fatalf("%d has left: %v", gone.who, gone.err)
	}
	p.resize(1)
	first := <-arrived
	if len(take(t, p.acquire)) != 0 {
		t.Error("somebody gets in before who waits")
	}
	first.leave()
	second := <-arrived
	second.leave()
	if first.who != 0 || second.who != 2 {
		t.Errorf("admitted %d and then %d", first.who, second.who)
	}
	if free := len(take(t, p.acquire)); free != 1 {
		t.Errorf("%d places in the end", free)
	}
}
