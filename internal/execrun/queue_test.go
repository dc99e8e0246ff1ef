package execrun

import (
	"fmt"
	"slices"
	"testing"
)

// served are the next to get a place, each leaving at once.
func served(q *queue[string]) []string {
	var all []string
	for {
		who, ok := q.give()
		if !ok {
			return all
		}
		all = append(all, who)
		q.leave()
	}
}

func TestQueueIsFairBetweenSandboxes(t *testing.T) {
	t.Parallel()
	q := &queue[string]{limit: 1}
	if !q.enter("big", "big 0") {
		t.Error("there was no place")
	}
	for i := range 1000 {
		if q.enter("big", fmt.Sprint("big ", i+1)) {
			t.Fatal("there was a place")
		}
	}
	q.enter("small", "small 1")
	q.enter("other", "other 1")
	q.enter("small", "small 2")
	if _, ok := q.give(); ok {
		t.Error("a place was given that is not free")
	}
	q.leave()
	all := served(q)
	want := []string{"big 1", "small 1", "other 1", "big 2", "small 2", "big 3"}
	if len(all) != 1003 || !slices.Equal(all[:6], want) {
		t.Errorf("%d were served: %v", len(all), all[:6])
	}
	if !q.empty() || len(q.waiting) != 0 {
		t.Errorf("it is not empty: %+v", q)
	}
}

func TestQueueNeverExceedsItsLimit(t *testing.T) {
	t.Parallel()
	q := &queue[int]{limit: 3}
	got := 0
	for i := range 10 {
		if q.enter(fmt.Sprint(i%2), i) {
			got++
		}
	}
	if got != 3 {
		t.Errorf("%d places were given", got)
	}
	q.limit = 1 // those that have a place keep it
	q.leave()
	q.leave()
	if _, ok := q.give(); ok {
		t.Error("a place was given above the new limit")
	}
	q.leave()
	if who, ok := q.give(); !ok || who != 3 {
		t.Errorf("%d was served", who)
	}
	q.limit = 4
	for range 3 {
		if _, ok := q.give(); !ok {
			t.Error("a new place was not given")
		}
	}
	if _, ok := q.give(); ok || q.taken != 4 {
		t.Errorf("%d places are taken", q.taken)
	}
}

// Nobody who is in line is passed by one who comes when a place is free.
func TestQueueKeepsTheLine(t *testing.T) {
	t.Parallel()
	q := &queue[int]{limit: 1}
	q.enter("a", 1)
	q.enter("a", 2)
	q.leave()
	if q.enter("b", 3) {
		t.Error("it was passed")
	}
	if who, _ := q.give(); who != 2 {
		t.Errorf("%d was served", who)
	}
}

func TestQueueDrops(t *testing.T) {
	t.Parallel()
	q := &queue[string]{}
	for _, who := range []string{"a1", "a2", "b1", "c1"} {
		q.enter(who[:1], who)
	}
	q.drop("b", "b1")
	q.drop("a", "a1")
	q.drop("a", "unknown")
	q.drop("z", "z1")
	q.limit = 1
	if got := served(q); !slices.Equal(got, []string{"a2", "c1"}) {
		t.Errorf("served: %v", got)
	}
}
