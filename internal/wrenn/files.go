package wrenn

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// MaxUploadBytes is the most that Upload can send: the service takes 100 MiB with the form around the content.
const MaxUploadBytes = 100<<20 - 64<<10

// maxPathBytes is the longest path that a Linux guest can open.
const maxPathBytes = 4096

// Upload writes content to a file in the guest, mode 0644 and owned by root, making its directories and replacing what was
// there. A relative path is under the default user's home. Content beyond MaxUploadBytes needs StreamUpload.
func (h *SandboxHandle) Upload(ctx context.Context, path string, content []byte) error {
	const op = "sandboxes.upload"
	if len(content) > MaxUploadBytes {
		return invalidArgument(op, "the content is larger than %d bytes", MaxUploadBytes)
	}
	return h.upload(ctx, call{
		op: op, path: "/files/write", form: bytesForm(path, content), budget: slowCallTimeout,
	}, path)
}

// StreamUpload writes what content yields to a file in the guest, as Upload does, in constant memory and without a limit
// of size. It has no time limit but that of ctx. When it fails the file may be cut short. content is not read any more
// once StreamUpload has returned, but for a Read that was already under way.
func (h *SandboxHandle) StreamUpload(ctx context.Context, path string, content io.Reader) error {
	f := streamForm(path, content)
	defer f.stop()
	return h.upload(ctx, call{op: "sandboxes.stream_upload", path: "/files/stream/write", form: f}, path)
}

func (h *SandboxHandle) upload(ctx context.Context, k call, path string) error {
	if err := checkFile(k.op, h.id, path); err != nil {
		return err
	}
	k.method, k.path, k.want = http.MethodPost, "/"+h.id+k.path, http.StatusNoContent
	k.limit, k.effect, k.transfer = h.c.settings.limits.ObjectBytes, true, true
	return sandboxDo(ctx, h.c, k)
}

// Download reads a file of the guest of at most limit bytes, 0 meaning 64 MiB; a larger one is ErrResponseTooLarge. A
// missing file, a directory and a forbidden one are all IsAgentError.
func (h *SandboxHandle) Download(ctx context.Context, path string, limit int64) ([]byte, error) {
	k := h.readCall("sandboxes.download", "/files/read", path)
	if err := checkFile(k.op, h.id, path); err != nil {
		return nil, err
	}
	k.budget, k.limit = slowCallTimeout, limit
	if limit <= 0 {
		k.limit = h.c.settings.limits.DownloadBytes
	}
	k, err := h.c.sandboxCall(ctx, k)
	if err != nil {
		return nil, err
	}
	content, err := h.c.do(ctx, k)
	h.c.learn(err)
	return content, err
}

// StreamDownload reads a file of the guest in constant memory. The caller closes the reader; ctx governs it to its end.
//
// The service answers a missing file and a directory with success and no bytes, and cuts a file short without a sign when
// the transfer fails. Where that matters use Download, or compare with the size that a command in the guest tells.
func (h *SandboxHandle) StreamDownload(ctx context.Context, path string) (io.ReadCloser, error) {
	k := h.readCall("sandboxes.stream_download", "/files/stream/read", path)
	if err := checkFile(k.op, h.id, path); err != nil {
		return nil, err
	}
	k, err := h.c.sandboxCall(ctx, k)
	if err != nil {
		return nil, err
	}
	resp, e := h.c.send(ctx, k) //nolint:bodyclose // The caller closes it, through the fileReader.
	if e != nil {
		h.c.learn(e)
		return nil, e
	}
	return &fileReader{ctx: ctx, op: k.op, body: resp.Body}, nil
}

func (h *SandboxHandle) readCall(op, route, path string) call {
	return call{
		op: op, method: http.MethodPost, path: "/" + h.id + route, body: jsonBody(api.FileReadRequest{Path: path}),
		want: http.StatusOK, transfer: true,
	}
}

// fileReader is the body of a file, with errors like everybody else's.
type fileReader struct {
	ctx  context.Context
	op   string
	body io.ReadCloser
}

func (r *fileReader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = transportFailure(r.ctx, r.op, err)
	}
	return n, err
}

func (r *fileReader) Close() error {
	_ = r.body.Close()
	return nil
}

func checkFile(op, id, path string) error {
	if err := checkID(op, id); err != nil {
		return err
	}
	if path == "" || len(path) > maxPathBytes || strings.ContainsRune(path, 0) {
		return invalidArgument(op, "the path must have 1 to %d bytes and no NUL", maxPathBytes)
	}
	return nil
}
