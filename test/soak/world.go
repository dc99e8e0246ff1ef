package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/localrun"
)

// namespace is where all objects are.
const namespace = "soak"

// patience bounds every wait. Whatever takes longer is stuck.
const patience = 3 * time.Minute

// world is what the soak takes place in.
type world struct {
	dir     string
	site    *localrun.Site
	cutter  *cutter
	manager *localrun.Manager
	// metrics reads those of the manager.
	metrics *http.Client
	// api reads and writes objects as a user does.
	api client.Client
}

// newWorld starts everything, with Sandboxes that run.
func newWorld(ctx context.Context, o options) (_ *world, err error) {
	w := &world{metrics: &http.Client{Transport: &http.Transport{}}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "wrenn-soak-"); err != nil {
		return nil, err
	}
	program, err := localrun.BuildManager(ctx, w.dir, false)
	if err != nil {
		return nil, err
	}
	if w.site, err = localrun.Start(ctx, localrun.Options{Dir: w.dir}); err != nil {
		return nil, err
	}
	if output, err := w.site.Shell(ctx, localrun.InstallRBAC).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, output)
	}
	if w.cutter, err = newCutter(w.site.Wrenn.URL(), o.seed); err != nil {
		return nil, err
	}
	if w.manager, err = w.site.StartManager(ctx, program, "--leader-elect=false", "--metrics-insecure"); err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	if w.api, err = client.New(w.site.Cluster.RESTConfig(), client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	return w, w.furnish(ctx, o.sandboxes)
}

// furnish makes the objects that jobs need.
func (w *world) furnish(ctx context.Context, sandboxes int) error {
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "wrenn"},
			StringData: map[string]string{"apiKey": w.site.Wrenn.APIKey()},
		},
		&v1alpha1.Connection{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"},
			Spec: v1alpha1.ConnectionSpec{
				Endpoint: w.cutter.url(), APIKeySecretRef: &v1alpha1.SecretKeyReference{Name: "wrenn", Key: "apiKey"},
			},
		},
	}
	for i := range sandboxes {
		objects = append(objects, &v1alpha1.Sandbox{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: boxName(i)}})
	}
	for _, object := range objects {
		if err := w.api.Create(ctx, object); err != nil {
			return fmt.Errorf("make %s: %w", object.GetName(), err)
		}
	}
	return eventually(ctx, func() error {
		var all v1alpha1.SandboxList
		if err := w.api.List(ctx, &all, client.InNamespace(namespace)); err != nil {
			return err
		}
		for _, box := range all.Items {
			if !meta.IsStatusConditionTrue(box.Status.Conditions, v1alpha1.ConditionReady) {
				return fmt.Errorf("the Sandbox %s is not ready: %v", box.Name, box.Status.Conditions)
			}
		}
		return nil
	})
}

func boxName(i int) string { return fmt.Sprint("box-", i) }

// close ends everything, the Sandboxes with it. What the manager has logged is shown where it ended by itself.
func (w *world) close() error {
	var errs []error
	w.metrics.CloseIdleConnections()
	if w.manager != nil {
		if w.manager.Ended() {
			errs = append(errs, fmt.Errorf("the manager has ended; its log ends with:\n%s", w.manager.LogTail(20)))
		}
		errs = append(errs, w.manager.Kill())
	}
	if w.cutter != nil {
		w.cutter.close()
	}
	if w.site != nil {
		errs = append(errs, w.site.Stop())
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir)) //nolint:gosec // G703: made by MkdirTemp
	}
	return errors.Join(errs...)
}

// eventually waits until a check finds nothing wrong.
func eventually(ctx context.Context, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}
