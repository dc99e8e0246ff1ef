package wrenndev

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const buildsBase = "/v1/admin/builds"

// admin is a client with a token of the platform's administrator.
func (s *Server) admin(t *testing.T) *client {
	c := s.client(t, pathS)
	c.key, c.token = "", s.Token()
	return c
}

// startBuild starts a build and returns its id.
func (c *client) startBuild(want TemplateBuild) string {
	c.t.Helper()
	var got buildAnswer
	c.want(http.StatusCreated, "", http.MethodPost, buildsBase, want).json(c.t, &got)
	if got.Status != buildPending || got.Name != want.Name {
		c.t.Errorf("a new build is %+v", got)
	}
	return got.ID
}

func (c *client) getBuild(id string) buildAnswer {
	c.t.Helper()
	var got buildAnswer
	c.want(http.StatusOK, "", http.MethodGet, buildsBase+"/"+id, nil).json(c.t, &got)
	return got
}

// ended waits for the end of a build.
func (c *client) ended(id string) (got buildAnswer) {
	c.t.Helper()
	wait(c.t, "the build is over", func() bool {
		got = c.getBuild(id)
		return got.CompletedAt != ""
	})
	return got
}

// build builds a template, which has to succeed.
func (c *client) build(want TemplateBuild) buildAnswer {
	c.t.Helper()
	got := c.ended(c.startBuild(want))
	if got.Status != buildSucceeded || got.Error != "" {
		c.t.Fatalf("the build is %s: %s", got.Status, got.Error)
	}
	return got
}

func TestABuildRunsItsRecipe(t *testing.T) {
	for _, isolation := range isolations(t) {
		t.Run(isolation.String(), func(t *testing.T) {
			s := start(t, Config{Isolation: isolation})
			admin, c := s.admin(t), s.client(t, pathS)
			got := admin.build(TemplateBuild{
				Name: "tools", VCPUs: 3, MemoryMB: 700, Recipe: []string{
					"ENV NAME=wo",
					"ENV NAME=${NAME}rld",
					`WORKDIR work/$x`,
					`RUN echo hello $NAME | tee greeting; echo oops >&2`,
					`RUN mv greeting ~/greeting`,
				},
			})
			var cmds, phases []string
			for i, l := range got.Logs {
				cmds, phases = append(cmds, l.Cmd), append(phases, l.Phase)
				if l.Step != i+1 || !l.OK || l.Exit != 0 {
					t.Errorf("log of step %d: %+v", i+1, l)
				}
			}
			wantCmds := slices.Concat(preBuild, got.Recipe, postBuild)
			wantPhases := slices.Concat(slices.Repeat([]string{"pre-build"}, len(preBuild)),
				slices.Repeat([]string{"recipe"}, len(got.Recipe)), slices.Repeat([]string{"post-build"}, len(postBuild)))
			if diff := cmp.Diff(wantCmds, cmds) + cmp.Diff(wantPhases, phases); diff != "" {
				t.Error(diff)
			}
			if got.TotalSteps != len(cmds) || got.CurrentStep != len(cmds) || got.StartedAt == "" {
				t.Errorf("%+v", got)
			}
			if l := got.Logs[len(preBuild)+3]; l.Stdout != "hello world\n" || l.Stderr != "oops\n" {
				t.Errorf("the step wrote %q, %q", l.Stdout, l.Stderr)
			}

			// Every team has the template, and none has the sandbox that it was built in.
			var list []snapshotAnswer
			c.want(http.StatusOK, "", http.MethodGet, "/v1/snapshots?type=base", nil).json(t, &list)
			i := slices.IndexFunc(list, func(a snapshotAnswer) bool { return a.Name == "tools" })
			if i < 0 || !list[i].Platform || list[i].VCPUs != 3 || list[i].MemoryMB != 700 || list[i].SizeBytes < 12 {
				t.Errorf("templates: %+v", list)
			}
			c.want(http.StatusNotFound, "not_found", http.MethodGet, pathS+"/"+got.SandboxID, nil)
			if info, _ := s.Sandbox(got.SandboxID); info.Status != StatusStopped || info.Machine || info.Files {
				t.Errorf("the sandbox of the build: %+v", info)
			}
			c.want(http.StatusForbidden, "forbidden", http.MethodDelete, "/v1/snapshots/tools", nil)
			c.want(http.StatusConflict, "name_reserved", http.MethodPost, "/v1/snapshots", snapshotBody(c.create(), "tools"))

			// A base template has the size that a create asks for, and no environment on S paths.
			var made sandboxAnswer
			c.want(http.StatusCreated, "", http.MethodPost, pathS, `{"template":"tools"}`).json(t, &made)
			if made.VCPUs != 1 || made.MemoryMB != 512 {
				t.Errorf("%+v", made)
			}
			if out := c.sh(made.ID, `cat ~/greeting; echo "$NAME"`); out.Stdout != "hello world\n\n" {
				t.Errorf("%+v", out)
			}
		})
	}
}

func TestDefaultsOfATemplateReachSandboxesOfC(t *testing.T) {
	s := start(t, Config{Generations: Capsules})
	if s.Isolation() != Namespaces || os.Geteuid() != 0 {
		t.Skip("sandboxes have no users of their own here")
	}
	admin, c := s.admin(t), s.client(t, pathC)
	got := admin.build(TemplateBuild{Name: "app", Recipe: []string{
		"ENV PATH=/opt/app:$PATH", "USER builder", "WORKDIR /home/builder/src", "RUN id -un; pwd; echo $HOME", "RUN echo x > ~/mine",
	}})
	if l := got.Logs[len(preBuild)+3]; l.Stdout != "builder\n/home/builder/src\n/home/builder\n" {
		t.Errorf("the step wrote %q, %q", l.Stdout, l.Stderr)
	}
	wantPath := "/opt/app:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if got.DefaultUser != "builder" || got.DefaultEnv["PATH"] != wantPath {
		t.Errorf("defaults %q, %v", got.DefaultUser, got.DefaultEnv)
	}
	id := c.create(`{"template":"app"}`)
	const show = `id -un; pwd; echo $HOME $USER $PATH; stat -c %U ~/mine`
	want := "builder\n/home/builder\n/home/builder builder " + wantPath + "\nbuilder\n"
	if out := c.sh(id, show); out.Stdout != want {
		t.Errorf("%q, want %q", out.Stdout, want)
	}
	// What a snapshot of it starts from has the same defaults.
	c.want(http.StatusCreated, "", http.MethodPost, "/v1/snapshots", snapshotBody(id, "snap"))
	if out := c.sh(c.create(`{"template":"snap"}`), show); out.Stdout != want {
		t.Errorf("%q, want %q", out.Stdout, want)
	}
	// And a build on top of it begins with its environment, as root.
	next := admin.build(TemplateBuild{Name: "app2", BaseTemplate: "app", SkipPrePost: true, Recipe: []string{"RUN echo $PATH; id -un"}})
	if l := next.Logs[0]; l.Stdout != wantPath+"\nroot\n" || next.TotalSteps != 1 || next.DefaultUser != "root" {
		t.Errorf("%+v", next)
	}
}

// TestProgramsOfATemplateRunInItsSandboxes has a program count, and counts on it in
// sandboxes from the template, after a resume, and after a restart of the server.
func TestProgramsOfATemplateRunInItsSandboxes(t *testing.T) {
	cfg := Config{DataDir: filepath.Join(t.TempDir(), "data")}
	first := start(t, cfg)
	admin, c := first.admin(t), first.client(t, pathS)
	got := admin.build(TemplateBuild{
		Name: "counting", MemoryMB: 333, Healthcheck: "--interval=10ms --retries=1000 test -s ~/count",
		Recipe: []string{"ENV MARK=x", "START while :; do echo $MARK >> ~/count; sleep 0.01; done"},
	})
	if got.Logs[len(preBuild)+1].Stdout != "" || got.Healthcheck == "" {
		t.Errorf("%+v", got)
	}
	goesOn := func(s *Server, id string) {
		t.Helper()
		before := s.counted(id)
		wait(t, "the program goes on", func() bool { return s.counted(id) > before+10 })
	}
	var made sandboxAnswer
	c.want(http.StatusCreated, "", http.MethodPost, pathS, `{"template":"counting","memory_mb":1}`).json(t, &made)
	if made.MemoryMB != 333 {
		t.Errorf("%+v", made)
	}
	goesOn(first, made.ID)
	if out := c.sh(made.ID, "tail -n 1 ~/count"); out.Stdout != "x\n" {
		t.Errorf("the program lost its environment: %+v", out)
	}
	c.want(http.StatusCreated, "", http.MethodPost, "/v1/snapshots", snapshotBody(made.ID, "snap"))
	goesOn(first, c.create(`{"template":"snap"}`))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := start(t, cfg)
	c = second.client(t, pathS)
	c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+made.ID+"/resume", nil)
	goesOn(second, made.ID)
	second.admin(t).want(http.StatusNoContent, "", http.MethodDelete, "/v1/admin/templates/counting", nil)
	c.want(http.StatusNotFound, "not_found", http.MethodPost, pathS, `{"template":"counting"}`)
	goesOn(second, made.ID)
}

func TestProgramsOfATemplateWithoutAHealthcheckAreGone(t *testing.T) {
	s := start(t, Config{})
	s.admin(t).build(TemplateBuild{Name: "base", Recipe: []string{"START sleep 1000"}})
	id := s.client(t, pathS).create(`{"template":"base"}`)
	if info, _ := s.Sandbox(id); info.Processes != 0 {
		t.Errorf("%d processes run", info.Processes)
	}
}

func TestABuildReplacesNothing(t *testing.T) {
	s := start(t, Config{})
	admin := s.admin(t)
	for _, name := range []string{"minimal", "one", "one"} {
		admin.build(TemplateBuild{Name: name, Recipe: []string{"RUN [ ! -e ~/" + name + " ] && touch ~/" + name}})
	}
	c := s.client(t, pathS)
	if out := c.sh(c.create(), "ls ~"); out.Stdout != "" {
		t.Errorf("minimal has %q", out.Stdout)
	}
	var builds []buildAnswer
	admin.want(http.StatusOK, "", http.MethodGet, buildsBase, nil).json(t, &builds)
	if len(builds) != 3 || builds[2].Name != "minimal" {
		t.Errorf("not the newest first: %+v", builds)
	}
	if left, err := os.ReadDir(filepath.Join(s.DataDir(), "snapshots")); err != nil || len(left) != 1 {
		t.Errorf("directories of templates: %v, %v", left, err)
	}
	// A team that has a snapshot of the name keeps it.
	mine := c.create()
	c.sh(mine, "touch ~/mine")
	c.want(http.StatusCreated, "", http.MethodPost, "/v1/snapshots", snapshotBody(mine, "two"))
	admin.build(TemplateBuild{Name: "two", Recipe: []string{"RUN touch ~/theirs"}})
	if out := c.sh(c.create(`{"template":"two"}`), "ls ~"); out.Stdout != "mine\n" {
		t.Errorf("the snapshot has %q", out.Stdout)
	}
	c.want(http.StatusNoContent, "", http.MethodDelete, "/v1/snapshots/two", nil)
	if out := c.sh(c.create(`{"template":"two"}`), "ls ~"); out.Stdout != "theirs\n" {
		t.Errorf("the template has %q", out.Stdout)
	}
}

func TestABuildWhoseSandboxDiesFails(t *testing.T) {
	s := start(t, Config{})
	admin := s.admin(t)
	id := admin.startBuild(TemplateBuild{Name: "dying", Recipe: []string{"RUN touch ~/begun"}, Healthcheck: "--interval=10ms false"})
	sandbox := admin.begun(id).SandboxID
	wait(t, "the healthcheck is polled", func() bool { return len(admin.getBuild(id).Logs) == 1+len(preBuild)+len(postBuild) })
	if err := s.Kill(sandbox); err != nil {
		t.Fatal(err)
	}
	if got := admin.ended(id); got.Status != buildFailed || !strings.Contains(got.Error, "healthcheck failed: sandbox guest is gone") {
		t.Errorf("%+v", got)
	}
}

func TestBuildsThatFail(t *testing.T) {
	s := start(t, Config{})
	admin := s.admin(t)
	for name, tt := range map[string]struct {
		build TemplateBuild
		want  string
		logs  int
	}{
		"a bad instruction": {TemplateBuild{Recipe: []string{"RUN true", "FROM x"}}, `recipe line 2: unknown instruction "FROM"`, 0},
		"a bad healthcheck": {TemplateBuild{Recipe: []string{"RUN true"}, Healthcheck: "--x y"}, "healthcheck: unknown option", 0},
		"no such base":      {TemplateBuild{Recipe: []string{"RUN true"}, BaseTemplate: "nosuch"}, `base template "nosuch" not found`, 0},
		"an exit code":      {TemplateBuild{Recipe: []string{"RUN true", "RUN exit 3", "RUN true"}}, "recipe step 2 failed: exit code 3", 2},
		"a message":         {TemplateBuild{Recipe: []string{"RUN echo why >&2; false"}}, "recipe step 1 failed: why", 1},
		"no archive":        {TemplateBuild{Recipe: []string{"COPY a /b"}}, "recipe step 1 failed: ", 1},
		"an escape":         {TemplateBuild{Recipe: []string{"COPY a/../../b /c"}}, "must be a relative path within the archive", 1},
		"the limit of RUN":  {TemplateBuild{Recipe: []string{"RUN --timeout=20ms sleep 100"}}, "no end after 20ms", 1},
		"the healthcheck": {
			TemplateBuild{Recipe: []string{"RUN true"}, Healthcheck: "--interval=1ms --retries=3 exit 4"},
			"healthcheck failed after 3 retries: exit code 4", 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt.build.Name, tt.build.SkipPrePost = "failing", true
			got := admin.ended(admin.startBuild(tt.build))
			if got.Status != buildFailed || !strings.Contains(got.Error, tt.want) || len(got.Logs) != tt.logs {
				t.Errorf("%s %q after %d steps, want %q after %d", got.Status, got.Error, len(got.Logs), tt.want, tt.logs)
			}
			if n := len(got.Logs); n > 0 && !strings.HasPrefix(name, "the healthcheck") && got.Logs[n-1].OK {
				t.Errorf("the failed step: %+v", got.Logs[n-1])
			}
			if info, ok := s.Sandbox(got.SandboxID); ok && (info.Machine || info.Files) {
				t.Errorf("its sandbox is left: %+v", info)
			}
		})
	}
	admin.want(http.StatusNotFound, "not_found", http.MethodDelete, "/v1/admin/templates/failing", nil)
}

func TestNoStepOfCOutlivesTheLimitOfAnExec(t *testing.T) {
	admin := start(t, Config{ExecLimit: 200 * time.Millisecond, Generations: Capsules}).admin(t)
	got := admin.ended(admin.startBuild(TemplateBuild{Name: "slow", Recipe: []string{"RUN --timeout=1m sleep 100"}, SkipPrePost: true}))
	if l := got.Logs; got.Status != buildFailed || len(l) != 1 || l[0].OK || l[0].Exit != 0 || l[0].ElapsedMS < 200 ||
		!strings.Contains(got.Error, "exec error: deadline_exceeded") {
		t.Errorf("%+v", got)
	}
}
