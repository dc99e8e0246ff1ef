package localkube

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// assertGone fails unless no process has any of these ids.
func assertGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d is still there: %v", pid, err)
		}
	}
}

func (cp *ControlPlane) pids() []int {
	var pids []int
	for _, p := range cp.processes() {
		pids = append(pids, p.cmd.Process.Pid)
	}
	return pids
}

func TestStopLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	cp, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	pids := cp.pids()
	if len(pids) != 3 {
		t.Fatalf("%d processes, want etcd, kube-apiserver and kube-controller-manager", len(pids))
	}
	info, err := os.Stat(cp.KubeconfigPath())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the admin's kubeconfig has mode %v, want 0600", info.Mode().Perm())
	}

	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() {
			if err := cp.Stop(); err != nil {
				t.Errorf("Stop: %v", err)
			}
		})
	}
	calls.Wait()
	if err := cp.Stop(); err != nil {
		t.Errorf("Stop once more: %v", err)
	}
	assertGone(t, pids)
	if _, err := os.Stat(cp.DataDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary data directory is still there: %v", err)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cp, err := Start(ctx, Options{WithoutControllerManager: true})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-cp.Done()
	assertGone(t, cp.pids())
	if err := cp.Stop(); err != nil {
		t.Errorf("Stop after the end: %v", err)
	}
}

func TestDataDirectory(t *testing.T) {
	t.Parallel()
	// Longer than a Unix socket's path may be.
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 20)+"data")
	first, err := Start(t.Context(), Options{DataDir: dir, WithoutControllerManager: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Stop() }()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}
	if _, err := first.clients.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	if _, err := Start(t.Context(), Options{DataDir: dir, WithoutControllerManager: true}); !errors.Is(err, errLocked) {
		t.Errorf("a second control plane on the same data: %v, want an error that says it is in use", err)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first.socketDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of the sockets is still there: %v", err)
	}

	second, err := Start(t.Context(), Options{DataDir: dir, WithoutControllerManager: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Stop() }()
	if _, err := second.clients.CoreV1().Namespaces().Get(t.Context(), "kept", metav1.GetOptions{}); err != nil {
		t.Errorf("data of the control plane before: %v", err)
	}
}

func TestServerThatDiesIsReported(t *testing.T) {
	t.Parallel()
	var log safeBuffer
	cp, err := Start(t.Context(), Options{WithoutControllerManager: true, Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	if err := cp.etcd.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-cp.Done()
	const want = "etcd ended unexpectedly (signal: killed)"
	if err := cp.Stop(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Stop: %v, want %q", err, want)
	}
	if !strings.Contains(log.String(), want) {
		t.Errorf("log: %s, want %q", log.String(), want)
	}
	assertGone(t, cp.pids())
}

func TestServerThatRefusesItsFlags(t *testing.T) {
	t.Parallel()
	assets := mustAssets(t)
	assets.APIServer = writeScript(t, "echo unknown flag: --profiling; exit 3")
	_, err := Start(t.Context(), Options{Assets: &assets})
	if err == nil {
		t.Fatal("started")
	}
	for _, want := range []string{"kube-apiserver ended unexpectedly (exit status 3)", "unknown flag: --profiling"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestMissingProgram(t *testing.T) {
	t.Parallel()
	assets := mustAssets(t)
	assets.ControllerManager = filepath.Join(t.TempDir(), "kube-controller-manager")
	_, err := Start(t.Context(), Options{Assets: &assets})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), assets.ControllerManager) {
		t.Errorf("error %v, want one that names %s", err, assets.ControllerManager)
	}
}

func TestTakenPort(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	taken, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address, ok := taken.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("%T", taken.Addr())
	}

	var log safeBuffer
	cp := newControlPlane(&log)
	asked := 0
	cp.findPort = func(ctx context.Context) (int, error) {
		if asked++; asked == 1 {
			return address.Port, nil
		}
		return freePort(ctx)
	}
	defer func() { _ = cp.Stop() }()
	if err := cp.start(t.Context(), Options{WithoutControllerManager: true}); err != nil {
		t.Fatal(err)
	}
	if asked != 2 {
		t.Errorf("%d ports were tried, want the taken one and a free one; log: %s", asked, log.String())
	}

	fromFile, err := clientcmd.BuildConfigFromFlags("", cp.KubeconfigPath())
	if err != nil {
		t.Fatal(err)
	}
	if fromFile.Host != cp.RESTConfig().Host {
		t.Errorf("the kubeconfig leads to %s, want the port of the second attempt: %s", fromFile.Host, cp.RESTConfig().Host)
	}
	if _, err := kubernetes.NewForConfigOrDie(fromFile).CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("using the kubeconfig: %v", err)
	}
}

// mustAssets are the real programs.
func mustAssets(t *testing.T) Assets {
	t.Helper()
	assets, err := EnsureAssets(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return assets
}

// writeScript makes a program of a line of shell.
func writeScript(t *testing.T, line string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+line+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// safeBuffer is a buffer that one goroutine can read while another writes.
type safeBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
