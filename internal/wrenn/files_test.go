package wrenn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// received is what a server made of an upload.
type received struct {
	route, path string
	parts       []string
	content     []byte
	length      int64
}

func takeUpload(t *testing.T, got *received) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		got.route, got.length = strings.TrimPrefix(r.URL.Path, "/v1/sandboxes/"+testID), r.ContentLength
		reader, err := r.MultipartReader()
		if err != nil {
			t.Error(err)
			return
		}
		for {
			part, err := reader.NextPart()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Error(err)
				return
			}
			got.take(t, part)
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func (got *received) take(t *testing.T, part *multipart.Part) {
	t.Helper()
	content, err := io.ReadAll(part)
	if err != nil {
		t.Error(err)
	}
	got.parts = append(got.parts, part.FormName())
	if part.FormName() == "path" {
		got.path = string(content)
	} else {
		got.content = content
	}
}

func TestUploads(t *testing.T) {
	big := bytes.Repeat([]byte("\x00\xff\r\n--"), 1<<18)
	for name, content := range map[string][]byte{"empty": {}, "small": []byte("a"), "binary": big} {
		t.Run("whole/"+name, func(t *testing.T) {
			var got received
			c := serve(t, takeUpload(t, &got))
			if err := c.Sandbox(testID).Upload(t.Context(), "/tmp/ü \"x\"", content); err != nil {
				t.Fatal(err)
			}
			check(t, got, "/files/write", content)
			if got.length <= int64(len(content)) {
				t.Errorf("Content-Length is %d", got.length)
			}
		})
		t.Run("stream/"+name, func(t *testing.T) {
			var got received
			c := serve(t, takeUpload(t, &got))
			// Not a type whose length the HTTP client knows.
			stream := io.MultiReader(bytes.NewReader(content))
			if err := c.Sandbox(testID).StreamUpload(t.Context(), "/tmp/ü \"x\"", stream); err != nil {
				t.Fatal(err)
			}
			check(t, got, "/files/stream/write", content)
		})
	}
}

func check(t *testing.T, got received, route string, content []byte) {
	t.Helper()
	if got.route != route || got.path != "/tmp/ü \"x\"" || !bytes.Equal(got.content, content) {
		t.Errorf("route %q, path %q, %d bytes of content", got.route, got.path, len(got.content))
	}
	if strings.Join(got.parts, " ") != "path file" {
		t.Errorf("parts are %v: a file before its path is written empty", got.parts)
	}
}

// counted yields n bytes and counts what is read of it.
type counted struct {
	n, read atomic.Int64
	err     error
}

func (c *counted) Read(p []byte) (int, error) {
	left := c.n.Load() - c.read.Load()
	if left <= 0 {
		return 0, c.err
	}
	n := int(min(left, int64(len(p))))
	c.read.Add(int64(n))
	return n, nil
}

func TestStreamUploadRefusedBeforeTheContent(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusConflict, CodeInvalidState) })
	content := &counted{err: io.EOF}
	content.n.Store(1 << 40)
	e := asError(t, c.Sandbox(testID).StreamUpload(t.Context(), "/a", content))
	if !IsInvalidState(e) || e.Ambiguous {
		t.Fatalf("error is %+v", e)
	}
	if n := content.read.Load(); n != 0 {
		t.Fatalf("%d bytes were read", n)
	}
}

func TestStreamUploadOfFailingContent(t *testing.T) {
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	broken := errors.New("disk on fire")
	content := &counted{err: broken}
	content.n.Store(1 << 16)
	e := asError(t, c.Sandbox(testID).StreamUpload(t.Context(), "/a", content))
	if !errors.Is(e, broken) || !e.Ambiguous || IsTransport(e) {
		t.Fatalf("error is %+v", e)
	}
}

func TestDownloadLimit(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 11)) })
	if got, err := c.Sandbox(testID).Download(t.Context(), "/a", 11); err != nil || len(got) != 11 {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	_, err := c.Sandbox(testID).Download(t.Context(), "/a", 10)
	if e := asError(t, err); !errors.Is(e, ErrResponseTooLarge) || e.Ambiguous {
		t.Fatalf("error is %+v", e)
	}
}

func TestMissingFiles(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "stream") {
			return
		}
		refuse(w, http.StatusBadGateway, CodeAgentError)
	})
	if _, err := c.Sandbox(testID).Download(t.Context(), "/a", 0); !IsAgentError(err) || IsRefusal(err) || IsAmbiguous(err) {
		t.Fatalf("error is %v", err)
	}
	r, err := c.Sandbox(testID).StreamDownload(t.Context(), "/a")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); len(got) != 0 || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStreamDownloadFailures(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
	for name, tc := range map[string]struct {
		respond func(net.Conn)
		kind    error
	}{
		"shorter than told": {write(head + "Content-Length: 10\r\n\r\nabc"), ErrTransport},
		"chunks cut":        {write(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), ErrTransport},
		"chunks of nothing": {write(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n"), ErrTransport},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, rawServer(t, tc.respond), WithGeneration(GenerationSandboxes))
			r, err := c.Sandbox(testID).StreamDownload(t.Context(), "/a")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = r.Close() }()
			got, err := io.ReadAll(r)
			if e := asError(t, err); string(got) != "abc" || !errors.Is(e, tc.kind) {
				t.Fatalf("%q, %+v", got, e)
			}
		})
	}
	t.Run("canceled", func(t *testing.T) {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("abc"))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, err := c.Sandbox(testID).StreamDownload(ctx, "/a")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		cancel()
		_, err = r.Read(make([]byte, 1))
		if e := asError(t, err); !errors.Is(e, context.Canceled) {
			t.Fatalf("error is %+v", e)
		}
	})
}
