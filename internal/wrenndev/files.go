package wrenndev

import (
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"os"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

// maxUpload bounds the body of a plain upload, the form around it included.
const maxUpload = 100 << 20

// formMemory is what a plain upload keeps in memory; the rest waits on disk.
const formMemory = 8 << 20

// openFile opens a file of a running sandbox. It does not count as activity.
func (s *Server) openFile(ctx context.Context, id, path string, write bool) (*os.File, error) {
	m, err := s.agent.machine(id)
	if err != nil {
		return nil, agentHasNot(id)
	}
	g, _, err := m.use(false)
	if err != nil {
		return nil, agentHasNot(id)
	}
	f, err := g.Open(ctx, path, write)
	if err != nil {
		return nil, fileAnswer(err, id)
	}
	return f, nil
}

// fileAnswer maps a failure of a file operation to an answer: the guest's own status
// shows in the message only.
func fileAnswer(err error, id string) error {
	var reported *guest.Error
	switch {
	case errors.As(err, &reported) && reported.Kind == guest.KindNotFound:
		return agentError("file: unexpected status 404: %s", reported.Text)
	case errors.As(err, &reported):
		return agentError("file: unexpected status 400: %s", reported.Text)
	}
	return agentAnswer(err, id)
}

// upload takes path and file in any order.
func (s *Server) upload(c *call) error {
	row, err := s.runningRow(c)
	if err != nil {
		return err
	}
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, maxUpload)
	if err := c.r.ParseMultipartForm(formMemory); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return refuse(http.StatusRequestEntityTooLarge, "too_large", "body is larger than %d bytes", maxUpload)
		}
		return invalidRequest("expected a multipart form")
	}
	defer func() { _ = c.r.MultipartForm.RemoveAll() }()
	paths := c.r.MultipartForm.Value["path"]
	if len(paths) == 0 || paths[0] == "" {
		return invalidRequest("path is required")
	}
	file, _, err := c.r.FormFile("file")
	if err != nil {
		return invalidRequest("file is required")
	}
	defer func() { _ = file.Close() }()
	return s.write(c, row.ID, paths[0], file)
}

// write puts content into a file and answers.
func (s *Server) write(c *call, id, path string, content io.Reader) error {
	if err := c.agentFails(); err != nil {
		return err
	}
	if err := sleep(c.ctx(), c.agentDelay()); err != nil {
		return err
	}
	out, err := s.openFile(c.ctx(), id, path, true)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, content)
	if err = errors.Join(err, out.Close()); err != nil {
		return agentError("file: write: %v", err)
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// streamUpload passes the file on as it arrives, so it needs the path first: a
// file part before the path is thrown away, and what is written is empty.
func (s *Server) streamUpload(c *call) error {
	row, err := s.runningRow(c)
	if err != nil {
		return err
	}
	form, err := c.r.MultipartReader()
	if err != nil {
		return invalidRequest("expected a multipart form")
	}
	path, file, seen, err := pathThenFile(form)
	switch {
	case err != nil:
		return invalidRequest("malformed multipart form")
	case path == "":
		return invalidRequest("path is required")
	case !seen:
		return invalidRequest("file is required")
	}
	return s.write(c, row.ID, path, file)
}

// pathThenFile reads up to the file part that follows the path. seen tells that
// there was a file part at all; file is empty when it came first.
func pathThenFile(form *multipart.Reader) (path string, file io.Reader, seen bool, err error) {
	file = http.NoBody
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return path, file, seen, nil
		}
		if err != nil {
			return "", nil, seen, err
		}
		switch part.FormName() {
		case "path":
			text, err := io.ReadAll(io.LimitReader(part, 64<<10))
			if err != nil {
				return "", nil, seen, err
			}
			path = string(text)
		case "file":
			seen = true
			if path != "" {
				return path, part, true, nil
			}
		}
	}
}

func (s *Server) readPath(c *call) (id, path string, err error) {
	row, err := s.runningRow(c)
	if err != nil {
		return "", "", err
	}
	var req struct {
		Path string `json:"path"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return "", "", err
	}
	if req.Path == "" {
		return "", "", invalidRequest("path is required")
	}
	return row.ID, req.Path, errors.Join(c.agentFails(), sleep(c.ctx(), c.agentDelay()))
}

// download answers with the whole file, or with an error.
func (s *Server) download(c *call) error {
	id, path, err := s.readPath(c)
	if err != nil {
		return err
	}
	f, err := s.openFile(c.ctx(), id, path, false)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(f)
	if err != nil {
		return agentError("file: read: %v", err)
	}
	c.w.Header().Set("Content-Type", "application/octet-stream")
	c.w.WriteHeader(http.StatusOK)
	_, _ = c.w.Write(content) // a client that is gone does not get it
	return nil
}

// streamDownload answers 200 before it looks: a missing file is an empty one, and a
// failure on the way only ends the body.
func (s *Server) streamDownload(c *call) error {
	id, path, err := s.readPath(c)
	if err != nil {
		return err
	}
	f, err := s.openFile(c.ctx(), id, path, false)
	if err != nil && isGone(err) {
		return err
	}
	c.w.Header().Set("Content-Type", "application/octet-stream")
	c.w.WriteHeader(http.StatusOK)
	if err != nil {
		return nil // an empty body is how it is told
	}
	defer func() { _ = f.Close() }()
	flusher := http.NewResponseController(c.w)
	_ = flusher.Flush()    // chunked, however small the file is
	_, _ = io.Copy(c.w, f) // see above
	return nil
}

// isGone tells an agent that has no such sandbox from one that has no such file.
func isGone(err error) bool {
	var known *apiError
	return errors.As(err, &known) && known.status == http.StatusNotFound
}
