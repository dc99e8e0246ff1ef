package execrun

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/localkube"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// patience bounds every wait of these tests. It is far beyond what a busy machine needs.
const patience = 3 * time.Minute

var cluster *localkube.ControlPlane

func TestMain(m *testing.M) { os.Exit(runSuite(m)) }

func runSuite(m *testing.M) int {
	var err error
	cluster, err = localkube.Start(context.Background(), localkube.Options{Log: os.Stderr, WithoutControllerManager: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := cluster.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// world is a namespace, a Wrenn with a sandbox, and a Runner of their own for one test.
type world struct {
	t         *testing.T
	namespace string
	server    *wrenndev.Server
	api       client.WithWatch
	sandbox   *wrenn.SandboxHandle
	job       Job

	mu     sync.Mutex
	runner *Runner
	stop   func()
	news   chan struct{}
}

func newWorld(t *testing.T, config wrenndev.Config) *world {
	t.Helper()
	server, err := wrenndev.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	api, err := client.NewWithWatch(cluster.RESTConfig(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, server: server, api: api, news: make(chan struct{}, 1)}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "run-"}}
	if err := api.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	w.namespace = namespace.Name
	w.job = Job{NamespacedName: types.NamespacedName{Namespace: w.namespace, Name: "job"}, UID: uuid.NewUUID()}
	w.sandbox = w.newSandbox(0)
	w.startRunner(api)
	return w
}

func (w *world) newSandbox(idle int32) *wrenn.SandboxHandle {
	w.t.Helper()
	return w.newSandboxOf(wrenn.CreateSandboxRequest{TimeoutSec: idle})
}

func (w *world) newSandboxOf(request wrenn.CreateSandboxRequest) *wrenn.SandboxHandle {
	w.t.Helper()
	key, err := wrenn.APIKey(w.server.APIKey())
	if err != nil {
		w.t.Fatal(err)
	}
	remote, err := wrenn.New(w.server.URL(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(remote.CloseIdleConnections)
	created, err := remote.Sandboxes.Create(w.t.Context(), request)
	if err != nil {
		w.t.Fatal(err)
	}
	return remote.Sandbox(created.ID)
}

// startRunner starts a Runner in a hurry that writes through c, until stopRunner or the end of the test.
func (w *world) startRunner(c client.Client) {
	runner := NewRunner(Config{
		Client: c, Reader: c, Log: testr.NewWithOptions(w.t, testr.Options{Verbosity: 1}),
		Notify: func(types.NamespacedName) {
			select {
			case w.news <- struct{}{}:
			default:
			}
		},
		Pace: Pace{
			FirstRetry: 5 * time.Millisecond, SlowestRetry: 500 * time.Millisecond, Look: 300 * time.Millisecond,
			Stall: 20 * time.Second, Check: 200 * time.Millisecond, Turn: time.Second, News: 10 * time.Millisecond,
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- runner.Start(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(w.stop)
	w.mu.Lock()
	w.runner = runner
	w.mu.Unlock()
}

// attempt is one of a job with the usual bounds.
func (w *world) attempt(c Command) Attempt {
	return Attempt{
		Job: w.job, Number: 1, Command: c, ConfigMaps: v1alpha1.OutputConfigMapsAlways, LimitBytes: 8 << 20, TailBytes: 4096,
		Sandbox: func(context.Context) (*wrenn.SandboxHandle, error) { return w.sandbox, nil },
	}
}

// eventually waits until a check of what tells no news of itself finds nothing wrong.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for err := check(); err != nil; err = check() {
		select {
		case <-deadline:
			t.Fatalf("not within %s: %v", patience, err)
		case <-tick.C:
		}
	}
}

// await waits for the progress of the job to be as wanted.
func (w *world) await(what string, wanted func(Progress) bool) Progress {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		p, known := w.runner.Progress(w.job.UID, 1)
		if known && wanted(p) {
			return p
		}
		select {
		case <-w.news:
		case <-deadline:
			w.t.Fatalf("no %s within %s: %+v", what, patience, p)
		}
	}
}

func (w *world) awaitPhase(phase Phase) Progress {
	w.t.Helper()
	return w.await(string(phase), func(p Progress) bool { return p.Phase == phase })
}

// run follows a command to its end.
func (w *world) run(a Attempt) Progress {
	w.t.Helper()
	w.runner.Ensure(a, Follow)
	return w.awaitPhase(Finished)
}

// stored reads the output ConfigMaps, in the order that names gives, and checks what must hold of each.
func (w *world) stored(names []string) [2][]byte {
	w.t.Helper()
	var all [2][]byte
	for number, name := range names {
		var cm corev1.ConfigMap
		if err := w.api.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, &cm); err != nil {
			w.t.Fatal(err)
		}
		if cm.Immutable == nil || !*cm.Immutable || !w.job.owns(&cm) || cm.Labels[v1alpha1.LabelExecJob] != w.job.Name {
			w.t.Errorf("%s: not sealed, owned and labeled: %+v", name, cm.ObjectMeta)
		}
		if size := len(cm.BinaryData["stdout"]) + len(cm.BinaryData["stderr"]); size > partBytes || size == 0 {
			w.t.Errorf("%s holds %d bytes", name, size)
		}
		want := fmt.Sprint(number, len(all[stdout]), len(all[stderr]))
		said := cm.Annotations
		got := said[annotationNumber] + " " + said[annotationStdoutOffset] + " " + said[annotationStderrOffset]
		if _, late := said[annotationStdoutHead]; got != want && !late {
			w.t.Errorf("%s tells %q of itself, want %q", name, got, want)
		}
		all[stdout] = append(all[stdout], cm.BinaryData["stdout"]...)
		all[stderr] = append(all[stderr], cm.BinaryData["stderr"]...)
	}
	return all
}

func (w *world) wantStored(p Progress, out, err []byte) {
	w.t.Helper()
	got := w.stored(p.ConfigMaps)
	for stream, want := range [2][]byte{out, err} {
		if !bytes.Equal(got[stream], want) {
			w.t.Errorf("%s: %d bytes are stored, not the %d that were written", streamKeys[stream], len(got[stream]), len(want))
		}
	}
}

// runs is what the file "count" of the sandbox holds, to which commands append a line each time they are run.
func (w *world) runs() string {
	w.t.Helper()
	content, err := w.sandbox.Download(w.t.Context(), "count", 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(content)
}

func (w *world) upload(path string, content []byte) {
	w.t.Helper()
	if err := w.sandbox.Upload(w.t.Context(), path, content); err != nil {
		w.t.Fatal(err)
	}
}
