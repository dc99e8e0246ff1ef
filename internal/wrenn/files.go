package wrenn

import (
	"context"
	"io"
)

// MaxUploadBytes is the most that Upload can send: the service takes 100 MiB with the form around the content.
const MaxUploadBytes = 100<<20 - 64<<10

// Upload writes content to a file in the guest, mode 0644 and owned by root, making its directories and replacing what was
// there. A relative path is under the default user's home. Content beyond MaxUploadBytes needs StreamUpload.
func (h *SandboxHandle) Upload(ctx context.Context, path string, content []byte) error {
	return errNotYet
}

// Download reads a file of the guest of at most limit bytes, 0 meaning 64 MiB; a larger one is ErrResponseTooLarge. A
// missing file, a directory and a forbidden one are all IsAgentError.
func (h *SandboxHandle) Download(ctx context.Context, path string, limit int64) ([]byte, error) {
	return nil, errNotYet
}

// StreamUpload writes what content yields to a file in the guest, as Upload does, in constant memory and without a limit
// of size. When it fails the file may be cut short. content is not read any more once StreamUpload has returned, but for
// a Read that was already under way.
func (h *SandboxHandle) StreamUpload(ctx context.Context, path string, content io.Reader) error {
	return errNotYet
}

// StreamDownload reads a file of the guest in constant memory. The caller closes the reader; ctx governs it to its end.
//
// The service answers a missing file and a directory with success and no bytes, and cuts a file short without a sign when
// the transfer fails. Where that matters use Download, or compare with the size that a command in the guest tells.
func (h *SandboxHandle) StreamDownload(ctx context.Context, path string) (io.ReadCloser, error) {
	return nil, errNotYet
}
