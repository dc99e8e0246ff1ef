package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// scenario is something that people do with the operator.
type scenario struct {
	name string
	// before leads to where it begins; nothing befalls the operator meanwhile.
	before []step
	// during is what is disturbed.
	during []step
	// commands tells that it is about commands, which keep the ledger.
	commands bool
	// mishaps are those that befall its effects; all where there are none.
	mishaps []mishap
	// spares tells of an effect that nothing befalls, where there is such.
	spares func(effect string) bool
	// check, where there is one, finds what is wrong afterwards beside what is wrong with any scenario.
	check func(ctx context.Context, w *world) ([]finding, error)
}

// scenarios are all of them.
func scenarios() []scenario {
	var all []scenario
	for _, some := range [][]scenario{sandboxScenarios(), remoteScenarios(), deletionScenarios(), snapshotScenarios(), execScenarios()} {
		all = append(all, some...)
	}
	return all
}

// step is one thing that people do, or wait for.
type step func(ctx context.Context, w *world) error

// run runs steps one after another.
func (w *world) run(ctx context.Context, steps []step) error {
	for i, do := range steps {
		if err := do(ctx, w); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// eventually waits until check succeeds.
func eventually(ctx context.Context, check func() error) error {
	deadline := time.After(patience)
	tick := time.NewTicker(60 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-deadline:
			return fmt.Errorf("not within %s: %w", patience, err)
		case <-tick.C:
		}
	}
}

// creates makes an object.
func creates(obj func(w *world) client.Object) step {
	return func(ctx context.Context, w *world) error {
		made := obj(w)
		made.SetNamespace(w.namespace)
		began := time.Now()
		if err := w.site.api.Create(ctx, made); err != nil {
			return err
		}
		w.history.begins(made.GetUID(), began)
		return nil
	}
}

// reason waits until the Ready condition of an object gives a reason for its present generation.
func reason(of client.Object, reason string) step {
	return until(of, reason, func(client.Object) bool { return true })
}

// until waits until an object gives a reason and is as it should be otherwise.
func until(of client.Object, reason string, is func(client.Object) bool) step {
	return func(ctx context.Context, w *world) error {
		return eventually(ctx, func() error {
			obj, err := w.get(ctx, of)
			if err != nil {
				return err
			}
			conditions, observed := v1alpha1.ConditionsOf(obj)
			ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
			if ready == nil || ready.Reason != reason || observed != obj.GetGeneration() || !is(obj) {
				return fmt.Errorf("%s is not %s: generation %d of %d, %+v", of.GetName(), reason, observed, obj.GetGeneration(), conditions)
			}
			return nil
		})
	}
}

// gone waits until an object is not there any more.
func gone(of client.Object) step {
	return func(ctx context.Context, w *world) error {
		return eventually(ctx, func() error {
			obj, err := w.get(ctx, of)
			if client.IgnoreNotFound(err) != nil {
				return err
			}
			if err == nil {
				conditions, _ := v1alpha1.ConditionsOf(obj)
				return fmt.Errorf("%s is still there: finalizers %v, annotations %v, %+v", of.GetName(), obj.GetFinalizers(), obj.GetAnnotations(), conditions)
			}
			return nil
		})
	}
}

// met waits until the operator has come to an operation.
func met(op string) step {
	return func(ctx context.Context, w *world) error {
		return eventually(ctx, func() error {
			if w.wire.seen(op) == 0 {
				return fmt.Errorf("no %s yet", op)
			}
			return nil
		})
	}
}
