package main

import (
	"context"
	"errors"
	"regexp"
	"slices"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var hostChecks = []check{
	{name: "createHost", token: true, run: createHost},
	{name: "listHosts", token: true, run: listHosts},
	{name: "getHost", token: true, run: getHost},
	{name: "deleteHost", token: true, run: deleteHost},
	{name: "previewHostDeletion", token: true, run: previewHost},
	{name: "regenerateHostToken", token: true, run: regenerateHostToken},
	{name: "listHostTags", token: true, run: listHostTags},
	{name: "addHostTag", token: true, run: addHostTag},
	{name: "removeHostTag", token: true, run: removeHostTag},
	{name: "has_active_sandboxes", admin: true, run: hostInUse},
}

var registrationTokenForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// newHost announces a host of a team of its own, which no agent ever comes from.
func (p *probe) newHost() (*crew, *wrenn.HostRegistration) {
	c := p.newCrew()
	if p.isAdmin() {
		p.ok(p.user.Admin.SetTeamBYOC(p.ctx, c.id, true))
	}
	ctx, cancel := p.steady()
	defer cancel()
	got, err := c.Hosts.Create(ctx, wrenn.CreateHostRequest{
		Type: wrenn.HostBYOC, TeamID: c.id, Provider: "conformance", AvailabilityZone: "zone-1",
	})
	if wrenn.IsForbidden(err) && !p.isAdmin() {
		p.skip("only an administrator of the platform lets a team bring hosts, and the token's user is none")
	}
	p.ok(err)
	p.later(func(ctx context.Context) error {
		if err := c.Hosts.Delete(ctx, got.Host.ID, false); !wrenn.IsNotFound(err) {
			return err
		}
		return nil
	})
	return c, got
}

func createHost(p *probe) {
	c, got := p.newHost()
	host := got.Host
	p.want(registrationTokenForm.MatchString(got.Token.Reveal()), "the token is not 64 hexadecimal digits")
	p.want(host.Type == wrenn.HostBYOC && host.Status == wrenn.HostPending && host.TeamID == c.id, "the host is %+v", host)
	p.want(host.Provider == "conformance" && host.AvailabilityZone == "zone-1" && host.CreatedBy == c.session.UserID, "the host is %+v", host)
	p.turnedAway(p.byHand(c, "POST", "/v1/hosts", `{"type":"none"}`), "an unknown type", 400, wrenn.CodeInvalidRequest)
}

func listHosts(p *probe) {
	c, got := p.newHost()
	listed, err := c.Hosts.List(p.ctx)
	p.ok(err)
	p.want(slices.ContainsFunc(listed, func(h wrenn.Host) bool { return h.ID == got.Host.ID && h.Status == wrenn.HostPending }), "the host is not in the list")
	listed, err = p.newCrew().Hosts.List(p.ctx)
	p.ok(err)
	p.want(p.isAdmin() || !slices.ContainsFunc(listed, func(h wrenn.Host) bool { return h.ID == got.Host.ID }), "another team sees the host")
}

func getHost(p *probe) {
	c, made := p.newHost()
	got, err := c.Hosts.Get(p.ctx, made.Host.ID)
	p.ok(err)
	p.want(got.ID == made.Host.ID && got.Status == wrenn.HostPending && got.Provider == "conformance" && got.LastHeartbeatAt.IsZero(), "the host is %+v", got)
	_, err = c.Hosts.Get(p.ctx, "host-"+absent)
	p.refused(err, "an unknown host", wrenn.CodeNotFound)
	p.turnedAway(p.byHand(c, "GET", "/v1/hosts/host-x", ""), "a malformed id", 400, wrenn.CodeInvalidRequest)
}

func deleteHost(p *probe) {
	c, made := p.newHost()
	p.ok(c.Hosts.Delete(p.ctx, made.Host.ID, false))
	_, err := c.Hosts.Get(p.ctx, made.Host.ID)
	p.refused(err, "a deleted host", wrenn.CodeNotFound)
	p.refused(c.Hosts.Delete(p.ctx, made.Host.ID, true), "deleting it again", wrenn.CodeNotFound)
}

func previewHost(p *probe) {
	c, made := p.newHost()
	got, err := c.Hosts.DeletePreview(p.ctx, made.Host.ID)
	p.ok(err)
	p.want(got.Host.ID == made.Host.ID && len(got.SandboxIDs) == 0, "the preview is %+v", got)
	_, err = c.Hosts.DeletePreview(p.ctx, "host-"+absent)
	p.refused(err, "an unknown host", wrenn.CodeNotFound)
}

func regenerateHostToken(p *probe) {
	c, made := p.newHost()
	got, err := c.Hosts.RegenerateToken(p.ctx, made.Host.ID)
	p.ok(err)
	p.want(registrationTokenForm.MatchString(got.Token.Reveal()) && !got.Token.Equal(made.Token), "the token is the same, or none")
	p.want(got.Host.ID == made.Host.ID && got.Host.Status == wrenn.HostPending, "the host is %+v", got.Host)
	_, err = c.Hosts.RegenerateToken(p.ctx, "host-"+absent)
	p.refused(err, "an unknown host", wrenn.CodeNotFound)
}

func (p *probe) tags(c *crew, host string) []string {
	tags, err := c.Hosts.ListTags(p.ctx, host)
	p.ok(err)
	slices.Sort(tags)
	return tags
}

// listHostTags: no tags are null.
func listHostTags(p *probe) {
	c, made := p.newHost()
	p.want(len(p.tags(c, made.Host.ID)) == 0, "a new host has tags")
	_, err := c.Hosts.ListTags(p.ctx, "host-"+absent)
	p.refused(err, "an unknown host", wrenn.CodeNotFound)
}

func addHostTag(p *probe) {
	c, made := p.newHost()
	for _, tag := range []string{"gpu", "fast-disk"} {
		p.ok(c.Hosts.AddTag(p.ctx, made.Host.ID, tag))
	}
	got := p.tags(c, made.Host.ID)
	p.want(slices.Equal(got, []string{"fast-disk", "gpu"}), "the tags are %q", got)
	p.turnedAway(p.byHand(c, "POST", "/v1/hosts/"+made.Host.ID+"/tags", `{}`), "no tag", 400, wrenn.CodeInvalidRequest)
}

func removeHostTag(p *probe) {
	c, made := p.newHost()
	for _, tag := range []string{"gpu", "fast-disk"} {
		p.ok(c.Hosts.AddTag(p.ctx, made.Host.ID, tag))
	}
	p.ok(c.Hosts.RemoveTag(p.ctx, made.Host.ID, "fast-disk"))
	got := p.tags(c, made.Host.ID)
	p.want(slices.Equal(got, []string{"gpu"}), "the tags are %q", got)
}

// hostInUse asks to delete a host that a sandbox runs on, which must not happen. It is for servers that nobody needs: were
// the sandbox gone at that moment, the host would be too.
func hostInUse(p *probe) {
	if !p.disposable {
		p.skip("would put a host at risk: set WRENN_DISPOSABLE=1")
	}
	h := p.sandbox()
	hosts, err := p.user.Hosts.List(p.ctx)
	p.ok(err)
	for _, host := range hosts {
		preview, err := p.user.Hosts.DeletePreview(p.ctx, host.ID)
		p.ok(err)
		if !slices.Contains(preview.SandboxIDs, h.ID()) {
			continue
		}
		err = p.user.Hosts.Delete(p.ctx, host.ID, false)
		p.refused(err, "deleting the host of a sandbox", wrenn.CodeHasActiveSandboxes)
		var e *wrenn.Error
		p.want(wrenn.HasActiveSandboxes(err) && errors.As(err, &e) && slices.Contains(e.SandboxIDs, h.ID()), "the sandbox is not named")
		p.is(h, wrenn.StatusRunning)
		return
	}
	p.fail("no host has the sandbox in its preview")
}
