package main

import (
	"bytes"
	"crypto/rand"
	"io"
	"math"
	"strings"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var fileChecks = []check{
	{name: "writeFileSandbox", run: writeFile},
	{name: "readFileSandbox", run: readFile},
	{name: "streamWriteFileSandbox", run: streamWriteFile},
	{name: "streamReadFileSandbox", run: streamReadFile},
	{name: "upload-parts-in-any-order", run: uploadAnyOrder},
	{name: "upload-without-its-parts", run: uploadWithoutParts},
	{name: "upload-limit", slow: "sends more than 100 MiB", run: uploadLimit},
	{name: "stream-upload-file-before-path", run: streamUploadFileFirst},
	{name: "stream-download-of-nothing", run: streamDownloadOfNothing},
	{name: "files-of-what-does-not-run", run: filesOfStopped},
	{name: "listFilesCapsule", only: wrenn.GenerationCapsules, run: listFiles},
	{name: "makeDirCapsule", only: wrenn.GenerationCapsules, run: makeDir},
	{name: "removeFileCapsule", only: wrenn.GenerationCapsules, run: removeFile},
}

// blob is content that is no text.
func blob(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails
	return b
}

// writeFile looks at what the guest sees.
func writeFile(p *probe) {
	h := p.sandbox()
	p.ok(h.Upload(p.ctx, "new/deep/file", []byte("first, and longer")))
	p.ok(h.Upload(p.ctx, "new/deep/file", []byte("second")))
	got := p.sh(h, `cat new/deep/file; echo; (ls -ld new/deep/file; ls -ld new/deep) | cut -c1-10; set -- $(ls -ln new/deep/file); echo $3`)
	p.want(got == "second\n-rw-r--r--\ndrwxr-xr-x\n0\n", "the guest sees %q", got)
	home := strings.TrimSpace(p.sh(h, `echo "$HOME"`))
	p.ok(h.Upload(p.ctx, home+"/absolute", []byte("x")))
	p.sh(h, `test -f "$HOME/absolute" && test -f "$HOME/new/deep/file"`)
	p.ok(h.Upload(p.ctx, "empty", nil))
	p.want(p.sh(h, "wc -c < empty | tr -d ' '") == "0\n", "an empty file is not empty")
	p.refused(h.Upload(p.ctx, "/tmp", []byte("x")), "writing to a directory", wrenn.CodeAgentError)
}

func readFile(p *probe) {
	h := p.sandbox()
	content := blob(1 << 20)
	p.ok(h.Upload(p.ctx, "blob", content))
	got, err := h.Download(p.ctx, "blob", 0)
	p.ok(err)
	p.want(bytes.Equal(got, content), "%d bytes came back of %d, or others", len(got), len(content))
	p.sh(h, `echo home > "$HOME/conformance"`)
	for _, path := range []string{"conformance", "~/conformance", strings.TrimSpace(p.sh(h, `echo "$HOME"`)) + "/conformance"} {
		got, err = h.Download(p.ctx, path, 0)
		p.ok(err)
		p.want(string(got) == "home\n", "%s is %q", path, got)
	}
	_, err = h.Download(p.ctx, "blob", 1000)
	p.caused(err, wrenn.ErrResponseTooLarge)
	for _, path := range []string{"missing", "/tmp"} {
		_, err = h.Download(p.ctx, path, 0)
		p.refused(err, "reading "+path, wrenn.CodeAgentError)
	}
	p.turnedAway(p.send("POST", p.sandboxes(h.ID(), "files", "read"), `{}`), "no path", 400, wrenn.CodeInvalidRequest)
}

func streamWriteFile(p *probe) {
	h := p.sandbox()
	content := blob(8 << 20)
	p.ok(h.StreamUpload(p.ctx, "new/blob", io.MultiReader(bytes.NewReader(content))))
	got, err := h.Download(p.ctx, "new/blob", 0)
	p.ok(err)
	p.want(bytes.Equal(got, content), "%d bytes came back of %d, or others", len(got), len(content))
}

func streamReadFile(p *probe) {
	h := p.sandbox()
	content := blob(8 << 20)
	p.ok(h.StreamUpload(p.ctx, "blob", bytes.NewReader(content)))
	file, err := h.StreamDownload(p.ctx, "blob")
	p.ok(err)
	defer func() { _ = file.Close() }()
	got, err := io.ReadAll(file)
	p.ok(err)
	p.want(bytes.Equal(got, content), "%d bytes came back of %d, or others", len(got), len(content))
}

func uploadAnyOrder(p *probe) {
	h := p.sandbox()
	a := p.post(p.sandboxes(h.ID(), "files", "write"), field{"file", "content", true}, field{"path", "file", false})
	p.want(a.status == 204, "HTTP %d %s", a.status, a.code())
	p.want(p.sh(h, "cat file") == "content", "the file is not what was sent")
}

func uploadWithoutParts(p *probe) {
	path := p.sandboxes(p.sandbox().ID(), "files", "write")
	p.turnedAway(p.post(path, field{"file", "content", true}), "no path", 400, wrenn.CodeInvalidRequest)
	p.turnedAway(p.post(path, field{"path", "file", false}), "no file", 400, wrenn.CodeInvalidRequest)
	p.turnedAway(p.send("POST", path, `{"path":"file"}`), "no form", 400, wrenn.CodeInvalidRequest)
}

// uploadLimit: the form around the content counts, and a stream has no limit.
func uploadLimit(p *probe) {
	h := p.sandbox()
	path := p.sandboxes(h.ID(), "files", "write")
	const limit = 100 << 20
	p.turnedAway(p.post(path, field{"path", "file", false}, field{"file", strings.Repeat("x", limit), true}),
		"a form of more than 100 MiB", 413, wrenn.CodeTooLarge)
	p.caused(h.Upload(p.ctx, "file", make([]byte, limit)), wrenn.ErrInvalidArgument)
	p.ok(h.StreamUpload(p.ctx, "file", io.LimitReader(zeros{}, limit+1<<20)))
	p.want(p.sh(h, "wc -c < file | tr -d ' '") == "105906176\n", "a stream of 101 MiB is cut")
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// streamUploadFileFirst: the content is lost, and nothing tells.
func streamUploadFileFirst(p *probe) {
	h := p.sandbox()
	a := p.post(p.sandboxes(h.ID(), "files", "stream", "write"), field{"file", "content", true}, field{"path", "file", false})
	p.want(a.status == 204, "HTTP %d %s", a.status, a.code())
	p.want(p.sh(h, "test -e file && cat file") == "", "the file is not empty")
}

// streamDownloadOfNothing: what is not there is an empty file.
func streamDownloadOfNothing(p *probe) {
	h := p.sandbox()
	for _, path := range []string{"missing", "/tmp"} {
		file, err := h.StreamDownload(p.ctx, path)
		p.ok(err)
		content, err := io.ReadAll(file)
		_ = file.Close()
		p.ok(err)
		p.want(len(content) == 0, "%s has %d bytes", path, len(content))
	}
}

func filesOfStopped(p *probe) {
	h := p.sandbox()
	p.ok(h.Destroy(p.ctx))
	p.refused(h.Upload(p.ctx, "file", nil), "an upload", wrenn.CodeInvalidState)
	p.refused(h.StreamUpload(p.ctx, "file", strings.NewReader("")), "a streamed upload", wrenn.CodeInvalidState)
	_, err := h.Download(p.ctx, "file", 0)
	p.refused(err, "a download", wrenn.CodeInvalidState)
	_, err = h.StreamDownload(p.ctx, "file")
	p.refused(err, "a streamed download", wrenn.CodeInvalidState)
}

func listFiles(p *probe) {
	h := p.sandbox()
	p.sh(h, "mkdir -p dir/sub && printf 12345 > dir/file && chmod 640 dir/file && ln -s file dir/link && touch dir/sub/deep")
	entries := func(depth int) map[string]wrenn.FileEntry {
		listed, err := h.ListFiles(p.ctx, "dir", depth)
		p.ok(err)
		byPath := map[string]wrenn.FileEntry{}
		for _, entry := range listed {
			// Paths are absolute; where the home is does not matter here.
			_, below, _ := strings.Cut(entry.Path, "/dir/")
			byPath[below] = entry
		}
		return byPath
	}
	got := entries(0)
	file, sub, link := got["file"], got["sub"], got["link"]
	p.want(len(got) == 3, "there are %d entries, want 3: %v", len(got), got)
	p.want(file.Name == "file" && file.Type == wrenn.FileRegular && file.Size == 5 && file.Mode.Perm() == 0o640, "the file is %+v", file)
	p.want(file.Owner != "" && file.Group != "" && file.Permissions != "" && !file.ModifiedAt.IsZero(), "the file is %+v", file)
	p.want(sub.Type == wrenn.FileDirectory && link.Type == wrenn.FileSymlink && link.SymlinkTarget != "", "got %+v, %+v", sub, link)
	p.want(len(entries(1)) == 3, "a depth of 1 is not that of 0")
	_, found := entries(2)["sub/deep"]
	p.want(found, "a depth of 2 does not show what is in a subdirectory")
	for _, path := range []string{"missing", "dir/file"} {
		_, err := h.ListFiles(p.ctx, path, 0)
		p.refused(err, "listing "+path, wrenn.CodeAgentError)
	}
	_, err := h.ListFiles(p.ctx, "dir", math.MaxInt32)
	p.ok(err)
}

func makeDir(p *probe) {
	h := p.sandbox()
	got, err := h.MakeDir(p.ctx, "new/deep")
	p.ok(err)
	p.want(strings.HasPrefix(got.Path, "/") && strings.HasSuffix(got.Path, "/new/deep") && got.Type == wrenn.FileDirectory, "the answer is %+v", got)
	p.sh(h, "test -d new/deep && touch file")
	_, err = h.MakeDir(p.ctx, "new/deep")
	p.refused(err, "making a directory that is there", wrenn.CodeConflict)
	_, err = h.MakeDir(p.ctx, "file")
	p.refused(err, "making a directory in place of a file", wrenn.CodeInvalidRequest)
}

func removeFile(p *probe) {
	h := p.sandbox()
	p.sh(h, "mkdir -p dir/sub && touch dir/sub/file file")
	p.ok(h.RemoveFile(p.ctx, "file"))
	p.ok(h.RemoveFile(p.ctx, "dir"))
	p.sh(h, "test ! -e file && test ! -e dir")
	// What becomes of a path that is not there was never seen at a real server: any answer but a success that removes
	// something else is right.
	if err := h.RemoveFile(p.ctx, "missing"); err != nil {
		p.refused(err, "removing what is not there", wrenn.CodeAgentError, wrenn.CodeNotFound)
	}
}
