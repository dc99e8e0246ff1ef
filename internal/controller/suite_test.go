package controller

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/localkube"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// patience bounds every wait of these tests. It is far beyond what a busy machine needs.
const patience = time.Minute

// clusterUID is the identity that the operators of these tests take their cluster's to be.
const clusterUID = "test"

var (
	cluster *localkube.ControlPlane
	scheme  = runtime.NewScheme()
	// mapper knows the kinds of the cluster. To find them out anew for each test is a good part of what a test costs.
	mapper meta.RESTMapper
	// managersLog is the name of the file that the managers log to.
	managersLog string
)

func TestMain(m *testing.M) {
	os.Exit(runSuite(m))
}

func runSuite(m *testing.M) int {
	logs, err := os.CreateTemp("", "controller-test-*.log")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.Remove(logs.Name()) }()
	managersLog = logs.Name()
	logf.SetLogger(zap.New(zap.WriteTo(logs)))
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	cluster, err = localkube.Start(context.Background(), localkube.Options{
		CRDDirs: []string{"../../config/crd/bases"}, Log: os.Stderr, WithoutControllerManager: true,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if mapper, err = newMapper(cluster.RESTConfig()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	leaks := []goleak.Option{
		// A recorder leaves this behind when it is stopped while it records.
		goleak.IgnoreTopFunction("k8s.io/apimachinery/pkg/watch.(*filteredWatch).loop"),
		// A cache of several namespaces leaves this behind when it is stopped before it has synced.
		goleak.IgnoreTopFunction("sigs.k8s.io/controller-runtime/pkg/cache.newMultiNamespaceInformerHandlerRegistration.func1"),
	}
	if err := errors.Join(cluster.Stop(), goleak.Find(leaks...)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code != 0 {
		fmt.Fprintln(os.Stderr, "the managers' log:")
		text, _ := os.ReadFile(logs.Name())
		fmt.Fprintf(os.Stderr, "%s\n", text[max(0, len(text)-20_000):])
	}
	return code
}

func newMapper(cfg *rest.Config) (meta.RESTMapper, error) {
	httpClient, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, err
	}
	return apiutil.NewDynamicRESTMapper(cfg, httpClient)
}

// world is a namespace, a Wrenn and an operator of their own for one test.
type world struct {
	t         *testing.T
	ctx       context.Context
	namespace string
	wrenn     *wrenndev.Server
	// api reads and writes objects as a user does, without a cache.
	api client.Client
	// others are other namespaces that the operator sees to.
	others []string
	// writes counts the operator's writes to the API server.
	writes *countedWrites
	// pace is how often the operator lists.
	pace connection.Pace
	// showAfter is how long a create may take before it is shown.
	showAfter time.Duration
	// orphans is how patient the sweeper is.
	orphans OrphanTiming
	// metrics are those of the operator that runs.
	metrics *Metrics
	// direct is what the sweeper reads from the API server by, in place of the real client.
	direct func(client.Reader) client.Reader
	// jobsCache, sandboxesCache and snapshotsCache are what those controllers read their cache by, in place of the real
	// client.
	jobsCache, sandboxesCache, snapshotsCache func(client.Client) client.Client

	stop func()
}

// newWorld starts one without an operator.
func newWorld(t *testing.T, wrennConfig wrenndev.Config) *world {
	t.Helper()
	server, err := wrenndev.Start(t.Context(), wrennConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	api, err := client.New(cluster.RESTConfig(), client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, ctx: t.Context(), wrenn: server, api: api, writes: &countedWrites{}, showAfter: 300 * time.Millisecond,
		orphans: OrphanTiming{Grace: patience, Look: 50 * time.Millisecond, Call: 10 * time.Second},
		pace: connection.Pace{
			Calm: 200 * time.Millisecond, Hurried: 50 * time.Millisecond, HurryFor: 2 * time.Second, AwaitFor: 10 * time.Second,
			Slowest: time.Second, Timeout: 5 * time.Second,
		},
		direct: func(server client.Reader) client.Reader { return server },

		jobsCache:      func(cached client.Client) client.Client { return cached },
		sandboxesCache: func(cached client.Client) client.Client { return cached },
		snapshotsCache: func(cached client.Client) client.Client { return cached },
	}
	w.namespace = w.newNamespace()
	return w
}

func (w *world) newNamespace() string {
	w.t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	w.create(namespace)
	madeBy.Store(namespace.Name, w.t.Name())
	return namespace.Name
}

// newOperatedWorld starts one with an operator and a Connection named default.
func newOperatedWorld(t *testing.T, wrennConfig wrenndev.Config) *world {
	t.Helper()
	w := newWorld(t, wrennConfig)
	w.startOperator()
	w.connect()
	return w
}

// connect makes the Secret and the Connection that objects use by default.
func (w *world) connect() {
	w.t.Helper()
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "wrenn"},
		StringData: map[string]string{"apiKey": w.wrenn.APIKey()},
	})
	w.create(w.connection(w.wrenn.URL()))
}

func (w *world) connection(endpoint string) *v1alpha1.Connection {
	return &v1alpha1.Connection{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "default"},
		Spec: v1alpha1.ConnectionSpec{
			Endpoint:        endpoint,
			APIKeySecretRef: &v1alpha1.SecretKeyReference{Name: "wrenn", Key: "apiKey"},
		},
	}
}

func (w *world) create(obj client.Object) {
	w.t.Helper()
	if err := w.api.Create(w.ctx, obj); err != nil {
		w.t.Fatal(err)
	}
}

// edit changes an object as a user does, whoever else writes to it.
func edit[T client.Object](w *world, obj T, change func(T)) {
	w.t.Helper()
	eventually(w, "edit "+obj.GetName(), func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		change(obj)
		return w.api.Update(w.ctx, obj)
	})
}

// eventually waits until check succeeds.
func eventually(w *world, what string, check func() error) {
	w.t.Helper()
	eventuallyWithin(w, patience, 20*time.Millisecond, what, check)
}

// eventuallyWithin waits for as long as limit until check, which is made once in each interval, succeeds.
func eventuallyWithin(w *world, limit, interval time.Duration, what string, check func() error) {
	w.t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			w.t.Fatalf("%s: not within %s: %v", what, limit, err)
		case <-tick.C:
		}
	}
}

// awaitReason waits until the Ready condition of an object gives a reason for the present generation. Whenever it looks,
// it holds the object to the rules that tools which read conditions rely on.
func awaitReason(w *world, obj client.Object, reason string) {
	w.t.Helper()
	eventually(w, obj.GetName()+" is "+reason, func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		conditions, observed := v1alpha1.ConditionsOf(obj)
		ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
		if ready == nil {
			return errors.New("it has no Ready condition")
		}
		reconciling := meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReconciling)
		stalled := meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionStalled)
		if (ready.Status == metav1.ConditionTrue) == (reconciling || stalled) || (reconciling && stalled) {
			w.t.Fatalf("%s: the conditions contradict each other: %+v", obj.GetName(), conditions)
		}
		if ready.Reason != reason || observed != obj.GetGeneration() {
			return fmt.Errorf("generation %d of %d: %+v", observed, obj.GetGeneration(), conditions)
		}
		return nil
	})
}

// alive are the remote sandboxes that are not stopped and not failed.
func (w *world) alive() []wrenndev.SandboxInfo {
	return slices.DeleteFunc(w.wrenn.Sandboxes(), func(s wrenndev.SandboxInfo) bool {
		return s.Status == wrenndev.StatusStopped || s.Status == wrenndev.StatusError
	})
}

// calls counts the requests that Wrenn got for an operation.
func (w *world) calls(op string) int {
	count := 0
	for _, request := range w.wrenn.Requests() {
		if request.Op == op {
			count++
		}
	}
	return count
}
