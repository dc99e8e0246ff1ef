package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// point is one mishap at one effect of a scenario.
type point struct {
	scenario string
	effect   string
	mishap   mishap
}

// String returns how a point is named to replay it.
func (p point) String() string { return p.scenario + "/" + p.effect + "/" + string(p.mishap) }

func parsePoint(text string) (point, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return point{}, fmt.Errorf("%q is no point: want <scenario>/<effect>/<mishap>", text)
	}
	return point{parts[0], parts[1], mishap(parts[2])}, nil
}

// chance is whether something is so that may be either way at a point, the same at every replay.
func (p point) chance(of string) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(p.String() + of)) // never fails
	return h.Sum32()&0x100 != 0
}

// reference is what the undisturbed run of a scenario was.
type reference struct {
	effects []string
	// carried is how many bytes each of its streams brought.
	carried map[string]int
	shapes  map[string][]string
}

// points are those of a scenario. Of the polls only the first two are effects of their own: how many there are depends
// on how long it takes.
func (r reference) points(sc scenario) (all []point) {
	befalls := sc.mishaps
	if befalls == nil {
		befalls = mishaps
	}
	for _, effect := range r.effects {
		if number, ok := strings.CutPrefix(effect, opList+"."); ok && number != "1" && number != "2" {
			continue
		}
		if sc.spares != nil && sc.spares(effect) {
			continue
		}
		for _, m := range slices.Concat(befalls, streamMishaps(sc.name, effect, r.carried[effect])) {
			all = append(all, point{sc.name, effect, m})
		}
	}
	return all
}

// undisturbed runs a scenario to learn its effects, and where it ends.
func undisturbed(ctx context.Context, s *site, sc scenario) (r reference, err error) {
	w, err := newWorld(ctx, s, sc.commands)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.run(ctx, sc.before); err != nil {
		return r, fmt.Errorf("before: %w", err)
	}
	w.wire.arm(nil)
	if err := w.run(ctx, sc.during); err != nil {
		return r, fmt.Errorf("during: %w", err)
	}
	if found, err := w.settle(ctx, nil, sc.check); err != nil || len(found) > 0 {
		return r, errors.Join(err, fmt.Errorf("undisturbed, and yet: %v", found))
	}
	f, err := w.facts(ctx)
	if err != nil {
		return r, err
	}
	r.effects, r.carried, r.shapes = w.wire.effects(), w.wire.brought(), map[string][]string{}
	for _, object := range f.objects {
		r.shapes[object.name] = object.shape
	}
	return r, nil
}

// outcome is how a case ended.
type outcome struct {
	// name says how to replay it.
	name string
	// found is what was wrong with it.
	found []finding
	// unmet tells that what was to befall the operator did not come to pass.
	unmet bool
	// err is why the case could not be carried through.
	err error
	// effects are those of the operator, as they came.
	effects []string
}

// disturbed runs a scenario with one mishap.
func disturbed(ctx context.Context, s *site, sc scenario, p point, r reference) (o outcome) {
	o = outcome{name: "-point " + p.String()}
	w, err := newWorld(ctx, s, sc.commands)
	if err != nil {
		o.err = err
		return o
	}
	defer func() { o.err, o.effects = errors.Join(o.err, w.close()), w.wire.effects() }()
	w.conflicts, w.sentGoesOn = p.chance("conflicts"), p.chance("sent goes on")
	if err := w.run(ctx, sc.before); err != nil {
		o.err = fmt.Errorf("before: %w", err)
		return o
	}
	if err := w.remember(ctx); err != nil {
		o.err = err
		return o
	}
	w.wire.arm(func(effect string) mishap {
		if effect == p.effect {
			return p.mishap
		}
		return none
	})
	if err := w.run(ctx, sc.during); err != nil {
		if o.err = ctx.Err(); o.err == nil {
			o.found = append(o.found, finding{class: stuck, text: err.Error()})
		}
		return o
	}
	o.found, o.err = w.settle(ctx, r.shapes, sc.check)
	o.unmet = !w.wire.hasMet()
	return o
}

// settle waits until nothing happens any more and nothing is wrong, and returns what is wrong where that does not come.
// It gives up early when nothing happens for long and something is wrong all the same that the operator should mend, and late
// when only the garbage collector has something to mend. While something happens it does not look: that costs the API server more
// than what happens.
func (w *world) settle(ctx context.Context, shapes map[string][]string, check func(context.Context, *world) ([]finding, error)) ([]finding, error) {
	deadline, collectedBy := time.Now().Add(patience), time.Now().Add(collectedWithin)
	for {
		if late := time.Now().After(deadline); late || w.wire.quiet(quietFor) {
			found, err := w.wrong(ctx, shapes, check)
			switch {
			case err != nil:
				return nil, err
			case len(found) == 0 && w.wire.quiet(quietFor):
				return nil, nil
			case len(found) > 0 && isCollected(found) && time.Now().Before(collectedBy):
				deadline = time.Now().Add(patience)
			case len(found) > 0 && (late || w.wire.quiet(10*quietFor)):
				return found, nil
			case late:
				return []finding{{class: stuck, text: "the operator does not come to rest"}}, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// isCollected tells that nothing is wrong but what the garbage collector is to mend.
func isCollected(found []finding) bool {
	return !slices.ContainsFunc(found, func(f finding) bool { return !f.collected })
}

// wrong is what is wrong now.
func (w *world) wrong(ctx context.Context, shapes map[string][]string, check func(context.Context, *world) ([]finding, error)) ([]finding, error) {
	f, err := w.facts(ctx)
	if err != nil {
		return nil, err
	}
	found := judge(f, shapes)
	if len(found) > 0 || check == nil {
		return found, nil
	}
	return check(ctx, w)
}
