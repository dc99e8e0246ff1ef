package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// buildLimit bounds a build at the server. The checks of builds may take longer than others.
const buildLimit = 10 * time.Minute

var buildChecks = []check{
	{name: "createBuild", admin: true, limit: 2 * buildLimit, run: createBuild},
	{name: "listBuilds", admin: true, limit: buildLimit, run: listBuilds},
	{name: "getBuild", admin: true, limit: buildLimit, run: getBuild},
	{name: "cancelBuild", admin: true, limit: buildLimit, run: cancelBuild},
	{name: "build-fails-by-its-recipe", admin: true, limit: buildLimit, run: buildFails},
	{name: "build-fails-by-an-unknown-instruction", admin: true, limit: buildLimit, run: buildUnknownInstruction},
	{name: "build-with-a-health-check", admin: true, limit: buildLimit, run: buildHealthcheck},
	{name: "build-of-a-taken-name", admin: true, limit: 2 * buildLimit, run: buildTakenName},
	{name: "build-environment", only: wrenn.GenerationCapsules, admin: true, limit: buildLimit, run: buildEnvironment},
	{name: "build-with-an-archive", only: wrenn.GenerationCapsules, admin: true, limit: buildLimit, run: buildArchive},
	{name: "build-refusals", admin: true, run: buildRefusals},
	{name: "listAdminTemplates", admin: true, run: listAdminTemplates},
	{name: "deleteAdminTemplate", admin: true, limit: buildLimit, run: deleteAdminTemplate},
	{name: "setTeamBYOC", admin: true, run: setTeamBYOC},
	{name: "forbidden-to-others", token: true, run: forbiddenToOthers},
}

// build starts one, and has it ended and its template deleted when the check is over.
func (p *probe) build(req wrenn.CreateBuildRequest) *wrenn.Build {
	ctx, cancel := p.steady()
	defer cancel()
	if req.Name == "" {
		req.Name = p.name()
	}
	req.SkipPrePost = true
	made, err := p.user.Builds.Create(ctx, req)
	p.ok(err)
	p.later(func(ctx context.Context) error { return p.discard(ctx, made) })
	return made
}

func (s *suite) discard(ctx context.Context, made *wrenn.Build) error {
	// One that has ended cannot be canceled, and one that was may have no template.
	if err := s.user.Builds.Cancel(ctx, made.ID); err != nil && !wrenn.IsInvalidRequest(err) && !wrenn.IsConflict(err) {
		return err
	}
	if err := s.user.Admin.DeleteTemplate(ctx, made.Name); err != nil && !wrenn.IsNotFound(err) {
		return err
	}
	return nil
}

// built waits until a build has ended.
func (p *probe) built(made *wrenn.Build) *wrenn.Build {
	var got *wrenn.Build
	p.eventually(buildLimit, "the build ends", func() bool {
		var err error
		got, err = p.user.Builds.Get(p.ctx, made.ID)
		p.ok(err)
		return got.Status.Final()
	})
	return got
}

func (p *probe) succeeds(made *wrenn.Build) *wrenn.Build {
	got := p.built(made)
	p.want(got.Status == wrenn.BuildSucceeded, "the build is %s: %s", got.Status, got.Error)
	return got
}

// from starts a sandbox from a template of the platform.
func (p *probe) from(template string) *wrenn.SandboxHandle {
	return p.c.Sandbox(p.create(p.c, wrenn.CreateSandboxRequest{Template: template}).ID)
}

// createBuild: it goes on by itself, and makes a template for all teams, which only an administrator deletes.
func createBuild(p *probe) {
	made := p.build(wrenn.CreateBuildRequest{Recipe: []string{
		"RUN echo built > built", "WORKDIR /etc", `RUN pwd >> "$HOME/built"`,
	}})
	p.want(made.Status == wrenn.BuildPending || made.Status == wrenn.BuildRunning, "it begins as %s", made.Status)
	p.want(made.BaseTemplate == "minimal" && made.VCPUs == 1 && made.MemoryMB == 512 && len(made.Recipe) == 3, "the build is %+v", made)
	p.succeeds(made)
	listed, err := p.c.Snapshots.List(p.ctx)
	p.ok(err)
	at := slices.IndexFunc(listed, func(s wrenn.Snapshot) bool { return s.Name == made.Name })
	p.want(at >= 0 && listed[at].Platform && listed[at].Type == "base", "the template is not in the list, or not a base of the platform")
	p.want(p.sh(p.from(made.Name), "cat built") == "built\n/etc\n", "the file is not there")
	p.refused(p.c.Snapshots.Delete(p.ctx, made.Name), "deleting it as a snapshot", wrenn.CodeForbidden)
}

func listBuilds(p *probe) {
	made := p.build(wrenn.CreateBuildRequest{Recipe: []string{"RUN true"}})
	listed, err := p.user.Builds.List(p.ctx)
	p.ok(err)
	p.want(slices.ContainsFunc(listed, func(b wrenn.Build) bool { return b.ID == made.ID }), "the build is not in the list")
	p.succeeds(made)
}

// getBuild looks at the log.
func getBuild(p *probe) {
	got := p.succeeds(p.build(wrenn.CreateBuildRequest{Recipe: []string{"RUN echo out; echo err >&2"}}))
	p.want(!got.StartedAt.IsZero() && !got.CompletedAt.IsZero() && got.TotalSteps >= 1, "the build is %+v", got)
	at := slices.IndexFunc(got.Logs, func(l wrenn.BuildLogEntry) bool { return l.Phase == "recipe" && strings.Contains(l.Cmd, "echo out") })
	p.want(at >= 0, "the step is not in the log: %+v", got.Logs)
	step := got.Logs[at]
	p.want(step.OK && step.ExitCode == 0 && strings.Contains(step.Stdout, "out") && strings.Contains(step.Stderr, "err"), "the step is %+v", step)
	_, err := p.user.Builds.Get(p.ctx, "bld-"+absent)
	p.refused(err, "an unknown build", wrenn.CodeNotFound)
}

func cancelBuild(p *probe) {
	made := p.build(wrenn.CreateBuildRequest{Recipe: slices.Repeat([]string{"RUN sleep 20"}, 20)})
	p.ok(p.user.Builds.Cancel(p.ctx, made.ID))
	got := p.built(made)
	p.want(got.Status == wrenn.BuildCancelled, "the build is %s", got.Status)
	p.refused(p.user.Builds.Cancel(p.ctx, made.ID), "canceling it again", wrenn.CodeInvalidRequest)
	p.refused(p.user.Builds.Cancel(p.ctx, "bld-"+absent), "an unknown build", wrenn.CodeNotFound, wrenn.CodeInvalidRequest)
	listed, err := p.c.Snapshots.List(p.ctx)
	p.ok(err)
	p.want(!slices.ContainsFunc(listed, func(s wrenn.Snapshot) bool { return s.Name == made.Name }), "there is a template")
}

func buildFails(p *probe) {
	got := p.built(p.build(wrenn.CreateBuildRequest{Recipe: []string{"RUN echo first", "RUN exit 7", "RUN echo never"}}))
	p.want(got.Status == wrenn.BuildFailed && got.Error != "", "the build is %s: %s", got.Status, got.Error)
	at := slices.IndexFunc(got.Logs, func(l wrenn.BuildLogEntry) bool { return !l.OK })
	p.want(at >= 0 && got.Logs[at].ExitCode == 7, "the step is not in the log: %+v", got.Logs)
	p.want(!slices.ContainsFunc(got.Logs, func(l wrenn.BuildLogEntry) bool { return strings.Contains(l.Cmd, "never") }), "it goes on after a failure")
}

// buildUnknownInstruction: a recipe is read when it is carried out.
func buildUnknownInstruction(p *probe) {
	got := p.built(p.build(wrenn.CreateBuildRequest{Recipe: []string{"DANCE all night"}}))
	p.want(got.Status == wrenn.BuildFailed && got.Error != "", "the build is %s: %s", got.Status, got.Error)
}

// buildHealthcheck: with one the template is a snapshot.
func buildHealthcheck(p *probe) {
	made := p.build(wrenn.CreateBuildRequest{Recipe: []string{"RUN touch ready"}, Healthcheck: "test -e ready"})
	got := p.succeeds(made)
	p.want(got.Healthcheck == "test -e ready", "the health check is %q", got.Healthcheck)
	listed, err := p.c.Snapshots.List(p.ctx)
	p.ok(err)
	at := slices.IndexFunc(listed, func(s wrenn.Snapshot) bool { return s.Name == made.Name })
	p.want(at >= 0 && listed[at].Type == "snapshot" && listed[at].Platform, "the template is not in the list, or no snapshot of the platform")
}

// buildTakenName: it succeeds and replaces nothing.
func buildTakenName(p *probe) {
	first := p.build(wrenn.CreateBuildRequest{Recipe: []string{"RUN echo first > file"}})
	p.succeeds(first)
	p.succeeds(p.build(wrenn.CreateBuildRequest{Name: first.Name, Recipe: []string{"RUN echo second > file"}}))
	p.want(p.sh(p.from(first.Name), "cat file") == "first\n", "the template was replaced")
}

// buildEnvironment: what a recipe sets is in the commands of later sandboxes.
func buildEnvironment(p *probe) {
	made := p.build(wrenn.CreateBuildRequest{Recipe: []string{"ENV CONFORMANCE=set"}})
	p.succeeds(made)
	p.want(p.sh(p.from(made.Name), `echo "$CONFORMANCE"`) == "set\n", "the variable is not set")
}

func buildArchive(p *probe) {
	var archive bytes.Buffer
	zip := gzip.NewWriter(&archive)
	files := tar.NewWriter(zip)
	p.ok(files.WriteHeader(&tar.Header{Name: "file.txt", Mode: 0o644, Size: 7, ModTime: time.Now()}))
	_, err := files.Write([]byte("packed\n"))
	p.ok(err)
	p.ok(files.Close())
	p.ok(zip.Close())
	made := p.build(wrenn.CreateBuildRequest{Recipe: []string{"COPY file.txt copied.txt"}, Archive: &archive})
	p.succeeds(made)
	p.want(p.sh(p.from(made.Name), "cat copied.txt") == "packed\n", "the file is not there")
}

func buildRefusals(p *probe) {
	for what, body := range map[string]string{
		"a malformed name": `{"name":"-bad","recipe":["RUN true"]}`, "half a body": `{`,
	} {
		a := p.raw(request{method: "POST", path: "/v1/admin/builds", header: p.withBearer(), body: strings.NewReader(body)})
		p.turnedAway(a, what, 400, wrenn.CodeInvalidRequest)
	}
}

func listAdminTemplates(p *probe) {
	listed, err := p.user.Admin.ListTemplates(p.ctx)
	p.ok(err)
	at := slices.IndexFunc(listed, func(t wrenn.AdminTemplate) bool { return t.Name == "minimal" })
	p.want(at >= 0 && listed[at].TeamID != "", "the template minimal is not in the list, or of no team")
}

func deleteAdminTemplate(p *probe) {
	made := p.build(wrenn.CreateBuildRequest{Recipe: []string{"RUN true"}})
	p.succeeds(made)
	p.ok(p.user.Admin.DeleteTemplate(p.ctx, made.Name))
	p.refused(p.user.Admin.DeleteTemplate(p.ctx, made.Name), "deleting it again", wrenn.CodeNotFound)
	_, err := p.c.Sandboxes.Create(p.ctx, wrenn.CreateSandboxRequest{Template: made.Name, TimeoutSec: p.mark()})
	p.refused(err, "starting from it", wrenn.CodeNotFound)
	if p.disposable { // Were it not refused, every team would be without its template.
		p.refused(p.user.Admin.DeleteTemplate(p.ctx, "minimal"), "deleting the template minimal", wrenn.CodeForbidden)
	}
}

func setTeamBYOC(p *probe) {
	c := p.newCrew()
	p.ok(p.user.Admin.SetTeamBYOC(p.ctx, c.id, true))
	p.refused(p.user.Admin.SetTeamBYOC(p.ctx, "team-"+absent, true), "an unknown team", wrenn.CodeNotFound)
}

// forbiddenToOthers: whoever is no administrator of the platform.
func forbiddenToOthers(p *probe) {
	who := p.user
	if p.isAdmin() {
		if p.second == "" && !p.canEnlist() {
			p.skip("the token's user is an administrator, and there is no other: set WRENN_SECOND_TOKEN")
		}
		who = p.otherPerson().Client
	}
	_, err := who.Admin.ListTemplates(p.ctx)
	p.refused(err, "listing templates", wrenn.CodeForbidden)
	_, err = who.Builds.List(p.ctx)
	p.refused(err, "listing builds", wrenn.CodeForbidden)
	_, err = who.Builds.Create(p.ctx, wrenn.CreateBuildRequest{Name: p.name(), Recipe: []string{"RUN true"}})
	p.refused(err, "building", wrenn.CodeForbidden)
	p.refused(who.Admin.DeleteTemplate(p.ctx, p.name()), "deleting a template", wrenn.CodeForbidden)
	p.refused(who.Admin.SetTeamBYOC(p.ctx, "team-"+absent, true), "letting a team bring hosts", wrenn.CodeForbidden)
	_, err = who.Hosts.Create(p.ctx, wrenn.CreateHostRequest{Type: wrenn.HostRegular})
	p.refused(err, "announcing a host for all", wrenn.CodeForbidden)
}
