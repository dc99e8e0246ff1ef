package wrenndev

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"
)

// part is one field of a form.
type part struct{ name, text string }

// form sends a multipart form with its parts in this order.
func (c *client) form(path string, parts ...part) answer {
	c.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range parts {
		create := w.CreateFormField
		if p.name == "file" {
			create = func(name string) (io.Writer, error) { return w.CreateFormFile(name, "f") }
		}
		field, err := create(p.name)
		if err == nil {
			_, err = field.Write([]byte(p.text))
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		c.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.s.URL()+path, &body)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("X-API-Key", c.key)
	a, err := c.send(req)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

func TestFilesRoundTrip(t *testing.T) {
	s := start(t, Config{})
	content := "bytes \x00\xff\xfe\n" + strings.Repeat("x", 200_000)
	for _, f := range families {
		for _, w := range []string{"/files/write", "/files/stream/write"} {
			for _, r := range []string{"/files/read", "/files/stream/read"} {
				t.Run(f.name+w+r, func(t *testing.T) {
					c := s.client(t, f.base)
					one := f.base + "/" + c.create()
					for _, path := range []string{"plain", "deep/er/file", "~/tilde"} {
						if a := c.form(one+w, part{"path", path}, part{"file", content}); a.status != 204 || len(a.body) != 0 {
							t.Fatalf("write %s: %d %s", path, a.status, a.body)
						}
						a := c.want(http.StatusOK, "", http.MethodPost, one+r, map[string]string{"path": path})
						if string(a.body) != content || a.header.Get("Content-Type") != "application/octet-stream" {
							t.Errorf("read %s: %d bytes of %s", path, len(a.body), a.header.Get("Content-Type"))
						}
						if chunked := a.header.Get("Content-Length") == ""; r == "/files/stream/read" && !chunked {
							t.Error("a stream has a Content-Length")
						}
					}
					// Written again, the file is shorter.
					c.form(one+w, part{"path", "plain"}, part{"file", "short"})
					if a := c.do(http.MethodPost, one+r, `{"path":"plain"}`); string(a.body) != "short" {
						t.Errorf("read %q", a.body)
					}
				})
			}
		}
	}
}

func TestWrittenFilesAreWhereCommandsSeeThem(t *testing.T) {
	s := start(t, Config{})
	if s.Isolation() == Directory {
		t.Skip("absolute paths are the host's without namespaces")
	}
	c := s.client(t, pathS)
	id := c.create()
	if a := c.form(pathS+"/"+id+"/files/write", part{"path", "/srv/a/b"}, part{"file", "x"}); a.status != 204 {
		t.Fatal(a.status, string(a.body))
	}
	if got := c.sh(id, `stat -c '%a %U %s' /srv/a /srv/a/b | sed 's/ 4096//'; cat /srv/a/b`); got.Stdout != "755 root\n644 root 1\nx" {
		t.Errorf("%q", got.Stdout)
	}
}

func TestPartOrder(t *testing.T) {
	c := start(t, Config{}).client(t, pathS)
	one := pathS + "/" + c.create()
	file, path := part{"file", "content"}, part{"path", "f"}
	if a := c.form(one+"/files/write", file, path); a.status != 204 {
		t.Fatal(a.status)
	}
	if a := c.do(http.MethodPost, one+"/files/read", `{"path":"f"}`); string(a.body) != "content" {
		t.Errorf("plain write in the other order wrote %q", a.body)
	}
	if a := c.form(one+"/files/stream/write", file, path); a.status != 204 {
		t.Fatal(a.status)
	}
	if a := c.do(http.MethodPost, one+"/files/read", `{"path":"f"}`); a.status != 200 || len(a.body) != 0 {
		t.Errorf("stream write in the other order wrote %q", a.body)
	}
}

func TestFileErrors(t *testing.T) {
	c := start(t, Config{}).client(t, pathS)
	id := c.create()
	one := pathS + "/" + id
	c.sh(id, "mkdir d; mkfifo fifo")
	for _, w := range []string{"/files/write", "/files/stream/write"} {
		for name, parts := range map[string][]part{"no path": {{"file", "x"}}, "no file": {{"path", "x"}}, "empty path": {{"path", ""}, {"file", "x"}}} {
			if a := c.form(one+w, parts...); a.status != 400 || a.code() != "invalid_request" {
				t.Errorf("%s %s: %d %s", w, name, a.status, a.body)
			}
		}
		c.want(http.StatusBadRequest, "invalid_request", http.MethodPost, one+w, `{"path":"x"}`)
		for _, path := range []string{"d", "fifo"} {
			if a := c.form(one+w, part{"path", path}, part{"file", "x"}); a.status != 502 || a.code() != "agent_error" {
				t.Errorf("%s to %s: %d %s", w, path, a.status, a.body)
			}
		}
	}
	for _, path := range []string{"missing", "d", "fifo", "plain/below"} {
		c.want(http.StatusBadGateway, "agent_error", http.MethodPost, one+"/files/read", map[string]string{"path": path})
		a := c.want(http.StatusOK, "", http.MethodPost, one+"/files/stream/read", map[string]string{"path": path})
		if len(a.body) != 0 {
			t.Errorf("stream read of %s: %q", path, a.body)
		}
	}
	for _, body := range []string{"", "{}", `{"path":1}`} {
		c.want(http.StatusBadRequest, "invalid_request", http.MethodPost, one+"/files/read", body)
	}
}

func TestUploadLimit(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathS)
	one := pathS + "/" + c.create()
	large := part{"file", strings.Repeat("x", maxUpload)}
	if a := c.form(one+"/files/write", part{"path", "f"}, large); a.status != 413 || a.code() != "too_large" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := c.form(one+"/files/stream/write", part{"path", "f"}, large); a.status != 204 {
		t.Errorf("stream: %d %s", a.status, a.body)
	}
}

func TestDirectoryIsolationKeepsFilesInItsDirectory(t *testing.T) {
	s := start(t, Config{Isolation: Directory})
	c := s.client(t, pathS)
	one := pathS + "/" + c.create()
	outside := t.TempDir() + "/f"
	if a := c.form(one+"/files/write", part{"path", outside}, part{"file", "x"}); a.status != 502 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if _, err := os.Stat(outside); !os.IsNotExist(err) {
		t.Error("the file was written")
	}
}
