package execrun

import "slices"

// queue deals out a bounded number of places. Who finds none free waits. Sandboxes take turns, so that many who wait for
// one sandbox do not keep out one who waits for another; those of the same sandbox are served in the order in which they
// came. The zero queue has no places.
type queue[T comparable] struct {
	limit, taken int
	// turns are the sandboxes that somebody waits for, the next one first.
	turns   []string
	waiting map[string][]T
}

// enter takes a place, or a place in the line, and reports which.
func (q *queue[T]) enter(sandbox string, who T) bool {
	if q.taken < q.limit && len(q.turns) == 0 {
		q.taken++
		return true
	}
	if q.waiting == nil {
		q.waiting = map[string][]T{}
	}
	if len(q.waiting[sandbox]) == 0 {
		q.turns = append(q.turns, sandbox)
	}
	q.waiting[sandbox] = append(q.waiting[sandbox], who)
	return false
}

// give gives a free place to whoever is next, if there is both.
func (q *queue[T]) give() (who T, given bool) {
	if q.taken >= q.limit || len(q.turns) == 0 {
		return who, false
	}
	sandbox := q.turns[0]
	q.turns = q.turns[1:]
	line := q.waiting[sandbox]
	who = line[0]
	if line = line[1:]; len(line) > 0 {
		q.waiting[sandbox] = line
		q.turns = append(q.turns, sandbox)
	} else {
		delete(q.waiting, sandbox)
	}
	q.taken++
	return who, true
}

// leave frees a place.
func (q *queue[T]) leave() { q.taken-- }

// drop takes somebody out of the line, if he is in it.
func (q *queue[T]) drop(sandbox string, who T) {
	line := q.waiting[sandbox]
	i := slices.Index(line, who)
	switch {
	case i < 0:
	case len(line) == 1:
		delete(q.waiting, sandbox)
		q.turns = slices.Delete(q.turns, slices.Index(q.turns, sandbox), slices.Index(q.turns, sandbox)+1)
	default:
		q.waiting[sandbox] = slices.Delete(line, i, i+1)
	}
}

// empty tells that nobody has a place, nor waits for one.
func (q *queue[T]) empty() bool { return q.taken == 0 && len(q.turns) == 0 }
