package guest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// files performs an operation on a path of the sandbox.
func (s *supervisor) files(op string, spec *PathSpec) ([]Entry, error) {
	if s.halted() {
		return nil, &kindError{KindFrozen, errFrozen}
	}
	path, err := s.resolve(spec.Path)
	if err != nil {
		return nil, err
	}
	switch op {
	case opListDir:
		return listDir(path, spec.Depth)
	case opMakeDir:
		return makeDir(path)
	case opRemove:
		if _, err := os.Lstat(path); err != nil {
			return nil, err
		}
		return nil, os.RemoveAll(path)
	}
	return nil, fmt.Errorf("wrenn-guest: bad request %q", op)
}

// listDir lists what is below a directory. What ends meanwhile, or cannot be looked
// into, is left out.
func listDir(top string, depth int) ([]Entry, error) {
	dir, err := filepath.EvalSymlinks(top) // it may be a link, those below are not followed
	if err != nil {
		return nil, err
	}
	names := names{}
	entries := []Entry{}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(dir, path)
		if relErr != nil || rel == "." {
			return errors.Join(err, relErr)
		}
		if err != nil {
			return nil //nolint:nilerr // see above
		}
		entry, err := names.entry(path)
		if err != nil {
			return nil //nolint:nilerr // see above
		}
		entry.Path = filepath.Join(top, rel)
		entries = append(entries, entry)
		if entry.Type == "directory" && strings.Count(rel, string(filepath.Separator)) >= depth-1 {
			return fs.SkipDir
		}
		return nil
	})
	if info, statErr := os.Stat(dir); err == nil && statErr == nil && !info.IsDir() {
		err = &kindError{KindInvalid, fmt.Errorf("%s is not a directory", top)}
	}
	return entries, err
}

// makeDir makes a directory with its parents.
func makeDir(path string) ([]Entry, error) {
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil, &kindError{KindExists, fmt.Errorf("%s exists", path)}
	case err == nil:
		return nil, &kindError{KindInvalid, fmt.Errorf("%s exists and is not a directory", path)}
	}
	if err := os.MkdirAll(path, 0o755); err != nil { //nolint:gosec // the mode the service gives
		return nil, &kindError{KindInternal, err}
	}
	entry, err := names{}.entry(path)
	return []Entry{entry}, err
}

// names are those of users and groups that were looked up.
type names map[string]string

func (n names) of(kind string, id uint32, look func(string) (string, error)) string {
	number := strconv.FormatUint(uint64(id), 10)
	name, ok := n[kind+number]
	if !ok {
		var err error
		if name, err = look(number); err != nil {
			name = number
		}
		n[kind+number] = name
	}
	return name
}

func (n names) entry(path string) (Entry, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{
		Name: filepath.Base(path), Path: path, Type: "file", Size: info.Size(),
		Permissions: permissions(info.Mode()), ModifiedAt: info.ModTime().Unix(),
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		e.Type = "directory"
	case fs.ModeSymlink:
		e.Type = "symlink"
		e.SymlinkTarget, _ = os.Readlink(path) // one that was replaced meanwhile has none
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		e.Mode = uint32(st.Mode) & 0o7777 //nolint:unconvert // it is narrower on other systems
		e.Owner = n.of("u", st.Uid, func(id string) (string, error) {
			u, err := user.LookupId(id)
			if err != nil {
				return "", err
			}
			return u.Username, nil
		})
		e.Group = n.of("g", st.Gid, func(id string) (string, error) {
			g, err := user.LookupGroupId(id)
			if err != nil {
				return "", err
			}
			return g.Name, nil
		})
	}
	return e, nil
}

// permissions shows a mode as ls does.
func permissions(mode fs.FileMode) string {
	letters := map[fs.FileMode]byte{
		fs.ModeDir: 'd', fs.ModeSymlink: 'l', fs.ModeNamedPipe: 'p', fs.ModeSocket: 's',
		fs.ModeDevice: 'b', fs.ModeDevice | fs.ModeCharDevice: 'c',
	}
	text := []byte("-rwxrwxrwx")
	if letter, ok := letters[mode.Type()]; ok {
		text[0] = letter
	}
	for i := range 9 {
		if mode&(1<<(8-i)) == 0 {
			text[i+1] = '-'
		}
	}
	for _, special := range []struct {
		bit fs.FileMode
		at  int
		set byte
	}{{fs.ModeSetuid, 3, 's'}, {fs.ModeSetgid, 6, 's'}, {fs.ModeSticky, 9, 't'}} {
		switch {
		case mode&special.bit == 0:
		case text[special.at] == 'x':
			text[special.at] = special.set
		default:
			text[special.at] = special.set - ('a' - 'A')
		}
	}
	return string(text)
}

// ListDir lists a directory of the sandbox, down to a depth of at least 1. A failure
// that the guest reports is an [*Error]; so it is of the others.
func (g *Guest) ListDir(ctx context.Context, path string, depth int) ([]Entry, error) {
	a, err := g.call(ctx, &Request{Op: opListDir, Path: &PathSpec{Path: path, Depth: depth}})
	return a.reply.Files, err
}

// MakeDir makes a directory of the sandbox with its parents.
func (g *Guest) MakeDir(ctx context.Context, path string) (Entry, error) {
	a, err := g.call(ctx, &Request{Op: opMakeDir, Path: &PathSpec{Path: path}})
	if err != nil {
		return Entry{}, err
	}
	if len(a.reply.Files) != 1 {
		return Entry{}, errors.New("guest sent no directory")
	}
	return a.reply.Files[0], nil
}

// Remove removes a file of the sandbox, or a directory with all that is in it.
func (g *Guest) Remove(ctx context.Context, path string) error {
	_, err := g.call(ctx, &Request{Op: opRemove, Path: &PathSpec{Path: path}})
	return err
}
