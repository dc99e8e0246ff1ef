package main

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
)

// mishap is what befalls an operator at one of its effects.
type mishap string

const (
	// none: the effect happens and is answered.
	none mishap = ""
	// failsBefore: it is answered with an error and does not happen.
	failsBefore mishap = "before"
	// failsAfter: it happens, and is answered with an error.
	failsAfter mishap = "after"
	// answerLost: it happens, and the connection ends without an answer.
	answerLost mishap = "lost"
	// killed: it happens, and the operator ends with it. Another one starts.
	killed mishap = "killed"
	// behind: as killed, and the next operator begins with objects as old as the scenario.
	behind mishap = "behind"
	// stale: it happens, and for a while the operator hears of no change of any object.
	stale mishap = "stale"
	// dropped: it happens, and the operator loses its watches, and what they would have told.
	dropped mishap = "dropped"
)

// mishaps are all of them.
var mishaps = []mishap{failsBefore, failsAfter, answerLost, killed, behind, stale, dropped}

// wire carries all effects of the operators of a world: their writes to the API server and their calls to Wrenn. An effect
// is named for what it does, with the number of times that was done, so that it is found again in another run.
type wire struct {
	mu sync.Mutex
	// armed tells that effects are counted and mishaps happen.
	armed  bool
	counts map[string]int
	// carried is how many bytes came over a stream.
	carried map[string]int
	// order has the effects that were counted, as they came.
	order []string
	// befalls says what befalls an effect.
	befalls func(effect string) mishap
	// met tells that a mishap has happened.
	met bool
	// last is when the latest effect was, lists how many times Wrenn's list was read since.
	last  time.Time
	lists int
}

func newWire() *wire {
	return &wire{counts: map[string]int{}, carried: map[string]int{}, last: time.Now()}
}

// arm has effects counted from now on, and befalls asked what befalls each; nil for nothing.
func (w *wire) arm(befalls func(effect string) mishap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed, w.befalls = true, befalls
}

// disarm lets every effect happen.
func (w *wire) disarm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = false
}

// meet counts an effect and tells its name, which is empty while nothing is counted, and what befalls it.
func (w *wire) meet(op string) (effect string, m mishap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch op {
	case opList:
		w.lists++
	case opPing: // goes on for ever where a sandbox is kept awake
	default:
		w.last, w.lists = time.Now(), 0
	}
	if !w.armed {
		return "", none
	}
	w.counts[op]++
	effect = op + "." + strconv.Itoa(w.counts[op])
	w.order = append(w.order, effect)
	if w.befalls == nil {
		return effect, none
	}
	m = w.befalls(effect)
	if m != none {
		w.met = true
		w.order[len(w.order)-1] += "/" + string(m)
	}
	return effect, m
}

// carries notes how many bytes a stream brought.
func (w *wire) carries(effect string, bytes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.carried[effect] = bytes
}

// brought are how many bytes the streams have brought that have ended, by their effects.
func (w *wire) brought() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.carried)
}

// quiet tells that the operator has done nothing for long, but look again and again.
func (w *wire) quiet(long time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lists >= 3 && time.Since(w.last) > long
}

// hasMet tells whether a mishap has happened.
func (w *wire) hasMet() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.met
}

// seen counts how often an operation was met since the wire was armed.
func (w *wire) seen(op string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[op]
}

// effects are those that were counted, as they came.
func (w *wire) effects() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.order)
}
