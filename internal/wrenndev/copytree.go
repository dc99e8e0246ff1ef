package wrenndev

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

// copyContent copies what a sandbox wrote, its root and its layers, from one
// directory to another and returns the bytes in it. A failed copy leaves nothing.
func copyContent(from, to string) (int64, error) {
	t := treeCopy{links: map[inode]string{}}
	for _, part := range []string{guest.RootDir, guest.LayersDir} {
		src := filepath.Join(from, part)
		if _, err := os.Lstat(src); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.MkdirAll(to, 0o700); err != nil {
			return 0, fmt.Errorf("copy sandbox: %w", err)
		}
		if err := t.copy(src, filepath.Join(to, part)); err != nil {
			return 0, errors.Join(fmt.Errorf("copy sandbox: %w", err), removeTree(to))
		}
	}
	return t.bytes, nil
}

type inode struct{ dev, ino uint64 }

// treeCopy copies a tree with owners, modes, times, extended attributes, hard
// links, and the special files by which an overlay marks what was deleted.
type treeCopy struct {
	links map[inode]string
	bytes int64
}

func (t *treeCopy) copy(from, to string) error {
	var st syscall.Stat_t
	if err := syscall.Lstat(from, &st); err != nil {
		return &fs.PathError{Op: "lstat", Path: from, Err: err}
	}
	kind := uint32(st.Mode) & syscall.S_IFMT //nolint:unconvert // the field's type differs between systems
	if kind != syscall.S_IFDIR && st.Nlink > 1 {
		key := inode{uint64(st.Dev), st.Ino} //nolint:unconvert // the field's type differs between systems
		if first, ok := t.links[key]; ok {
			return os.Link(first, to)
		}
		t.links[key] = to
	}
	var err error
	switch kind {
	case syscall.S_IFDIR:
		err = t.copyDir(from, to)
	case syscall.S_IFREG:
		err = t.copyFile(from, to)
	case syscall.S_IFLNK:
		err = copyLink(from, to)
	case syscall.S_IFSOCK:
		return nil // nobody listens on a copy
	default:
		err = unix.Mknod(to, uint32(st.Mode), int(st.Rdev)) //nolint:unconvert,gosec // the fields' types differ between systems
	}
	if err != nil {
		return err
	}
	return copyAttributes(from, to, kind, &st)
}

func (t *treeCopy) copyDir(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	names, err := readNames(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := t.copy(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir) //nolint:gosec // in the data directory
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return f.Readdirnames(-1)
}

func (t *treeCopy) copyFile(from, to string) error {
	in, err := os.Open(from) //nolint:gosec // in the data directory
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // in the data directory
	if err != nil {
		return err
	}
	n, err := io.Copy(out, in)
	t.bytes += n
	return errors.Join(err, out.Close())
}

func copyLink(from, to string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	return os.Symlink(target, to)
}

// copyAttributes makes to look like from. Owners and times are the best that this
// user may set.
func copyAttributes(from, to string, kind uint32, st *syscall.Stat_t) error {
	_ = os.Lchown(to, int(st.Uid), int(st.Gid))
	copyXattrs(from, to)
	if kind != syscall.S_IFLNK {
		if err := syscall.Chmod(to, uint32(st.Mode)&0o7777); err != nil { //nolint:unconvert // the field's type differs between systems
			return &fs.PathError{Op: "chmod", Path: to, Err: err}
		}
	}
	stamps := []unix.Timespec{unix.NsecToTimespec(modTime(st)), unix.NsecToTimespec(modTime(st))}
	_ = unix.UtimesNanoAt(unix.AT_FDCWD, to, stamps, unix.AT_SYMLINK_NOFOLLOW)
	return nil
}

// removeTree removes a directory and all in it, also below directories that their
// owner may not enter.
func removeTree(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) //nolint:gosec // a directory needs its x bit
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove sandbox: %w", err)
	}
	return nil
}
