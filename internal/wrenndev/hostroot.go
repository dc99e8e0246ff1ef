package wrenndev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

// hostRoot knows how a sandbox's root is made on this host.
type hostRoot struct {
	namespaces bool
	network    Network
	system     []string          // directories of the host that a sandbox sees
	links      map[string]string // symbolic links of the host's root, such as /bin
	resolvConf []byte            // where /etc/resolv.conf points out of the visible directories
}

// findHostRoot looks at the host and, where asked to use namespaces, tries them.
func findHostRoot(ctx context.Context, cfg Config, dataDir string) (hostRoot, error) {
	plain := hostRoot{network: HostNetwork}
	if cfg.Isolation == Directory {
		return plain, nil
	}
	host := hostRoot{namespaces: true, network: cfg.Network, links: map[string]string{}}
	for _, name := range []string{"bin", "etc", "lib", "lib32", "lib64", "libx32", "nix", "opt", "sbin", "usr"} {
		path := "/" + name
		info, err := os.Lstat(path)
		switch {
		case err != nil:
		case info.Mode()&fs.ModeSymlink != 0:
			if to, err := os.Readlink(path); err == nil {
				host.links[name] = to
			}
		case info.IsDir() && !below(dataDir, path):
			host.system = append(host.system, path)
		}
	}
	if info, err := os.Lstat("/etc/resolv.conf"); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		host.resolvConf, _ = os.ReadFile("/etc/resolv.conf") // without it the sandbox resolves no names
	}
	err := host.probe(ctx, filepath.Join(dataDir, "probe"))
	if err == nil {
		return host, nil
	}
	if cfg.Isolation == Namespaces {
		return hostRoot{}, fmt.Errorf("namespaces do not work here: %w", err)
	}
	cfg.Logger.Warn("namespaces do not work here: sandboxes are private directories, which is NO security border", "reason", err)
	return plain, nil
}

func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator))
}

// probe boots a machine and runs a command in it.
func (h hostRoot) probe(ctx context.Context, dir string) (err error) {
	defer func() { err = errors.Join(err, removeTree(dir)) }()
	if err := h.prepare(dir, ""); err != nil {
		return err
	}
	g, err := guest.Launch(ctx, h.bootSpec(dir, "probe", "probe", 0), nil)
	if err != nil {
		return err
	}
	defer g.Kill()
	c, err := g.Exec(ctx, guest.ExecSpec{Argv: []string{"true"}})
	if err != nil {
		return err
	}
	defer c.Close()
	select {
	case code, ok := <-c.Exit():
		if !ok || code != 0 {
			return fmt.Errorf("probe exited with %d", code)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// prepare makes a machine's directory, with the content of a snapshot if from names one.
func (h hostRoot) prepare(dir, from string) error {
	root := filepath.Join(dir, guest.RootDir)
	if err := os.MkdirAll(filepath.Join(dir, guest.WorkDir), 0o700); err != nil {
		return fmt.Errorf("prepare root: %w", err)
	}
	if from != "" {
		if _, err := copyContent(from, dir); err != nil {
			return err
		}
	}
	for _, d := range []struct {
		name string
		mode fs.FileMode
	}{
		{"", 0o755},
		{"root", 0o700},
		{"tmp", fs.ModeSticky | 0o777},
		{"home", 0o755},
		{"mnt", 0o755},
		{"srv", 0o755},
		{"run", 0o755},
		{"proc", 0o555},
		{"dev", 0o755},
		{"sys", 0o555},
		{"var", 0o755},
		{"var/tmp", fs.ModeSticky | 0o777},
		{"var/log", 0o755},
		{"var/lib", 0o755},
		{"var/cache", 0o755},
	} {
		path := filepath.Join(root, d.name)
		err := os.Mkdir(path, 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue // from the snapshot
		}
		if err == nil {
			err = os.Chmod(path, d.mode)
		}
		if err != nil {
			return fmt.Errorf("prepare root: %w", err)
		}
	}
	if !h.namespaces {
		return nil
	}
	for name, to := range h.links {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("prepare root: %w", err)
		}
	}
	if from != "" {
		return nil // the layers came with it
	}
	return h.prepareLayers(filepath.Join(dir, guest.LayersDir))
}

// prepareLayers hides the host's secrets in the writable layers.
func (h hostRoot) prepareLayers(layers string) error {
	for _, secret := range guest.Secrets {
		if _, err := os.Lstat(secret); err != nil {
			continue
		}
		path := filepath.Join(layers, secret)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // the mode of the directory it covers
			return fmt.Errorf("prepare layer: %w", err)
		}
		if err := whiteout(path); err != nil {
			return fmt.Errorf("hide %s: %w", secret, err)
		}
	}
	if len(h.resolvConf) == 0 {
		return nil
	}
	path := filepath.Join(layers, "etc", "resolv.conf")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // the mode of the directory it covers
		return fmt.Errorf("prepare layer: %w", err)
	}
	if err := os.WriteFile(path, h.resolvConf, 0o644); err != nil { //nolint:gosec // as on every system
		return fmt.Errorf("prepare layer: %w", err)
	}
	return nil
}

func (h hostRoot) bootSpec(dir, id, template string, sample time.Duration) guest.BootSpec {
	home, name, tmp := "/root", "root", "/tmp"
	if !h.namespaces {
		home = filepath.Join(dir, guest.RootDir, "root")
		tmp = filepath.Join(dir, guest.RootDir, "tmp")
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
	}
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + home, "USER=" + name, "LOGNAME=" + name,
		"WRENN_SANDBOX=true", guest.EnvSandboxID + "=" + id, "WRENN_TEMPLATE_ID=" + template,
	}
	if !h.namespaces {
		env = append(env, "TMPDIR="+tmp)
	}
	return guest.BootSpec{
		ID: id, Dir: dir, Namespaces: h.namespaces, PrivateNetwork: h.network == PrivateNetwork, System: h.system,
		Env: env, Home: home, SampleMillis: int(sample.Milliseconds()),
	}
}
