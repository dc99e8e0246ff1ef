package main

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// connects makes the Secret and the Connection that objects use by default.
func connects(ownership v1alpha1.Ownership) step {
	return func(ctx context.Context, w *world) error {
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "wrenn", Namespace: w.namespace},
			StringData: map[string]string{"apiKey": w.wrenn.APIKey()},
		}
		if err := w.site.api.Create(ctx, secret); err != nil {
			return err
		}
		return w.site.api.Create(ctx, &v1alpha1.Connection{
			ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: w.namespace},
			Spec: v1alpha1.ConnectionSpec{
				Endpoint: w.front.URL, Ownership: ownership,
				APIKeySecretRef: &v1alpha1.SecretKeyReference{Name: "wrenn", Key: "apiKey"},
			},
		})
	}
}

// connected makes a Connection that nobody else uses and waits for it.
func connected() step {
	return func(ctx context.Context, w *world) error {
		return w.run(ctx, []step{connects(v1alpha1.OwnershipExclusive), reason(named[v1alpha1.Connection]("default"), v1alpha1.ReasonConnected)})
	}
}

// named is an object of which nothing but the name is known.
func named[T any, P interface {
	*T
	client.Object
}](name string,
) P {
	var obj P = new(T)
	obj.SetName(name)
	return obj
}

// sandbox makes a Sandbox.
func sandbox(name string, changes ...func(*v1alpha1.Sandbox)) step {
	return creates(func(*world) client.Object {
		made := named[v1alpha1.Sandbox](name)
		for _, change := range changes {
			change(made)
		}
		return made
	})
}

// edit changes a Sandbox.
func edit(name string, change func(*v1alpha1.Sandbox)) step { return editObject(name, change) }

// editJob changes an ExecJob.
func editJob(name string, change func(*v1alpha1.ExecJob)) step { return editObject(name, change) }

// editObject changes an object, whoever else writes to it.
func editObject[T any, P interface {
	*T
	client.Object
}](name string, change func(P),
) step {
	return func(ctx context.Context, w *world) error {
		for ctx.Err() == nil {
			var obj P = new(T)
			if err := w.site.api.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: name}, obj); err != nil {
				return err
			}
			change(obj)
			if err := w.site.api.Update(ctx, obj); !apierrors.IsConflict(err) {
				return err
			}
		}
		return ctx.Err()
	}
}

// mode is a change of a Sandbox's operating mode.
func mode(m v1alpha1.OperatingMode) func(*v1alpha1.Sandbox) {
	return func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = m }
}

// deletes has a Sandbox deleted.
func deletes(name string) step {
	return func(ctx context.Context, w *world) error {
		sandbox, err := w.sandbox(ctx, name)
		if err != nil {
			return err
		}
		w.history.deletes(sandbox)
		return w.site.api.Delete(ctx, sandbox)
	}
}

// removes deletes an object that is no Sandbox.
func removes(of client.Object) step {
	return func(ctx context.Context, w *world) error {
		obj, err := w.get(ctx, of)
		if err != nil {
			return err
		}
		return w.site.api.Delete(ctx, obj)
	}
}

// get reads an object of which the kind and name are known.
func (w *world) get(ctx context.Context, of client.Object) (client.Object, error) {
	obj, ok := of.DeepCopyObject().(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is no object", of)
	}
	return obj, w.site.api.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: of.GetName()}, obj)
}

// sandbox reads a Sandbox.
func (w *world) sandbox(ctx context.Context, name string) (*v1alpha1.Sandbox, error) {
	found := &v1alpha1.Sandbox{}
	return found, w.site.api.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: name}, found)
}

// destroyedByHand destroys the remote of a Sandbox past the operator.
func destroyedByHand(name string) step {
	return remoteOf(name, func(ctx context.Context, w *world, id string) error {
		w.history.suffers(id, fate{ended: true})
		err := w.hands.Sandbox(id).Destroy(ctx)
		w.history.ended(id)
		return err
	})
}

// lostBy has Wrenn's host lose the remote of a Sandbox.
func lostBy(name string) step {
	return remoteOf(name, func(ctx context.Context, w *world, id string) error {
		w.history.suffers(id, fate{ended: true})
		if err := w.wrenn.Lose(id); err != nil {
			return err
		}
		defer w.history.ended(id)
		return eventually(ctx, func() error {
			if info, _ := w.wrenn.Sandbox(id); info.Status != wrenndev.StatusStopped {
				return fmt.Errorf("%s is %s", id, info.Status)
			}
			return nil
		})
	})
}

// pausedByHand pauses the remote of a Sandbox past the operator.
func pausedByHand(name string) step {
	return remoteOf(name, func(ctx context.Context, w *world, id string) error {
		w.history.suffers(id, fate{paused: true})
		_, err := w.hands.Sandbox(id).Pause(ctx)
		return err
	})
}

// mayIdle notes that the remote of a Sandbox may be paused without that being declared.
func mayIdle(name string) step {
	return remoteOf(name, func(_ context.Context, w *world, id string) error {
		w.history.suffers(id, fate{paused: true})
		return nil
	})
}

// used has something run in the remote of a Sandbox, long enough after its start to be seen in Wrenn's times.
func used(name string) step {
	return remoteOf(name, func(ctx context.Context, w *world, id string) error {
		handle := w.hands.Sandbox(id)
		return eventually(ctx, func() error {
			if _, err := handle.Exec(ctx, wrenn.ExecRequest{Cmd: "true"}); err != nil {
				return err
			}
			now, err := handle.Get(ctx)
			if err != nil {
				return err
			}
			if active := now.LastActiveAt.Sub(now.StartedAt); active <= usedAfter {
				return fmt.Errorf("last used %s after its start", active)
			}
			return nil
		})
	})
}

var errNoRemote = errors.New("the Sandbox has no remote")

// remoteOf does something with the remote that a Sandbox has.
func remoteOf(name string, do func(ctx context.Context, w *world, id string) error) step {
	return func(ctx context.Context, w *world) error {
		sandbox, err := w.sandbox(ctx, name)
		if err != nil {
			return err
		}
		if sandbox.Status.SandboxID == "" {
			return errNoRemote
		}
		return do(ctx, w, sandbox.Status.SandboxID)
	}
}

// madeByHand makes a remote past the operator.
func madeByHand() step {
	return func(ctx context.Context, w *world) error {
		made, err := w.hands.Sandboxes.Create(ctx, wrenn.CreateSandboxRequest{})
		if err != nil {
			return err
		}
		w.byHand = made.ID
		return nil
	}
}

// adopter makes a Sandbox that takes over the remote that was made by hand.
func adopter(name string, changes ...func(*v1alpha1.Sandbox)) step {
	return func(ctx context.Context, w *world) error {
		id := w.byHand
		return sandbox(name, append(changes, func(s *v1alpha1.Sandbox) { s.Spec.AdoptID = id })...)(ctx, w)
	}
}
