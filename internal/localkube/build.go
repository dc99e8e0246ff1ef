package localkube

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// progressInterval is the longest silence while a build runs.
const progressInterval = 15 * time.Second

// linkNames are the names under which the one binary of tools/controlplane is started.
var linkNames = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kubectl"}

// controlPlaneBuild is one version of tools/controlplane and the place in the cache that belongs to it.
type controlPlaneBuild struct {
	moduleDir string // tools/controlplane in the checkout
	version   string // of Kubernetes, as "v1.37.2"
	cacheDir  string // where this and all other builds are kept
	dir       string // where this build is kept, named by the hash of all that it is made of
}

// buildAssets returns the programs of our own build, which it makes unless the cache has it.
func buildAssets(ctx context.Context, progress io.Writer) (Assets, error) {
	build, err := locateBuild(ctx)
	if err != nil {
		return Assets{}, fmt.Errorf("local control plane: %w", err)
	}
	if !build.cached() {
		if err := build.once(ctx, progress); err != nil {
			return Assets{}, fmt.Errorf("building the local control plane: %w", err)
		}
	}
	return assetsIn(build.dir), nil
}

func (b controlPlaneBuild) cached() bool {
	for _, name := range linkNames {
		if checkExecutable(filepath.Join(b.dir, name)) != nil {
			return false
		}
	}
	return true
}

// once builds unless another process did so while this one waited for its turn.
func (b controlPlaneBuild) once(ctx context.Context, progress io.Writer) error {
	if err := os.MkdirAll(b.cacheDir, 0o750); err != nil {
		return err
	}
	lock, err := lockFile(ctx, b.lockPath(), func(waited time.Duration) {
		fmt.Fprintf(progress, "control plane: another process is building it, waiting (%s)\n", waited.Round(time.Second))
	})
	if err != nil {
		return err
	}
	defer lock.unlock()
	if b.cached() {
		return nil
	}
	return b.build(ctx, progress)
}

// lockPath is one for all versions: two builds at a time would only slow each other down.
func (b controlPlaneBuild) lockPath() string { return filepath.Join(b.cacheDir, "controlplane.lock") }

func (b controlPlaneBuild) build(ctx context.Context, progress io.Writer) error {
	if err := b.removeUnfinished(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.cacheDir, unfinishedPrefix)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	fmt.Fprintf(progress, "control plane: building Kubernetes %s (etcd, kube-apiserver, kube-controller-manager, kubectl) from source\n"+
		"control plane: the first build takes about 10 to 15 minutes on two cores; it is kept in %s\n", b.version, b.dir)
	started := time.Now()
	if err := b.compile(ctx, filepath.Join(dir, "controlplane"), progress); err != nil {
		return err
	}
	for _, name := range linkNames {
		if err := os.Symlink("controlplane", filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	// A directory that is there although it is not a whole build was damaged by someone: it is replaced.
	if err := os.RemoveAll(b.dir); err != nil {
		return err
	}
	if err := os.Rename(dir, b.dir); err != nil {
		return err
	}
	fmt.Fprintf(progress, "control plane: built in %s\n", time.Since(started).Round(time.Second))
	return nil
}

// unfinishedPrefix starts the names of directories that a build works in.
const unfinishedPrefix = "controlplane-unfinished-"

// removeUnfinished clears away what builds that were killed have left. Only the holder of the lock may.
func (b controlPlaneBuild) removeUnfinished() error {
	left, err := filepath.Glob(filepath.Join(b.cacheDir, unfinishedPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// compile runs go build and tells progress how far it is.
func (b controlPlaneBuild) compile(ctx context.Context, binary string, progress io.Writer) error {
	report := newBuildReport(progress)
	// -v names each package as it is compiled, which is all the progress there is to see.
	cmd := b.command(ctx, "build", "-v", "-mod=readonly", "-buildvcs=false", "-ldflags", b.linkFlags(), "-o", binary, ".")
	cmd.Stderr = report
	stopTelling := report.tellEvery(progressInterval)
	err := cmd.Run()
	stopTelling()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return fmt.Errorf("go build in %s: %w\n%s", b.moduleDir, err, report.lastLines())
	}
}

// linkFlags stamps the version as the Kubernetes release does; without it the servers call themselves
// v0.0.0-master, which leads clients astray that look at it (helm, kubectl's warning about skew).
func (b controlPlaneBuild) linkFlags() string {
	major, minor := majorMinor(b.version)
	flags := "-s -w"
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, stamp := range []struct{ name, value string }{
			{"gitVersion", b.version}, {"gitMajor", major}, {"gitMinor", minor}, {"gitTreeState", "clean"},
		} {
			flags += fmt.Sprintf(" -X %s.%s=%s", pkg, stamp.name, stamp.value)
		}
	}
	return flags
}

// command is the go command in the nested module, free of settings that are meant for the caller's own module.
func (b controlPlaneBuild) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // G204: the arguments are this file's own
	cmd.Dir = b.moduleDir
	// Without cgo the build needs no C compiler and the binary no C library.
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}
