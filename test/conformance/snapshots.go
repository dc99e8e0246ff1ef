package main

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var snapshotChecks = []check{
	{name: "createSnapshot", run: createSnapshot},
	{name: "listSnapshots", run: listSnapshots},
	{name: "deleteSnapshot", run: deleteSnapshot},
	{name: "snapshot-pauses-its-source", run: snapshotPauses},
	{name: "snapshot-of-a-paused-sandbox", run: snapshotOfPaused},
	{name: "snapshot-of-a-destroyed-sandbox", run: snapshotOfDestroyed},
	{name: "snapshot-without-a-name", run: snapshotUnnamed},
	{name: "snapshot-sets-the-size", run: snapshotSize},
	{name: "snapshot-name-taken", run: snapshotNameTaken},
	{name: "snapshot-overwrite", only: wrenn.GenerationSandboxes, run: snapshotOverwrite},
	{name: "snapshot-overwrite-is-ignored", only: wrenn.GenerationCapsules, run: snapshotOverwriteIgnored},
	{name: "snapshot-order-of-checks", run: snapshotOrder},
	{name: "snapshot-deleted-in-use", run: snapshotInUse},
}

// snapshot takes one of a sandbox and has it deleted when the check is over, unless that has happened.
func (p *probe) snapshot(h *wrenn.SandboxHandle, name string) *wrenn.Snapshot {
	ctx, cancel := p.steady()
	defer cancel()
	p.laterSnapshot(name)
	got, err := p.c.Snapshots.Create(ctx, wrenn.CreateSnapshotRequest{SandboxID: h.ID(), Name: name})
	p.ok(err)
	return got
}

func (p *probe) laterSnapshot(name string) {
	p.later(func(ctx context.Context) error {
		if err := p.c.Snapshots.Delete(ctx, name); !wrenn.IsNotFound(err) {
			return err
		}
		return nil
	})
}

// start starts a sandbox from a snapshot. With several hosts it can land on one that the snapshot is not on, which is no
// fault of what is checked.
func (p *probe) start(snapshot string) *wrenn.SandboxHandle {
	ctx, cancel := p.steady()
	defer cancel()
	sandbox, err := p.c.Sandboxes.Create(ctx, wrenn.CreateSandboxRequest{Template: snapshot, TimeoutSec: p.mark(), VCPUs: 3, MemoryMB: 777})
	if wrenn.IsAgentError(err) {
		p.skip("no sandbox starts from a snapshot, as when it is on another host: %v", err)
	}
	p.ok(err)
	p.later(func(ctx context.Context) error { return p.c.Sandboxes.Destroy(ctx, sandbox.ID) })
	return p.c.Sandbox(sandbox.ID)
}

func createSnapshot(p *probe) {
	h := p.sandbox()
	p.sh(h, "echo kept > kept")
	name := p.name()
	got := p.snapshot(h, name)
	p.want(got.Name == name && got.Type == "snapshot" && !got.Platform && !got.CreatedAt.IsZero() && got.SizeBytes >= 0, "the answer is %+v", got)
	for range 2 {
		p.want(p.sh(p.start(name), "cat kept") == "kept\n", "the file is not in a sandbox that was started from it")
	}
}

func listSnapshots(p *probe) {
	name := p.name()
	p.snapshot(p.sandbox(), name)
	listed, err := p.c.Snapshots.List(p.ctx)
	p.ok(err)
	at := slices.IndexFunc(listed, func(s wrenn.Snapshot) bool { return s.Name == name })
	p.want(at >= 0 && listed[at].Type == "snapshot" && !listed[at].Platform, "the snapshot is not in the list")
	at = slices.IndexFunc(listed, func(s wrenn.Snapshot) bool { return s.Name == "minimal" })
	p.want(at >= 0 && listed[at].Platform, "the template minimal is not in the list")
	has := func(query, name string) bool {
		a := p.send("GET", "/v1/snapshots"+query, "")
		p.want(a.status == 200, "%s: HTTP %d %s", query, a.status, a.code())
		return strings.Contains(string(a.body), `"`+name+`"`)
	}
	p.want(has("?type=snapshot", name) && !has("?type=base", name), "the list by type is another")
	p.want(strings.TrimSpace(string(p.send("GET", "/v1/snapshots?type=unknown", "").body)) == "[]", "an unknown type is no empty list")
}

func deleteSnapshot(p *probe) {
	name := p.name()
	p.snapshot(p.sandbox(), name)
	p.ok(p.c.Snapshots.Delete(p.ctx, name))
	p.refused(p.c.Snapshots.Delete(p.ctx, name), "deleting it again", wrenn.CodeNotFound)
	_, err := p.c.Sandboxes.Create(p.ctx, wrenn.CreateSandboxRequest{Template: name, TimeoutSec: p.mark()})
	p.refused(err, "starting from it", wrenn.CodeNotFound)
	p.refused(p.c.Snapshots.Delete(p.ctx, "minimal"), "deleting a template of the platform", wrenn.CodeForbidden)
	p.turnedAway(p.send("DELETE", "/v1/snapshots/-bad", ""), "a malformed name", 400, wrenn.CodeInvalidRequest)
	a := p.send("GET", "/v1/snapshots/"+name, "")
	p.want(a.status == 405 && len(a.body) == 0, "getting one snapshot: HTTP %d %q", a.status, a.body)
}

// snapshotPauses: the source stays paused, and goes on with its files and its processes.
func snapshotPauses(p *probe) {
	h := p.sandbox()
	p.sh(h, `echo kept > kept; sleep 600 >/dev/null 2>&1 & echo $! > pid`)
	p.snapshot(h, p.name())
	p.is(h, wrenn.StatusPaused)
	_, err := h.Resume(p.ctx)
	p.ok(err)
	p.want(p.sh(h, "cat kept; kill -0 $(cat pid) && echo lives") == "kept\nlives\n", "not as it was")
}

func snapshotOfPaused(p *probe) {
	h := p.sandbox()
	p.sh(h, "echo kept > kept")
	_, err := h.Pause(p.ctx)
	p.ok(err)
	name := p.name()
	p.snapshot(h, name)
	p.is(h, wrenn.StatusPaused)
	p.want(p.sh(p.start(name), "cat kept") == "kept\n", "the file is not in a sandbox that was started from it")
}

func snapshotOfDestroyed(p *probe) {
	h := p.sandbox()
	p.ok(h.Destroy(p.ctx))
	_, err := p.c.Snapshots.Create(p.ctx, wrenn.CreateSnapshotRequest{SandboxID: h.ID(), Name: p.name()})
	p.refused(err, "a snapshot of a destroyed sandbox", wrenn.CodeInvalidState)
}

func snapshotUnnamed(p *probe) {
	ctx, cancel := p.steady()
	defer cancel()
	got, err := p.c.Snapshots.Create(ctx, wrenn.CreateSnapshotRequest{SandboxID: p.sandbox().ID()})
	p.ok(err)
	p.laterSnapshot(got.Name)
	p.want(regexp.MustCompile(`^template-[0-9a-f]{8}$`).MatchString(got.Name), "the name is %q", got.Name)
}

// snapshotSize: the size asked for is replaced, and nothing tells but the answer.
func snapshotSize(p *probe) {
	source := p.create(p.c, wrenn.CreateSandboxRequest{VCPUs: 1, MemoryMB: 640})
	name := p.name()
	p.snapshot(p.c.Sandbox(source.ID), name)
	got, err := p.start(name).Get(p.ctx)
	p.ok(err)
	p.want(got.Template == name && got.VCPUs == 1 && got.MemoryMB == 640, "asked for 3 CPUs and 777 MiB of a snapshot with 1 and 640: %+v", got)
}

func snapshotNameTaken(p *probe) {
	h := p.sandbox()
	name := p.name()
	p.snapshot(h, name)
	_, err := p.c.Snapshots.Create(p.ctx, wrenn.CreateSnapshotRequest{SandboxID: h.ID(), Name: name})
	code := wrenn.CodeAlreadyExists
	if p.generation == wrenn.GenerationCapsules {
		code = wrenn.CodeTemplateNameTaken
	}
	p.refused(err, "a second snapshot of the name", code)
	p.want(wrenn.IsAlreadyExists(err) && wrenn.IsNameTaken(err) && wrenn.IsConflict(err), "the client does not see a conflict of names")
	_, err = p.c.Snapshots.Create(p.ctx, wrenn.CreateSnapshotRequest{SandboxID: h.ID(), Name: "minimal"})
	p.refused(err, "the name of a template of the platform", wrenn.CodeNameReserved)
}

func (p *probe) overwrite(h *wrenn.SandboxHandle, name string) answer {
	return p.send("POST", "/v1/snapshots?overwrite=true", `{"sandbox_id":"`+h.ID()+`","name":"`+name+`"}`)
}

func snapshotOverwrite(p *probe) {
	h := p.sandbox()
	p.sh(h, "echo old > kept")
	name := p.name()
	p.snapshot(h, name)
	_, err := h.Resume(p.ctx)
	p.ok(err)
	p.sh(h, "echo new > kept")
	a := p.overwrite(h, name)
	p.want(a.status == 201, "HTTP %d %s", a.status, a.code())
	p.want(p.sh(p.start(name), "cat kept") == "new\n", "it was not replaced")
}

func snapshotOverwriteIgnored(p *probe) {
	h := p.sandbox()
	name := p.name()
	p.snapshot(h, name)
	p.turnedAway(p.overwrite(h, name), "an overwrite", 409, wrenn.CodeTemplateNameTaken)
}

// snapshotOrder: the id, the name, whether the name is free, and the sandbox at last.
func snapshotOrder(p *probe) {
	take := func(id, name string) answer {
		return p.send("POST", "/v1/snapshots", `{"sandbox_id":"`+id+`","name":"`+name+`"}`)
	}
	p.turnedAway(take("cl-x", "minimal"), "a malformed id and a taken name", 400, wrenn.CodeInvalidRequest)
	p.turnedAway(take("cl-"+absent, "-bad"), "an unknown sandbox and a malformed name", 400, wrenn.CodeInvalidRequest)
	p.turnedAway(take("cl-"+absent, "minimal"), "an unknown sandbox and a taken name", 409, wrenn.CodeNameReserved)
	p.turnedAway(take("cl-"+absent, p.name()), "an unknown sandbox", 404, wrenn.CodeNotFound)
}

// snapshotInUse: whoever was started from it, it can be deleted, and they go on.
func snapshotInUse(p *probe) {
	name := p.name()
	p.snapshot(p.sandbox(), name)
	h := p.start(name)
	p.ok(p.c.Snapshots.Delete(p.ctx, name))
	p.is(h, wrenn.StatusRunning)
	p.sh(h, "true")
}
