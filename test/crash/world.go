package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// world is a namespace, a Wrenn and an operator of their own for one case.
type world struct {
	site      *site
	namespace string
	wrenn     *wrenndev.Server
	// hands is the Wrenn client of somebody who goes past the operator.
	hands *wrenn.Client
	// front is where the operators reach Wrenn, upstream what carries their calls on.
	front    *httptest.Server
	upstream *http.Transport
	calls    sync.WaitGroup
	wire     *wire
	history  *history
	ledger   ledger
	// parts are the output ConfigMaps that were read, by name and version.
	parts map[string]partFacts
	// conflicts has the API server answer a conflict where it is to fail, and not that something broke in it.
	conflicts bool
	// byHand is the remote that somebody has made past the operator.
	byHand string
	// down has Wrenn out of reach.
	down atomic.Bool
	// sentGoesOn has what an operator has sent to Wrenn go on when it is killed.
	sentGoesOn bool

	mu        sync.Mutex
	operators map[string]*operator
	// old are the lists as they were when the scenario began; isBehind tells that the next operator is to begin with them.
	old      *oldLists
	isBehind bool
	stop     context.CancelFunc
	stopped  sync.WaitGroup
	failures []error
}

// newWorld starts one, with an operator that is followed by another whenever it is killed. Where commands are to be run,
// its guests have the files of this machine, and so the ledger; then there is no writing to just any path in them.
func newWorld(ctx context.Context, s *site, commands bool) (_ *world, err error) {
	w := &world{
		site: s, wire: newWire(), history: newHistory(), operators: map[string]*operator{}, parts: map[string]partFacts{},
		upstream: &http.Transport{MaxIdleConnsPerHost: 8},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.ledger.dir, err = os.MkdirTemp("", "crash-"); err != nil {
		return nil, err
	}
	// What guests use of this machine is not asked for, and costs to find out.
	config := wrenndev.Config{SampleEvery: time.Hour}
	if commands {
		config.Isolation = wrenndev.Directory
	}
	if w.wrenn, err = wrenndev.Start(ctx, config); err != nil {
		return nil, err
	}
	key, err := wrenn.APIKey(w.wrenn.APIKey())
	if err != nil {
		return nil, err
	}
	if w.hands, err = wrenn.New(w.wrenn.URL(), key); err != nil {
		return nil, err
	}
	w.front = httptest.NewUnstartedServer(w)
	w.front.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.front.Start()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "crash-"}}
	if err := s.api.Create(ctx, namespace); err != nil {
		return nil, err
	}
	w.namespace = namespace.Name
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = stop
	if err := w.history.follow(life, &w.stopped, s.api, w.namespace); err != nil {
		return nil, err
	}
	w.stopped.Go(func() { w.operate(life) })
	return w, nil
}

// operate starts an operator, and another one whenever it was killed.
func (w *world) operate(life context.Context) {
	for n := 1; life.Err() == nil; n++ {
		o, err := w.start(fmt.Sprint("crash/", n), w.listsToBeginWith())
		if err != nil {
			w.failed(fmt.Errorf("start an operator: %w", err))
			return
		}
		select {
		case <-o.life.Done():
		case <-life.Done():
			o.kill()
		}
		w.stopped.Go(func() { <-o.ended })
	}
}

// close ends everything. It returns what went wrong with the world itself.
func (w *world) close() error {
	if w.stop != nil {
		w.stop()
	}
	w.stopped.Wait()
	if w.front != nil {
		w.front.Close()
	}
	w.calls.Wait()
	w.upstream.CloseIdleConnections()
	if w.hands != nil {
		w.hands.CloseIdleConnections()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrenn != nil {
		w.failures = append(w.failures, w.wrenn.Close())
	}
	if w.ledger.dir != "" {
		w.failures = append(w.failures, os.RemoveAll(w.ledger.dir))
	}
	return errors.Join(w.failures...)
}

func (w *world) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, err)
}

func (w *world) addOperator(o *operator) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.operators[o.name] = o
}

func (w *world) operatorNamed(name string) *operator {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.operators[name]
}

// killOperator kills whichever operator runs.
func (w *world) killOperator() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, o := range w.operators {
		o.kill()
		delete(w.operators, name)
	}
}

// remember keeps what an operator reads when it starts, for one that begins with a view as old as this.
func (w *world) remember(ctx context.Context) error {
	old := &oldLists{byPath: map[string][]byte{}}
	for _, resource := range []string{"sandboxes", "snapshots", "connections", "execjobs"} {
		path := "/apis/" + v1alpha1.GroupVersion.String() + "/namespaces/" + w.namespace + "/" + resource
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.site.config.Host+path, nil)
		if err != nil {
			return err
		}
		resp, err := w.site.http.Do(req)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return err
		}
		old.byPath[path] = text
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.old = old
	return nil
}

func (w *world) nextIsBehind() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isBehind = true
}

func (w *world) listsToBeginWith() *oldLists {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.isBehind || w.old == nil {
		return nil
	}
	w.isBehind = false
	return w.old.copied()
}

// failure is what the API server says where it is to fail.
func (w *world) failure() metav1.Status {
	if w.conflicts {
		return failed(http.StatusConflict, metav1.StatusReasonConflict, "a mishap: the object has been modified")
	}
	return failed(http.StatusInternalServerError, metav1.StatusReasonInternalError, "a mishap")
}

// list reads all objects of a kind.
func (w *world) list(ctx context.Context, into client.ObjectList) error {
	return w.site.api.List(ctx, into, client.InNamespace(w.namespace))
}
