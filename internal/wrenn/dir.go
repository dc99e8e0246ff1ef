package wrenn

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"net/http"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// Everything here exists in generation Capsules only: on a server of the other it is ErrUnsupported.

// FileType is what a directory entry is.
type FileType string

// The types of entries.
const (
	FileRegular   FileType = "file"
	FileDirectory FileType = "directory"
	FileSymlink   FileType = "symlink"
)

// FileEntry is an entry of a directory in the guest.
type FileEntry struct {
	// Name is the last part of Path, which is absolute.
	Name, Path string
	// Type is what it is.
	Type FileType
	// Size in bytes.
	Size int64
	// Mode has the permission bits; Permissions shows them as "ls -l" does.
	Mode        fs.FileMode
	Permissions string
	// Owner and Group are names.
	Owner, Group string
	// ModifiedAt is UTC, in whole seconds.
	ModifiedAt time.Time
	// SymlinkTarget is what a FileSymlink points to.
	SymlinkTarget string
}

// ListFiles returns the entries of a directory and, with a depth above one, of those below it; 0 means 1. A directory that
// is not there, and a path that is none, are IsAgentError.
func (h *SandboxHandle) ListFiles(ctx context.Context, path string, depth int) ([]FileEntry, error) {
	const op = "sandboxes.list_files"
	if err := checkFile(op, h.id, path); err != nil {
		return nil, err
	}
	if depth < 0 || depth > math.MaxInt32 {
		return nil, invalidArgument(op, "the depth is out of range")
	}
	return sandboxFetch(ctx, h.c, h.dirCall(call{
		op: op, path: "/list", want: http.StatusOK, limit: h.c.settings.limits.ListBytes,
		body: jsonBody(api.FileListRequest{Path: path, Depth: optional(int32(depth))}),
	}), func(w *api.FileList) ([]FileEntry, error) { return listOf(fileEntryOf)(&w.Entries) })
}

// MakeDir makes a directory and its parents. One that is there is IsConflict, a file in its place IsInvalidRequest.
func (h *SandboxHandle) MakeDir(ctx context.Context, path string) (*FileEntry, error) {
	const op = "sandboxes.make_dir"
	if err := checkFile(op, h.id, path); err != nil {
		return nil, err
	}
	return sandboxFetch(ctx, h.c, h.dirCall(call{
		op: op, path: "/mkdir", want: http.StatusOK, limit: h.c.settings.limits.ObjectBytes, effect: true,
		body: jsonBody(api.FilePathRequest{Path: path}),
	}), func(w *api.FileEntryResult) (*FileEntry, error) { return fileEntryOf(&w.Entry) })
}

// RemoveFile removes a file, or a directory with all that is in it. One that is not there is IsAgentError.
func (h *SandboxHandle) RemoveFile(ctx context.Context, path string) error {
	const op = "sandboxes.remove_file"
	if err := checkFile(op, h.id, path); err != nil {
		return err
	}
	return sandboxDo(ctx, h.c, h.dirCall(call{
		op: op, path: "/remove", want: http.StatusNoContent, limit: h.c.settings.limits.ObjectBytes, effect: true,
		body: jsonBody(api.FilePathRequest{Path: path}),
	}))
}

func (h *SandboxHandle) dirCall(k call) call {
	k.method, k.path, k.only = http.MethodPost, "/"+h.id+"/files"+k.path, GenerationCapsules
	k.budget = slowCallTimeout
	return k
}

func fileEntryOf(w *api.FileEntry) (*FileEntry, error) {
	if w.Name == "" || w.Path == "" {
		return nil, errors.New("an entry has no name or no path")
	}
	return &FileEntry{
		Name: w.Name, Path: w.Path, Type: FileType(w.Type), Size: w.Size,
		Mode:        fs.FileMode(w.Mode & 0o7777), //nolint:gosec // Twelve bits.
		Permissions: w.Permissions, Owner: w.Owner, Group: w.Group, ModifiedAt: time.Unix(w.ModifiedAt, 0).UTC(),
		SymlinkTarget: value(w.SymlinkTarget),
	}, nil
}
