package main

import (
	"context"
	"slices"
	"strings"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var keyChecks = []check{
	{name: "createAPIKey", token: true, run: createAPIKey},
	{name: "listAPIKeys", token: true, run: listAPIKeys},
	{name: "deleteAPIKey", token: true, run: deleteAPIKey},
}

// newKey makes an API key of a team and returns a client with it.
func (p *probe) newKey(c *crew, name string) (*wrenn.APIKeyInfo, *wrenn.Client) {
	ctx, cancel := p.steady()
	defer cancel()
	info, err := c.APIKeys.Create(ctx, name)
	p.ok(err)
	p.later(func(ctx context.Context) error { return c.APIKeys.Delete(ctx, info.ID) })
	credential, err := wrenn.APIKey(info.Key.Reveal())
	p.ok(err)
	client, err := p.client(credential)
	p.ok(err)
	return info, client
}

func createAPIKey(p *probe) {
	c := p.newCrew()
	name := p.name()
	info, client := p.newKey(c, name)
	p.want(info.Name == name && info.TeamID == c.id && info.CreatedBy == c.session.UserID && !info.CreatedAt.IsZero(), "the answer is %+v", info)
	p.want(info.KeyPrefix != "" && strings.HasPrefix(info.Key.Reveal(), strings.TrimRight(info.KeyPrefix, ".…*")), "the prefix is not the key's")
	listed, err := client.Sandboxes.List(p.ctx)
	p.ok(err)
	p.want(len(listed) == 0, "the key opens another team, with %d sandboxes", len(listed))
	h := client.Sandbox(p.create(client, wrenn.CreateSandboxRequest{}).ID)
	_, err = c.Sandbox(h.ID()).Get(p.ctx)
	p.ok(err)
	unnamed, _ := p.newKey(c, "")
	p.want(unnamed.Name == "Unnamed API Key", "without a name it is %q", unnamed.Name)
}

func listAPIKeys(p *probe) {
	c := p.newCrew()
	info, client := p.newKey(c, p.name())
	_, err := client.Sandboxes.List(p.ctx)
	p.ok(err)
	listed, err := c.APIKeys.List(p.ctx)
	p.ok(err)
	at := slices.IndexFunc(listed, func(k wrenn.APIKeyInfo) bool { return k.ID == info.ID })
	p.want(at >= 0 && len(listed) == 1, "the list has %d keys, want the one", len(listed))
	got := listed[at]
	p.want(got.Key.IsZero(), "the list tells the key")
	p.want(got.Name == info.Name && got.KeyPrefix == info.KeyPrefix && got.CreatorEmail == c.session.Email, "listed as %+v", got)
}

func deleteAPIKey(p *probe) {
	c := p.newCrew()
	info, client := p.newKey(c, p.name())
	for range 2 {
		p.ok(c.APIKeys.Delete(p.ctx, info.ID))
	}
	p.eventually(waitFor, "the key is refused", func() bool {
		_, err := client.Sandboxes.List(p.ctx)
		return wrenn.IsUnauthorized(err)
	})
	listed, err := c.APIKeys.List(p.ctx)
	p.ok(err)
	p.want(len(listed) == 0, "the key is in the list")
	p.turnedAway(p.byHand(c, "DELETE", "/v1/api-keys/key-x", ""), "a malformed id", 400, wrenn.CodeInvalidRequest)
}
