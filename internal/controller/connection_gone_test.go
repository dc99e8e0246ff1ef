package controller

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
)

// Nothing is kept of a connection that is gone, nor of one that another has taken the name of.
func TestGoneConnectionsAreForgotten(t *testing.T) {
	t.Parallel()
	landed := make(chan types.NamespacedName, 2)
	pool := connection.NewPool(connection.DefaultPace, "test")
	t.Cleanup(pool.Close)
	r := &ConnectionReconciler{
		Pool:     pool,
		flights:  newFlights[verification](func(name types.NamespacedName) { landed <- name }),
		troubles: newTroubles(time.Second, time.Minute),
	}
	name := types.NamespacedName{Namespace: "ns", Name: "default"}
	verify := func(uid types.UID) {
		found := &v1alpha1.Connection{}
		found.UID = uid
		r.troubles.note(found, working("Reason", ""), 0)
		r.flights.launch(uid, name, purposeVerify, time.Minute, func(context.Context) (verification, error) { return verification{}, nil })
		<-landed
	}
	verify("former")
	verify("present")
	r.forgetOthers(name, "present")
	if _, ok := r.flights.of("former"); ok || len(r.troubles.byUID) != 1 {
		t.Errorf("the former is known: %v, %+v", ok, r.troubles.byUID)
	}
	if _, ok := r.flights.of("present"); !ok {
		t.Error("the present one is forgotten")
	}
	notFound := apierrors.NewNotFound(schema.GroupResource{}, name.Name)
	if _, err := r.gone(connection.KeyOf(name.Namespace, v1alpha1.ConnectionKindNamespaced, name.Name), notFound); err != nil {
		t.Fatal(err)
	}
	if left := r.flights.all(); len(left) != 0 || len(r.troubles.byUID) != 0 {
		t.Errorf("left: %+v, %+v", left, r.troubles.byUID)
	}
}
