package wrenndev

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func snapshotBody(id, name string) string { return `{"sandbox_id":"` + id + `","name":"` + name + `"}` }

func TestSnapshotIsStartedFromManyTimes(t *testing.T) {
	for _, isolation := range isolations(t) {
		t.Run(isolation.String(), func(t *testing.T) {
			s := start(t, Config{Isolation: isolation})
			c := s.client(t, pathS)
			source := c.create(`{"vcpus":2,"memory_mb":900}`)
			script := `cd; echo one > f; ln f hard; ln -s f soft; mkdir -m 700 d; printf x > d/g`
			layers := isolation == Namespaces && os.Geteuid() == 0
			if layers {
				script += `; echo two > /usr/local/w; rm -r /usr/share/doc/bash; mkdir /usr/share/doc/bash; rm /etc/hostname`
			}
			c.sh(source, counter+script)
			var snap snapshotAnswer
			c.want(http.StatusCreated, "", http.MethodPost, "/v1/snapshots", snapshotBody(source, "base-1")).json(t, &snap)
			if snap.Type != "snapshot" || snap.VCPUs != 2 || snap.MemoryMB != 900 || snap.Platform || snap.SizeBytes < 4 {
				t.Errorf("%+v", snap)
			}
			if got := c.status(source); got != StatusPaused {
				t.Errorf("source is %s", got)
			}
			check := `cd; cat f soft hard d/g; stat -c %a d; [ f -ef hard ] && echo linked`
			want := strings.Repeat("one\n", 3) + "x700\nlinked\n"
			if layers {
				check += `; cat /usr/local/w; ls /usr/share/doc/bash /etc/hostname 2>/dev/null; cat /etc/shadow 2>/dev/null`
				want += "two\n/usr/share/doc/bash:\n"
			}
			for range 2 {
				var made sandboxAnswer
				c.want(http.StatusCreated, "", http.MethodPost, pathS, `{"template":"base-1","vcpus":7,"memory_mb":7}`).json(t, &made)
				if made.VCPUs != 2 || made.MemoryMB != 900 || made.Template != "base-1" {
					t.Errorf("%+v", made)
				}
				if got := c.sh(made.ID, check); got.Stdout != want {
					t.Errorf("%q %q, want %q", got.Stdout, got.Stderr, want)
				}
				if info, _ := s.Sandbox(made.ID); info.Processes != 0 {
					t.Errorf("%d processes in the new sandbox", info.Processes)
				}
				c.sh(made.ID, `cd && rm -rf ./f ./hard ./soft ./d`)
			}
			c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+source+"/resume", nil)
			before := s.counted(source)
			wait(t, "the source goes on", func() bool { return s.counted(source) > before })
		})
	}
}

func TestSnapshotOfAPausedSandboxLeavesItPaused(t *testing.T) {
	c := start(t, Config{}).client(t, pathS)
	id := c.create()
	c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+id+"/pause", nil)
	var snap snapshotAnswer
	c.want(http.StatusCreated, "", http.MethodPost, "/v1/snapshots", `{"sandbox_id":"`+id+`"}`).json(t, &snap)
	if suffix, ok := strings.CutPrefix(snap.Name, "template-"); !ok || len(suffix) != 8 {
		t.Errorf("name %q", snap.Name)
	}
	if got := c.status(id); got != StatusPaused {
		t.Errorf("source is %s", got)
	}
}

func TestSnapshotRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		served Generations
		base   string
		taken  string
	}{{"S", Sandboxes, pathS, "already_exists"}, {"C", Capsules, pathC, "template_name_taken"}} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, Config{Generations: tt.served, Templates: []string{"code-runner"}})
			c := s.client(t, tt.base)
			id := c.create()
			c.want(http.StatusCreated, "", http.MethodPost, "/v1/snapshots", snapshotBody(id, "taken"))
			stopped := c.create()
			c.want(http.StatusNoContent, "", http.MethodDelete, tt.base+"/"+stopped, nil)
			for _, r := range []struct {
				body   string
				status int
				code   string
			}{
				{"", 400, "invalid_request"},
				{snapshotBody("x", "-"), 400, "invalid_request"},
				{snapshotBody(id, "-x"), 400, "invalid_request"},
				{snapshotBody(unknownID, "minimal"), 409, "name_reserved"},
				{snapshotBody(unknownID, "code-runner"), 409, "name_reserved"},
				{snapshotBody(unknownID, "taken"), 409, tt.taken},
				{snapshotBody(unknownID, "free"), 404, "not_found"},
				{snapshotBody(stopped, "free"), 409, "invalid_state"},
			} {
				c.want(r.status, r.code, http.MethodPost, "/v1/snapshots", r.body)
			}
			// Only S replaces.
			a := c.do(http.MethodPost, "/v1/snapshots?overwrite=true", snapshotBody(id, "taken"))
			if want := map[string]int{"S": 201, "C": 409}[tt.name]; a.status != want {
				t.Errorf("overwrite: %d %s", a.status, a.body)
			}
			c.want(http.StatusForbidden, "forbidden", http.MethodDelete, "/v1/snapshots/minimal", nil)
			c.want(http.StatusBadRequest, "invalid_request", http.MethodDelete, "/v1/snapshots/-x", nil)
			c.want(http.StatusNotFound, "not_found", http.MethodDelete, "/v1/snapshots/nosuch", nil)
		})
	}
}

func TestSnapshotListAndDelete(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathS)
	id := c.create()
	c.want(http.StatusCreated, "", http.MethodPost, "/v1/snapshots", snapshotBody(id, "one"))
	user := c.create(`{"template":"one"}`)
	for query, want := range map[string]string{"": "one minimal", "?type=snapshot": "one", "?type=base": "minimal", "?type=other": ""} {
		var list []snapshotAnswer
		c.want(http.StatusOK, "", http.MethodGet, "/v1/snapshots"+query, nil).json(t, &list)
		var names []string
		for _, snap := range list {
			names = append(names, snap.Name)
			if snap.Platform != (snap.Name == "minimal") {
				t.Errorf("platform: %+v", snap)
			}
		}
		if got := strings.Join(names, " "); list == nil || got != want {
			t.Errorf("%s: %q", query, got)
		}
	}
	// No one asks whether it is in use.
	c.want(http.StatusNoContent, "", http.MethodDelete, "/v1/snapshots/one", nil)
	c.want(http.StatusNotFound, "not_found", http.MethodPost, pathS, `{"template":"one"}`)
	if got := c.sh(user, "echo alive"); got.Stdout != "alive\n" {
		t.Errorf("%+v", got)
	}
	left, err := os.ReadDir(filepath.Join(s.DataDir(), "snapshots"))
	if err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}
