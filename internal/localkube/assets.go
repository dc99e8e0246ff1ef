package localkube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// assetsVariable names a directory with a prebuilt set of binaries, as envtest and setup-envtest use it.
const assetsVariable = "KUBEBUILDER_ASSETS"

// Assets are the programs that a control plane is made of, as absolute paths.
type Assets struct {
	Etcd              string
	APIServer         string
	ControllerManager string
	Kubectl           string
}

// EnsureAssets returns the programs of a whole control plane and builds what is missing.
//
// etcd and kube-apiserver come from the directory that KUBEBUILDER_ASSETS names, where it is set; it is an error
// when they are not in it. Without the variable they come from our own build of tools/controlplane, which is cached outside the
// checkout. kube-controller-manager is taken from KUBEBUILDER_ASSETS if it is there (envtest bundles have none)
// and from our own build otherwise. kubectl is the one on PATH, else that of KUBEBUILDER_ASSETS, else ours.
//
// The first build takes minutes; what goes on is told on progress. Processes that need the same build at the same
// time build it once.
func EnsureAssets(ctx context.Context, progress io.Writer) (Assets, error) {
	return ensureAssets(ctx, progress, true)
}

// ensureAssets is EnsureAssets for those too who can do without a controller manager and should then not wait for
// a build that only it would need.
func ensureAssets(ctx context.Context, progress io.Writer, controllerManager bool) (Assets, error) {
	assets, err := findAssets()
	if err != nil {
		return Assets{}, err
	}
	complete := assets.Etcd != "" && assets.APIServer != "" && assets.Kubectl != "" &&
		(assets.ControllerManager != "" || !controllerManager)
	if complete {
		return assets, nil
	}
	built, err := buildAssets(ctx, progress)
	if err != nil {
		return Assets{}, err
	}
	return assets.orElse(built), nil
}

// findAssets looks for programs that are there already, outside our own build.
func findAssets() (Assets, error) {
	var assets Assets
	if dir := os.Getenv(assetsVariable); dir != "" {
		dir, err := filepath.Abs(dir)
		if err != nil {
			return Assets{}, fmt.Errorf("%s: %w", assetsVariable, err)
		}
		in := assetsIn(dir)
		for _, path := range []string{in.Etcd, in.APIServer} {
			if err := checkExecutable(path); err != nil {
				return Assets{}, fmt.Errorf("%s=%s must hold etcd and kube-apiserver (unset it to have them built): %w",
					assetsVariable, dir, err)
			}
		}
		assets.Etcd, assets.APIServer = in.Etcd, in.APIServer
		assets.ControllerManager = ifExecutable(in.ControllerManager)
		assets.Kubectl = ifExecutable(in.Kubectl)
	}
	if path, err := exec.LookPath("kubectl"); err == nil {
		if path, err = filepath.Abs(path); err == nil {
			assets.Kubectl = path
		}
	}
	return assets, nil
}

// assetsIn names the programs in a directory without a look at whether they are there.
func assetsIn(dir string) Assets {
	return Assets{
		Etcd:              filepath.Join(dir, "etcd"),
		APIServer:         filepath.Join(dir, "kube-apiserver"),
		ControllerManager: filepath.Join(dir, "kube-controller-manager"),
		Kubectl:           filepath.Join(dir, "kubectl"),
	}
}

// orElse fills what is empty from others.
func (a Assets) orElse(others Assets) Assets {
	for _, field := range []struct{ to, from *string }{
		{&a.Etcd, &others.Etcd},
		{&a.APIServer, &others.APIServer},
		{&a.ControllerManager, &others.ControllerManager},
		{&a.Kubectl, &others.Kubectl},
	} {
		if *field.to == "" {
			*field.to = *field.from
		}
	}
	return a
}

func ifExecutable(path string) string {
	if checkExecutable(path) != nil {
		return ""
	}
	return path
}

// checkExecutable tells in words a person can act on why a program cannot be started.
func checkExecutable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("no program at %s: %w", path, os.ErrNotExist)
	case err != nil:
		return fmt.Errorf("cannot use %s: %w", path, err)
	case info.IsDir() || info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not a program that can be executed", path)
	default:
		return nil
	}
}
