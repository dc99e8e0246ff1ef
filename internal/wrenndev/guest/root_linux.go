package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// enterRoot makes the sandbox's root of the private directory, writable layers over
// the host's system directories, and a /proc and /dev of its own, and enters it.
func enterRoot(spec *BootSpec) error {
	if err := unix.Sethostname([]byte(spec.ID)); err != nil {
		return fmt.Errorf("hostname: %w", err)
	}
	// Nothing mounted here may show up on the host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	root := filepath.Join(spec.Dir, RootDir)
	if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind root: %w", err)
	}
	for _, dir := range spec.System {
		if err := mountSystem(spec.Dir, root, dir); err != nil {
			return err
		}
	}
	if err := unix.Mount("proc", filepath.Join(root, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := mountDev(filepath.Join(root, "dev")); err != nil {
		return err
	}
	return pivot(root)
}

// mountSystem shows a host directory in the root: under a writable layer, or where
// the kernel refuses an overlay there (mounts inside the directory that this user
// may not look under, a data directory that is itself on an overlay) read-only.
func mountSystem(base, root, dir string) error {
	target := filepath.Join(root, dir)
	layer := filepath.Join(base, LayersDir, dir)
	work := filepath.Join(base, WorkDir, dir)
	for _, d := range []string{target, layer, work} {
		if err := os.MkdirAll(d, 0o755); err != nil { //nolint:gosec // modes of system directories
			return fmt.Errorf("layer of %s: %w", dir, err)
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, layer, work)
	err := unix.Mount("overlay", target, "overlay", 0, options+",userxattr")
	if errors.Is(err, unix.EINVAL) {
		// Before Linux 5.11 there is no userxattr, and only real root may mount.
		err = unix.Mount("overlay", target, "overlay", 0, options)
	}
	if err == nil {
		return nil
	}
	if bindErr := bindReadOnly(dir, target); bindErr != nil {
		return fmt.Errorf("show %s: overlay: %w; %w", dir, err, bindErr)
	}
	return hide(target, dir)
}

func bindReadOnly(dir, target string) error {
	if err := unix.Mount(dir, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, target, unix.AT_RECURSIVE, &attr); err != nil {
		return fmt.Errorf("bind read-only: %w", err)
	}
	return nil
}

// hide covers the secrets of a system directory that is shown read-only. Under an
// overlay the layer itself hides them.
func hide(target, dir string) error {
	for _, secret := range Secrets {
		rel, err := filepath.Rel(dir, secret)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		path := filepath.Join(target, rel)
		info, err := os.Lstat(path)
		switch {
		case err != nil:
			continue
		case info.IsDir():
			err = unix.Mount("tmpfs", path, "tmpfs", unix.MS_RDONLY, "size=4k")
		case info.Mode().IsRegular():
			err = unix.Mount(os.DevNull, path, "", unix.MS_BIND, "")
		}
		if err != nil {
			return fmt.Errorf("hide %s: %w", secret, err)
		}
	}
	return nil
}

// mountDev makes a /dev with the devices every program may expect and no other.
func mountDev(dev string) error {
	if err := unix.Mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=755,size=64m"); err != nil {
		return fmt.Errorf("mount /dev: %w", err)
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		path := filepath.Join(dev, name)
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o644) //nolint:gosec // a mount point
		if err != nil {
			return fmt.Errorf("device: %w", err)
		}
		_ = f.Close()
		if err := unix.Mount("/dev/"+name, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("device %s: %w", name, err)
		}
	}
	for link, to := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(to, filepath.Join(dev, link)); err != nil {
			return fmt.Errorf("device: %w", err)
		}
	}
	for _, dir := range []string{"pts", "shm"} {
		if err := os.Mkdir(filepath.Join(dev, dir), 0o755); err != nil { //nolint:gosec // mount points
			return fmt.Errorf("device: %w", err)
		}
	}
	if err := os.Chmod(filepath.Join(dev, "shm"), os.ModeSticky|0o777); err != nil {
		return fmt.Errorf("device: %w", err)
	}
	// A terminal is a convenience: a kernel without devpts still runs commands.
	_ = unix.Mount("devpts", filepath.Join(dev, "pts"), "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
	return nil
}

func pivot(root string) error {
	if err := unix.Chdir(root); err != nil {
		return fmt.Errorf("enter root: %w", err)
	}
	// The old root is put on top of the new one and taken away again: no directory
	// is needed for it.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("enter root: %w", err)
	}
	return nil
}
