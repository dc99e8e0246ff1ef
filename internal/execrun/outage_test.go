package execrun

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// gate is a way to a server that can be shut: as when the server is restarted, all connections end and none can be made.
type gate struct {
	t       *testing.T
	target  string
	address string

	mu    sync.Mutex
	ln    net.Listener
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func newGate(t *testing.T, target string) *gate {
	t.Helper()
	g := &gate{t: t, target: target, address: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	g.open()
	t.Cleanup(func() {
		g.shut()
		g.wg.Wait()
	})
	return g
}

func (g *gate) open() {
	g.t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", g.address)
	if err != nil {
		g.t.Fatal(err)
	}
	g.ln, g.address = ln, ln.Addr().String()
	g.wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", g.target)
			if err != nil {
				_ = in.Close()
				continue
			}
			g.mu.Lock()
			g.conns[in], g.conns[out] = true, true
			g.mu.Unlock()
			g.wg.Go(func() { g.copy(out, in) })
			g.wg.Go(func() { g.copy(in, out) })
		}
	})
}

func (g *gate) copy(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, conn := range []net.Conn{to, from} {
		_ = conn.Close()
		delete(g.conns, conn)
	}
}

func (g *gate) shut() {
	_ = g.ln.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	for conn := range g.conns {
		_ = conn.Close()
	}
}

// counting is a command that goes on while nobody can see it, and ends when it is told to.
const counting = `echo ran >>count; i=0
until [ -e go ]; do echo line $i; echo err $i >&2; i=$((i+1)); echo $i >seen; sleep 0.02; done; printf '\342\202'`

// awaitCount waits until the command has gone on by some lines.
func (w *world) awaitCount() {
	w.t.Helper()
	read := func() (n int) {
		_, _ = fmt.Sscan(w.exec("cat", "seen"), &n)
		return n
	}
	for first, until := read(), time.Now().Add(patience); read() < first+20; {
		if time.Now().After(until) {
			w.t.Fatal("the command does not go on")
		}
	}
}

// wantCounted checks what the command has written against what it says that it has.
func (w *world) wantCounted(p Progress) {
	w.t.Helper()
	var n int
	if _, err := fmt.Sscan(w.exec("cat", "seen"), &n); err != nil {
		w.t.Fatal(err)
	}
	var out, errs bytes.Buffer
	for i := range n {
		fmt.Fprintf(&out, "line %d\n", i)
		fmt.Fprintf(&errs, "err %d\n", i)
	}
	out.WriteString("\xe2\x82")
	w.wantStored(p, out.Bytes(), errs.Bytes())
	if got := w.runs(); got != "ran\n" {
		w.t.Errorf("the command was run: %q", got)
	}
}

// The API server goes and comes back. The command goes on meanwhile.
func TestRunOverARestartOfTheAPIServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.stop()
	config := rest.CopyConfig(cluster.RESTConfig())
	host, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	way := newGate(t, host.Host)
	config.Host = "https://" + way.address
	gated, err := client.NewWithWatch(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.startRunner(gated)
	a := w.attempt(Command{Script: counting})
	w.runner.Ensure(a, Follow)
	for range 2 {
		w.await("output", func(p Progress) bool { return len(p.ConfigMaps) > 0 && p.Reason == "" })
		way.shut()
		w.awaitCount()
		w.await("refusal", func(p Progress) bool { return strings.Contains(p.Message, "the API server cannot be reached") })
		way.open()
	}
	w.upload("go", nil)
	w.wantCounted(w.run(a))
}

// The service goes and comes back, without the sandboxes noticing.
func TestRunOverARestartOfWrenn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	host, err := url.Parse(w.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	way := newGate(t, host.Host)
	key, err := wrenn.APIKey(w.server.APIKey())
	if err != nil {
		t.Fatal(err)
	}
	remote, err := wrenn.New("http://"+way.address, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remote.CloseIdleConnections)
	a := w.attempt(Command{Script: counting})
	a.Sandbox = func(context.Context) (*wrenn.SandboxHandle, error) { return remote.Sandbox(w.sandbox.ID()), nil }
	w.runner.Ensure(a, Follow)
	for range 2 {
		w.await("output", func(p Progress) bool { return p.Phase == Following && p.Stdout.Bytes > 0 })
		way.shut()
		w.awaitCount()
		w.await("loss", func(p Progress) bool { return p.Phase == Reattaching })
		way.open()
	}
	w.upload("go", nil)
	w.wantCounted(w.run(a))
}

// The service cuts every stream after some time.
func TestRunOverTheLimitOfStreams(t *testing.T) {
	t.Parallel()
	for name, generations := range map[string]wrenndev.Generations{"S": wrenndev.Sandboxes, "C": wrenndev.Capsules} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wrenndev.Config{Generations: generations, StreamLimit: 2 * time.Second})
			a := w.attempt(Command{Script: counting})
			w.runner.Ensure(a, Follow)
			for streams := 0; streams < 3; {
				w.awaitCount()
				streams = 0
				for _, request := range w.server.Requests() {
					if request.Op == wrenndev.OpExecStream {
						streams++
					}
				}
			}
			if p, _ := w.runner.Progress(w.job.UID, 1); p.Reason != "" {
				t.Errorf("the user is told of it: %+v", p)
			}
			w.upload("go", nil)
			w.wantCounted(w.run(a))
		})
	}
}

// However much a command writes, the beginning and the end are those that it wrote, and little of it passes by here.
func TestRunThatWritesMuch(t *testing.T) {
	if testing.Short() {
		t.Skip("100 MB")
	}
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	content := noise(51, 50<<20)
	w.upload("out", content)
	p := w.run(w.attempt(Command{Script: "echo ran >>count; cat out; cat out"}))
	const half = 4 << 20
	w.wantStored(p, append(content[:half:half], content[len(content)-half:]...), nil)
	if p.Truncated != 92<<20 || p.Stdout.Bytes != 100<<20 {
		t.Errorf("%d truncated of %d", p.Truncated, p.Stdout.Bytes)
	}
	if got := w.runs(); got != "ran\n" {
		t.Errorf("the command was run: %q", got)
	}
}
