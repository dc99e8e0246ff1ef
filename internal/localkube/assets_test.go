package localkube

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// programs makes a directory with empty programs of these names.
func programs(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFindAssets(t *testing.T) {
	set := programs(t, "etcd", "kube-apiserver")
	withAll := programs(t, "etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
	path := programs(t, "kubectl")
	tests := map[string]struct {
		assets, path string
		want         Assets
		wantErr      string
	}{
		"nothing anywhere": {},
		"kubectl on PATH":  {path: path, want: Assets{Kubectl: path + "/kubectl"}},
		"an envtest set": {
			assets: set,
			want:   Assets{Etcd: set + "/etcd", APIServer: set + "/kube-apiserver"},
		},
		"a whole set": {assets: withAll, want: assetsIn(withAll)},
		"kubectl on PATH before that of the set": {
			assets: withAll, path: path,
			want: Assets{
				Etcd: withAll + "/etcd", APIServer: withAll + "/kube-apiserver",
				ControllerManager: withAll + "/kube-controller-manager", Kubectl: path + "/kubectl",
			},
		},
		"a set without etcd":   {assets: path, wantErr: "no program at " + path + "/etcd"},
		"a set that is no set": {assets: "/nonexistent", wantErr: "KUBEBUILDER_ASSETS=/nonexistent must hold etcd and kube-apiserver"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBEBUILDER_ASSETS", test.assets)
			t.Setenv("PATH", test.path)
			got, err := findAssets()
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("error %v, want %q", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a set lacks comes from our own build, which must then not take the place of what it has.
func TestEnsureAssetsCompletesASet(t *testing.T) {
	set := programs(t, "etcd", "kube-apiserver")
	t.Setenv("KUBEBUILDER_ASSETS", set)
	assets := mustAssets(t)
	if want := filepath.Join(set, "etcd"); assets.Etcd != want {
		t.Errorf("etcd %s, want %s", assets.Etcd, want)
	}
	if err := checkExecutable(assets.ControllerManager); err != nil || strings.HasPrefix(assets.ControllerManager, set) {
		t.Errorf("kube-controller-manager %s: %v, want one of our build", assets.ControllerManager, err)
	}
}

func TestModuleRoot(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kubernetesVersion(filepath.Join(root, "tools", "controlplane", "go.mod")); err != nil {
		t.Error(err)
	}
	t.Chdir(filepath.Join(root, "tools", "controlplane")) // has a go.mod too, of another module
	if got, err := moduleRoot(); err != nil || got != root {
		t.Errorf("from a nested module: %s, %v, want %s", got, err, root)
	}
	t.Chdir(t.TempDir())
	if got, err := moduleRoot(); err == nil || !strings.Contains(err.Error(), "is not inside a checkout of") {
		t.Errorf("from elsewhere: %s, %v", got, err)
	}
}

func TestCacheDir(t *testing.T) {
	t.Setenv("HOME", "/home/someone")
	for cache, want := range map[string]string{
		"":         "/home/someone/.cache/wrenn-operator",
		"relative": "/home/someone/.cache/wrenn-operator",
		"/cache":   "/cache/wrenn-operator",
	} {
		t.Setenv("XDG_CACHE_HOME", cache)
		if got, err := cacheDir(); err != nil || got != want {
			t.Errorf("XDG_CACHE_HOME=%q: %s, %v, want %s", cache, got, err, want)
		}
	}
}

func TestHashNamesTheSources(t *testing.T) {
	t.Parallel()
	hash := func(files map[string]string) string {
		build := controlPlaneBuild{moduleDir: t.TempDir()}
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(build.moduleDir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		sum, err := build.hash(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	base := hash(map[string]string{"go.mod": "module m", "go.sum": "", "main.go": "package main"})
	if again := hash(map[string]string{"go.mod": "module m", "go.sum": "", "main.go": "package main"}); again != base {
		t.Errorf("the same sources in another directory: %s, want %s", again, base)
	}
	for what, files := range map[string]map[string]string{
		"another requirement": {"go.mod": "module m\n", "go.sum": "", "main.go": "package main"},
		"another sum":         {"go.mod": "module m", "go.sum": "x", "main.go": "package main"},
		"another main":        {"go.mod": "module m", "go.sum": "", "main.go": "package main\n"},
		"one file more":       {"go.mod": "module m", "go.sum": "", "main.go": "package main", "a.go": "package main"},
	} {
		if got := hash(files); got == base {
			t.Errorf("%s: the hash is the same", what)
		}
	}
}

// The lines of go build -v as they come, a piece at a time.
func TestBuildReport(t *testing.T) {
	t.Parallel()
	var progress bytes.Buffer
	report := newBuildReport(&progress)
	for _, piece := range []string{
		"go: downloading example.com/a v1.0.0\nexample.com/a\nexam", "ple.com/b\n# example.com/b\n", "b.go:1: it is broken",
	} {
		if _, err := report.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	report.tell()
	if want := "1 modules fetched, 3 packages compiled\n"; !strings.HasSuffix(progress.String(), want) {
		t.Errorf("progress %q, want %q at its end", progress.String(), want)
	}
	if want := "example.com/a\nexample.com/b\n# example.com/b\nb.go:1: it is broken"; report.lastLines() != want {
		t.Errorf("last lines %q, want %q", report.lastLines(), want)
	}
}

func TestFailedBuildShowsTheCompiler(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	build := controlPlaneBuild{
		moduleDir: t.TempDir(), cacheDir: cache, dir: filepath.Join(cache, "controlplane-x"), version: "v1.2.3",
	}
	for name, content := range map[string]string{"go.mod": "module broken\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() { broken }\n"} {
		if err := os.WriteFile(filepath.Join(build.moduleDir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var progress bytes.Buffer
	err := build.once(t.Context(), &progress)
	if err == nil || !strings.Contains(err.Error(), "undefined: broken") {
		t.Errorf("error %v, want the compiler's", err)
	}
	if !strings.Contains(progress.String(), "takes about 10 to 15 minutes") {
		t.Errorf("progress %q does not say how long it takes", progress.String())
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "controlplane-*")); len(left) > 0 {
		t.Errorf("left in the cache: %v", left)
	}
}

func TestLockIsWaitedFor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := tryLockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan struct{}, 1)
	second := make(chan error)
	go func() {
		lock, err := lockFile(t.Context(), path, func(time.Duration) { waiting <- struct{}{} })
		if err == nil {
			lock.unlock()
		}
		second <- err
	}()
	<-waiting
	first.unlock()
	if err := <-second; err != nil {
		t.Errorf("after the first let go: %v", err)
	}

	held, err := tryLockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer held.unlock()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lockFile(ctx, path, func(time.Duration) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting without hope: %v, want it canceled", err)
	}
}
