package wrenndev

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// endless is a build that runs until it is told not to.
func endless(name string) TemplateBuild {
	return TemplateBuild{Name: name, Recipe: []string{"RUN --timeout=1h touch ~/begun; sleep 1000"}, SkipPrePost: true}
}

// begun waits until the endless step of a build runs.
func (c *client) begun(id string) buildAnswer {
	c.t.Helper()
	var got buildAnswer
	wait(c.t, "the build runs", func() bool {
		got = c.getBuild(id)
		_, err := os.Stat(filepath.Join(c.s.agent.machineDir(got.SandboxID), "root", "root", "begun"))
		return got.SandboxID != "" && err == nil
	})
	return got
}

func TestCancelABuild(t *testing.T) {
	s := start(t, Config{})
	admin := s.admin(t)
	var running []string
	for range buildsAtOnce {
		id := admin.startBuild(endless("never"))
		if got := admin.begun(id); got.Status != buildRunning {
			t.Errorf("%+v", got)
		}
		running = append(running, id)
	}
	queued := admin.startBuild(endless("never"))
	if got := admin.getBuild(queued); got.Status != buildPending || got.StartedAt != "" {
		t.Errorf("one too many is %+v", got)
	}
	for _, id := range append([]string{queued}, running...) {
		admin.want(http.StatusNoContent, "", http.MethodPost, buildsBase+"/"+id+"/cancel", nil)
		got := admin.getBuild(id)
		if got.Status != buildCancelled || got.CompletedAt == "" || got.Error != "" {
			t.Errorf("%+v", got)
		}
		admin.want(http.StatusBadRequest, "invalid_request", http.MethodPost, buildsBase+"/"+id+"/cancel", nil)
	}
	wait(t, "their sandboxes are gone", func() bool { return s.LiveProcesses() == 0 })
	admin.build(TemplateBuild{Name: "next", Recipe: []string{"RUN true"}})
	for _, id := range running {
		if got := admin.getBuild(id); got.Status != buildCancelled || len(got.Logs) != 0 {
			t.Errorf("%+v", got)
		}
	}
}

func TestABuildEndsWithTheServer(t *testing.T) {
	cfg := Config{DataDir: filepath.Join(t.TempDir(), "data")}
	first := start(t, cfg)
	admin := first.admin(t)
	done := admin.build(TemplateBuild{Name: "done", Recipe: []string{"RUN touch ~/file"}})
	cut := admin.begun(admin.startBuild(endless("cut")))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Build(t.Context(), endless("late")); err == nil {
		t.Error("a closed server builds")
	}

	second := start(t, cfg)
	admin = second.admin(t)
	if got := admin.getBuild(cut.ID); got.Status != buildFailed || got.Error == "" || got.CompletedAt == "" {
		t.Errorf("%+v", got)
	}
	if got := admin.getBuild(done.ID); got.Status != buildSucceeded {
		t.Errorf("%+v", got)
	}
	c := second.client(t, pathS)
	if out := c.sh(c.create(`{"template":"done"}`), "ls ~"); out.Stdout != "file\n" {
		t.Errorf("%+v", out)
	}
	wait(t, "the sandbox is stopped", func() bool {
		info, _ := second.Sandbox(cut.SandboxID)
		return info.Status == StatusStopped && !info.Files
	})
}

func TestBuildGoesWithItsContext(t *testing.T) {
	s := start(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Build(ctx, endless("never")) }()
	var id string
	wait(t, "there is a build", func() bool {
		for _, b := range s.builds.list(nil) {
			id = b.ID
		}
		return id != ""
	})
	s.admin(t).begun(id)
	cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "never") {
		t.Errorf("it ended with %v", err)
	}
	if got := s.admin(t).getBuild(id); got.Status != buildCancelled {
		t.Errorf("%+v", got)
	}
	if n := s.LiveProcesses(); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	if err := s.Build(t.Context(), TemplateBuild{Name: "bad", Recipe: []string{"RUN exit 9"}}); err == nil || !strings.Contains(err.Error(), "exit code 9") {
		t.Errorf("a failure is %v", err)
	}
}

func TestBuildRefusals(t *testing.T) {
	s := start(t, Config{Teams: []Team{{Name: "a"}, {Name: "b"}}})
	admin := s.admin(t)
	for _, body := range []string{
		``, `[]`, `{"recipe":["RUN true"]}`, `{"name":"-x","recipe":["RUN true"]}`, `{"name":"x"}`, `{"name":"x","recipe":[]}`,
		`{"name":"x","recipe":["RUN true"],"base_template":"-x"}`, `{"name":"x","recipe":"RUN true"}`,
	} {
		admin.want(http.StatusBadRequest, "invalid_request", http.MethodPost, buildsBase, body)
	}
	unknown := "bld-" + strings.Repeat("0", idDigits)
	for _, r := range []struct {
		status       int
		code         string
		method, path string
	}{
		{400, "invalid_request", http.MethodGet, buildsBase + "/bld-x"},
		{400, "invalid_request", http.MethodGet, buildsBase + "/" + unknownID},
		{404, "not_found", http.MethodGet, buildsBase + "/" + unknown},
		{400, "invalid_request", http.MethodPost, buildsBase + "/bld-x/cancel"},
		{400, "invalid_request", http.MethodPost, buildsBase + "/" + unknown + "/cancel"},
		{400, "invalid_request", http.MethodDelete, "/v1/admin/templates/-x"},
		{404, "not_found", http.MethodDelete, "/v1/admin/templates/nosuch"},
		{403, "forbidden", http.MethodDelete, "/v1/admin/templates/minimal"},
	} {
		admin.want(r.status, r.code, r.method, r.path, nil)
	}
	// An API key is never enough, and not every token is.
	other, err := s.auth.sign(userRecord{ID: newID(userPrefix)}, memberRecord{Team: s.secrets.Teams[1].ID, Role: roleOwner}, tokenLife)
	if err != nil {
		t.Fatal(err)
	}
	user := s.client(t, pathS)
	user.key, user.token = "", other
	for _, r := range s.buildRoutes(genS) {
		path := strings.NewReplacer("{id}", unknown, "{name}", "x").Replace(r.path)
		user.want(http.StatusForbidden, "forbidden", r.method, path, "{}")
		s.client(t, pathS).want(http.StatusUnauthorized, "unauthorized", r.method, path, "{}")
	}
}

func TestAdminTemplatesAreThoseOfEveryTeam(t *testing.T) {
	s := start(t, Config{Teams: []Team{{Name: "a"}, {Name: "b"}}, Templates: []string{"empty"}})
	c := s.client(t, pathS)
	c.key = s.APIKeyOf("b")
	c.want(http.StatusCreated, "", http.MethodPost, "/v1/snapshots", snapshotBody(c.create(), "snap"))
	admin := s.admin(t)
	var list []adminTemplateAnswer
	admin.want(http.StatusOK, "", http.MethodGet, "/v1/admin/templates", nil).json(t, &list)
	teams := map[string]string{}
	for _, a := range list {
		teams[a.Name] = a.TeamID
		if a.Platform != (a.TeamID == platformTeam) || a.CreatedAt == "" {
			t.Errorf("%+v", a)
		}
	}
	if len(teams) != 3 || teams["minimal"] != platformTeam || teams["empty"] != platformTeam || teams["snap"] != s.secrets.Teams[1].ID {
		t.Errorf("%v", teams)
	}
	admin.want(http.StatusNotFound, "not_found", http.MethodDelete, "/v1/admin/templates/snap", nil)
	admin.want(http.StatusNoContent, "", http.MethodDelete, "/v1/admin/templates/empty", nil)
	c.want(http.StatusNotFound, "not_found", http.MethodPost, pathS, `{"template":"empty"}`)
}

// archives are the same two files in every format.
func archives(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string]string{"src/main": "main\n", "one": "1\n"}
	var plain, packed, zipped bytes.Buffer
	tw, zw := tar.NewWriter(&plain), zip.NewWriter(&zipped)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		check(tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Uid: 12345, Size: int64(len(text)), Typeflag: tar.TypeReg}))
		_, err := tw.Write([]byte(text))
		check(err)
		w, err := zw.Create(name)
		check(err)
		_, err = w.Write([]byte(text))
		check(err)
	}
	check(tw.Close())
	check(zw.Close())
	gz := gzip.NewWriter(&packed)
	_, err := gz.Write(plain.Bytes())
	check(err)
	check(gz.Close())
	return map[string][]byte{"tar": plain.Bytes(), "tar.gz": packed.Bytes(), "zip": zipped.Bytes()}
}

// upload sends a build as a form.
func (c *client) upload(want TemplateBuild, archive []byte) answer {
	c.t.Helper()
	config, err := json.Marshal(want)
	if err != nil {
		c.t.Fatal(err)
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("config", string(config)); err != nil {
		c.t.Fatal(err)
	}
	w, err := form.CreateFormFile("archive", "archive.tar.gz")
	if err == nil {
		_, err = w.Write(archive)
	}
	if err != nil || form.Close() != nil {
		c.t.Fatal("no form")
	}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.s.URL()+buildsBase, &body)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", form.FormDataContentType())
	a, err := c.send(req)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

func TestCopyTakesFromTheArchive(t *testing.T) {
	s := start(t, Config{Generations: Capsules})
	admin := s.admin(t)
	want := TemplateBuild{Name: "copied", Recipe: []string{
		"WORKDIR here", "COPY one two", "COPY ./src/../src .", "COPY one src/main .", "RUN cat two src/main; stat -c %u two",
	}}
	for name, archive := range archives(t) {
		t.Run(name, func(t *testing.T) {
			var got buildAnswer
			a := admin.upload(want, archive)
			a.json(t, &got)
			got = admin.ended(got.ID)
			if got.Status != buildSucceeded {
				t.Fatalf("%s: %s", got.Status, got.Error)
			}
			if out, owner := got.Logs[len(preBuild)+4].Stdout, strconv.Itoa(os.Geteuid()); out != "1\nmain\n"+owner+"\n" {
				t.Errorf("%q", out)
			}
		})
	}
	c := s.client(t, pathC)
	if out := c.sh(c.create(`{"template":"copied"}`), `ls ~/here ~ "${TMPDIR:-/tmp}"`); !strings.Contains(out.Stdout, "main\none\nsrc\ntwo\n") ||
		strings.Contains(out.Stdout, "build-files") {
		t.Errorf("%+v", out)
	}
	for name, archive := range map[string][]byte{"nonsense": []byte("nonsense"), "cut": archives(t)["tar.gz"][:40], "zip": archives(t)["zip"][:40]} {
		var got buildAnswer
		admin.upload(want, archive).json(t, &got)
		if got = admin.ended(got.ID); got.Status != buildFailed || !strings.Contains(got.Error, "archive upload failed") {
			t.Errorf("%s: %s %s", name, got.Status, got.Error)
		}
	}
}

func TestOnlyCTakesAnArchive(t *testing.T) {
	want := TemplateBuild{Name: "x", Recipe: []string{"RUN true"}}
	s := start(t, Config{Generations: Sandboxes})
	if a := s.admin(t).upload(want, archives(t)["tar"]); a.status != http.StatusBadRequest || a.code() != "invalid_request" {
		t.Errorf("S: %d %s", a.status, a.body)
	}
	c := start(t, Config{Generations: Capsules})
	if a := c.admin(t).upload(want, make([]byte, maxArchive+1)); a.status != http.StatusBadRequest || a.code() != "invalid_request" {
		t.Errorf("too much for C: %d %s", a.status, a.body)
	}
}
