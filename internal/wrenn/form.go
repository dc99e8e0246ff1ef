package wrenn

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"sync/atomic"
)

// form is a multipart form of one short field and then one file.
type form struct {
	head, tail  []byte
	contentType string
	// content is sent between head and tail; size is its length, or -1 when that is unknown.
	content *source
	size    int64
}

// formField is the short part of a form.
type formField struct{ name, value string }

// formFile is the long part of a form.
type formFile struct {
	field, name string
	content     io.Reader
}

func newForm(field formField, file formFile) *form {
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	// Writing to a buffer cannot fail.
	_ = w.WriteField(field.name, field.value)
	_, _ = w.CreateFormFile(file.field, file.name)
	head := bytes.Clone(buf.Bytes())
	buf.Reset()
	_ = w.Close()
	return &form{
		head: head, tail: buf.Bytes(), contentType: w.FormDataContentType(), content: &source{r: file.content}, size: -1,
	}
}

// streamForm is the form of an upload. "path" comes before "file": the service writes an empty file and reports success
// when a streamed form has them the other way round.
func streamForm(path string, content io.Reader) *form {
	return newForm(formField{"path", path}, formFile{"file", "file", content})
}

func bytesForm(path string, content []byte) *form {
	f := streamForm(path, bytes.NewReader(content))
	f.size = int64(len(content))
	return f
}

// attach makes the form the body of a request.
func (f *form) attach(req *http.Request) {
	req.Body = io.NopCloser(io.MultiReader(bytes.NewReader(f.head), f.content, bytes.NewReader(f.tail)))
	req.Header.Set("Content-Type", f.contentType)
	if f.size >= 0 {
		req.ContentLength = int64(len(f.head)) + f.size + int64(len(f.tail))
		return
	}
	req.ContentLength = -1
	// A server that refuses says so before the content is on its way.
	req.Header.Set("Expect", "100-continue")
}

// stop ends the reading of the content, which the HTTP transport can go on with for a moment after its answer.
func (f *form) stop() { f.content.stopped.Store(true) }

// failure is the error that reading the content met, if any.
func (f *form) failure() error {
	if f == nil {
		return nil
	}
	if err := f.content.err.Load(); err != nil {
		return *err
	}
	return nil
}

var errStopped = errors.New("the upload has ended")

// source reads the caller's content, remembers its error, and can be stopped.
type source struct {
	r       io.Reader
	stopped atomic.Bool
	err     atomic.Pointer[error]
}

func (s *source) Read(p []byte) (int, error) {
	if s.stopped.Load() {
		return 0, errStopped
	}
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err.Store(&err)
	}
	return n, err
}
