package wrenndev

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

func (c *client) ls(id, path string, depth int) []guest.Entry {
	c.t.Helper()
	var got struct{ Entries []guest.Entry }
	c.want(http.StatusOK, "", http.MethodPost, pathC+"/"+id+"/files/list", map[string]any{"path": path, "depth": depth}).json(c.t, &got)
	return got.Entries
}

func TestListFiles(t *testing.T) {
	for _, isolation := range isolations(t) {
		t.Run(isolation.String(), func(t *testing.T) {
			c := start(t, Config{Isolation: isolation}).client(t, pathC)
			id := c.create()
			home := strings.TrimSpace(c.sh(id, "pwd").Stdout)
			c.sh(id, `umask 022; mkdir -p d/sub/deep d/empty; printf 12345 > d/file; : > d/sub/deep/leaf; mkfifo d/pipe
				ln -s file d/link; ln -s sub d/dirlink; ln -s nowhere d/broken; ln -s d top
				chmod 4755 d/file; chmod 1777 d/empty; chmod 2710 d/sub; touch -d @1700000000 d/file`)
			// What stat says in the sandbox is the truth.
			var want []string
			for line := range strings.Lines(c.sh(id, `cd d; find . -mindepth 1 | sort | xargs stat -c '%n %A %a %s %U %G %Y'`).Stdout) {
				want = append(want, strings.TrimPrefix(strings.TrimSpace(line), "./"))
			}
			var got []string
			for _, e := range c.ls(id, "d", 100) {
				rel, err := filepath.Rel(filepath.Join(home, "d"), e.Path)
				if err != nil || filepath.Base(rel) != e.Name {
					t.Errorf("%q %q %v", e.Name, e.Path, err)
				}
				got = append(got, fmt.Sprintf("%s %s %o %d %s %s %d", rel, e.Permissions, e.Mode, e.Size, e.Owner, e.Group, e.ModifiedAt))
				if link := e.Permissions[0] == 'l'; (e.Type == "symlink") != link || (e.SymlinkTarget != "") != link || (e.Type == "directory") != (e.Permissions[0] == 'd') {
					t.Errorf("%+v", e)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || len(got) != 9 {
				t.Errorf("%d entries: %s", len(got), diff)
			}
			for depth, want := range map[int]string{0: "broken dirlink empty file link pipe sub", 1: "broken dirlink empty file link pipe sub", 2: "broken dirlink empty file link pipe sub deep"} {
				var names []string
				for _, e := range c.ls(id, home+"/d/", depth) {
					names = append(names, e.Name)
				}
				if got := strings.Join(names, " "); got != want {
					t.Errorf("depth %d: %s", depth, got)
				}
			}
			// A link may lead to the directory itself.
			if got := c.ls(id, "~/top", 1); len(got) != 7 || !strings.HasPrefix(got[0].Path, home+"/top/") {
				t.Errorf("through a link: %+v", got)
			}
			if got := c.do(http.MethodPost, pathC+"/"+id+"/files/list", `{"path":"d/empty"}`); strings.TrimSpace(string(got.body)) != `{"entries":[]}` {
				t.Errorf("%s", got.body)
			}
		})
	}
}

func TestDirectoryRefusals(t *testing.T) {
	s := start(t, Config{Reconcile: time.Hour})
	c := s.client(t, pathC)
	id := c.create()
	one := pathC + "/" + id + "/files"
	c.sh(id, "mkdir -p d; : > file")
	for _, tt := range []struct {
		path, body string
		status     int
		code       string
	}{
		{"/list", `{"path":"none"}`, 502, "agent_error"},
		{"/list", `{"path":"file"}`, 502, "agent_error"},
		{"/list", `{"path":"d","depth":-1}`, 400, "invalid_request"},
		{"/list", `{"path":""}`, 400, "invalid_request"},
		{"/list", `[]`, 400, "invalid_request"},
		{"/mkdir", `{"path":"d"}`, 409, "conflict"},
		{"/mkdir", `{"path":"d/"}`, 409, "conflict"},
		{"/mkdir", `{"path":"file"}`, 400, "invalid_request"},
		{"/mkdir", `{"path":"file/below"}`, 502, "agent_error"},
		{"/mkdir", `{}`, 400, "invalid_request"},
		{"/remove", `{"path":"none"}`, 502, "agent_error"},
		{"/remove", `{}`, 400, "invalid_request"},
	} {
		a := c.do(http.MethodPost, one+tt.path, tt.body)
		if a.status != tt.status || a.code() != tt.code {
			t.Errorf("%s %s: %d %s, want %d %s", tt.path, tt.body, a.status, a.body, tt.status, tt.code)
		}
	}
	if a := c.do(http.MethodPost, pathS+"/"+id+"/files/list", `{"path":"d"}`); a.status != http.StatusNotFound || a.code() != "" {
		t.Errorf("on S: %d %s", a.status, a.body)
	}
	for _, op := range []string{"/list", "/mkdir", "/remove"} {
		c.want(http.StatusNotFound, "not_found", http.MethodPost, pathC+"/"+unknownID+"/files"+op, `{"path":"d"}`)
	}
	// Between an idle pause and the reconcile the agent does not find it.
	if err := s.agent.pause(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{"/list", "/mkdir", "/remove"} {
		c.want(http.StatusNotFound, "not_found", http.MethodPost, one+op, `{"path":"d"}`)
	}
	c.want(http.StatusNotFound, "not_found", http.MethodGet, pathC+"/"+id+"/processes", nil)
}

func TestMakeAndRemoveDirectories(t *testing.T) {
	for _, isolation := range isolations(t) {
		t.Run(isolation.String(), func(t *testing.T) {
			c := start(t, Config{Isolation: isolation}).client(t, pathC)
			id := c.create()
			one := pathC + "/" + id + "/files"
			var made struct{ Entry guest.Entry }
			c.want(http.StatusOK, "", http.MethodPost, one+"/mkdir", `{"path":"a/b/c"}`).json(t, &made)
			home := strings.TrimSpace(c.sh(id, "pwd").Stdout)
			if e := made.Entry; e.Name != "c" || e.Path != home+"/a/b/c" || e.Type != "directory" || e.Permissions != "drwxr-xr-x" || e.Mode != 0o755 {
				t.Errorf("%+v", e)
			}
			c.sh(id, "echo x > a/b/c/file; echo whole > kept; ln -s ../kept a/link; mkdir dir; : > dir/below; ln -s ../dir a/dir")
			c.want(http.StatusNoContent, "", http.MethodPost, one+"/remove", `{"path":"~/a"}`)
			if got := c.sh(id, "ls -A; cat kept; ls dir").Stdout; got != "dir\nkept\nwhole\nbelow\n" {
				t.Errorf("left are %q", got)
			}
			c.want(http.StatusNoContent, "", http.MethodPost, one+"/remove", `{"path":"kept"}`)
			c.want(http.StatusBadGateway, "agent_error", http.MethodPost, one+"/remove", `{"path":"kept"}`)
		})
	}
}
