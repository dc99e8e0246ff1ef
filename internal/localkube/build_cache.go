package localkube

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// modulePath is the module that this package belongs to; its go.mod marks the root of a checkout.
const modulePath = "github.com/wrennhq/wrenn-operator"

// locateBuild finds the sources in the checkout and the place in the cache that belongs to them.
func locateBuild(ctx context.Context) (controlPlaneBuild, error) {
	root, err := moduleRoot()
	if err != nil {
		return controlPlaneBuild{}, err
	}
	cacheDir, err := cacheDir()
	if err != nil {
		return controlPlaneBuild{}, err
	}
	build := controlPlaneBuild{moduleDir: filepath.Join(root, "tools", "controlplane"), cacheDir: cacheDir}
	sum, err := build.hash(ctx)
	if err != nil {
		return controlPlaneBuild{}, err
	}
	if build.version, err = kubernetesVersion(filepath.Join(build.moduleDir, "go.mod")); err != nil {
		return controlPlaneBuild{}, err
	}
	build.dir = filepath.Join(cacheDir, fmt.Sprintf("controlplane-%s-%s", build.version, sum))
	return build, nil
}

// hash is over everything that decides what the binary is: the module, the toolchain, the platform.
func (b controlPlaneBuild) hash(ctx context.Context) (string, error) {
	toolchain, err := b.command(ctx, "env", "GOVERSION").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for its version (is Go on PATH?): %w", err)
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s/%s\n", strings.TrimSpace(string(toolchain)), runtime.GOOS, runtime.GOARCH)
	sources, err := filepath.Glob(filepath.Join(b.moduleDir, "*.go"))
	if err != nil {
		return "", err
	}
	for _, path := range append(sources, filepath.Join(b.moduleDir, "go.mod"), filepath.Join(b.moduleDir, "go.sum")) {
		content, err := os.ReadFile(path) //nolint:gosec // G304: files of this checkout
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n", filepath.Base(path), len(content))
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// kubernetesVersion reads which release a go.mod requires.
func kubernetesVersion(goMod string) (string, error) {
	content, err := os.ReadFile(goMod) //nolint:gosec // G304: a file of this checkout
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "k8s.io/kubernetes" {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("%s requires no k8s.io/kubernetes", goMod)
}

func majorMinor(version string) (major, minor string) {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ = strings.Cut(rest, ".")
	return major, minor
}

// cacheDir is where builds are kept: outside the checkout, so that a clean checkout finds them again.
func cacheDir() (string, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(base) { // the XDG specification has relative paths ignored
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no place for the build cache; set XDG_CACHE_HOME: %w", err)
		}
		base = filepath.Join(home, ".cache")
	}
	return filepath.Join(base, "wrenn-operator"), nil
}

// moduleRoot walks up from the working directory, which go test sets to the directory of the package under test,
// to the root of the checkout.
func moduleRoot() (string, error) {
	workDir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := workDir; ; dir = filepath.Dir(dir) {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod")) //nolint:gosec // G304: a file of this checkout
		switch {
		case err == nil && declaresModule(string(content)):
			return dir, nil
		case err != nil && !errors.Is(err, os.ErrNotExist):
			return "", err
		case dir == filepath.Dir(dir):
			return "", fmt.Errorf("%s is not inside a checkout of %s, whose tools/controlplane is to be built; "+
				"run from there or set %s", workDir, modulePath, assetsVariable)
		}
	}
}

func declaresModule(goMod string) bool {
	for line := range strings.Lines(goMod) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "module" {
			return fields[1] == modulePath
		}
	}
	return false
}
