package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var channelChecks = []check{
	{name: "createChannel", token: true, run: createChannel},
	{name: "listChannels", token: true, run: listChannels},
	{name: "getChannel", token: true, run: getChannel},
	{name: "updateChannel", token: true, run: updateChannel},
	{name: "deleteChannel", token: true, run: deleteChannel},
	{name: "rotateChannelConfig", token: true, run: rotateChannelConfig},
	{name: "channel-name-taken", token: true, run: channelNameTaken},
	{name: "testChannel", token: true, run: testChannel},
	{name: "channel-delivers", token: true, run: channelDelivers},
	{name: "channel-of-rotated-config", token: true, run: channelRotated},
}

// rare are events that do not happen while checks run.
var rare = []wrenn.ChannelEvent{wrenn.EventHostDown}

// elsewhere is the configuration of a webhook that is never delivered to. A server on this machine may refuse what leads
// away from it.
func (s *suite) elsewhere() map[string]string {
	if s.isLocal() {
		return map[string]string{"url": "http://127.0.0.1:9/conformance"}
	}
	return map[string]string{"url": "https://example.com/conformance"}
}

// isLocal tells whether the server is on this machine, and so can reach it.
func (s *suite) isLocal() bool {
	ip := net.ParseIP(s.base.Hostname())
	return s.base.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func (p *probe) channel(c *crew, config map[string]string, events ...wrenn.ChannelEvent) *wrenn.Channel {
	ctx, cancel := p.steady()
	defer cancel()
	got, err := c.Channels.Create(ctx, wrenn.CreateChannelRequest{
		Name: p.name(), Provider: wrenn.ChannelWebhook, Config: config, Events: events,
	})
	if wrenn.IsInvalidRequest(err) && p.isLocal() {
		p.skip("the server delivers to no address of this machine: %v", err)
	}
	p.ok(err)
	p.later(func(ctx context.Context) error {
		if err := c.Channels.Delete(ctx, got.ID); !wrenn.IsNotFound(err) {
			return err
		}
		return nil
	})
	return got
}

func createChannel(p *probe) {
	c := p.newCrew()
	got := p.channel(c, p.elsewhere(), rare...)
	p.want(got.TeamID == c.id && got.Provider == wrenn.ChannelWebhook && slices.Equal(got.Events, rare), "the channel is %+v", got)
	p.want(!got.Secret.IsZero(), "a webhook has no secret")
	for what, body := range map[string]string{
		"an unknown provider": `{"name":"x","provider":"pigeon","config":{},"events":["host.down"]}`,
		"no name":             `{"provider":"webhook","config":{"url":"` + p.elsewhere()["url"] + `"},"events":["host.down"]}`,
	} {
		p.turnedAway(p.byHand(c, "POST", "/v1/channels", body), what, 400, wrenn.CodeInvalidRequest)
	}
}

func listChannels(p *probe) {
	c := p.newCrew()
	made := p.channel(c, p.elsewhere(), rare...)
	listed, err := c.Channels.List(p.ctx)
	p.ok(err)
	p.want(len(listed) == 1 && listed[0].ID == made.ID && listed[0].Name == made.Name, "the list is %+v", listed)
	p.want(listed[0].Secret.IsZero(), "the list tells the secret")
}

func getChannel(p *probe) {
	c := p.newCrew()
	made := p.channel(c, p.elsewhere(), rare...)
	got, err := c.Channels.Get(p.ctx, made.ID)
	p.ok(err)
	p.want(got.Name == made.Name && slices.Equal(got.Events, rare) && got.Secret.IsZero(), "the channel is %+v", got)
	_, err = p.newCrew().Channels.Get(p.ctx, made.ID)
	p.refused(err, "another team's channel", wrenn.CodeNotFound)
	p.turnedAway(p.byHand(c, "GET", "/v1/channels/ch-x", ""), "a malformed id", 400, wrenn.CodeInvalidRequest)
}

func updateChannel(p *probe) {
	c := p.newCrew()
	made := p.channel(c, p.elsewhere(), rare...)
	name, events := p.name(), []wrenn.ChannelEvent{wrenn.EventHostUp, wrenn.EventHostDown}
	got, err := c.Channels.Update(p.ctx, made.ID, name, events)
	p.ok(err)
	for range 2 {
		p.want(got.Name == name && len(got.Events) == 2 && got.Provider == wrenn.ChannelWebhook, "the channel is %+v", got)
		got, err = c.Channels.Get(p.ctx, made.ID)
		p.ok(err)
	}
	_, err = c.Channels.Update(p.ctx, "ch-"+absent, name, events)
	p.refused(err, "an unknown channel", wrenn.CodeNotFound)
}

func deleteChannel(p *probe) {
	c := p.newCrew()
	made := p.channel(c, p.elsewhere(), rare...)
	p.ok(c.Channels.Delete(p.ctx, made.ID))
	_, err := c.Channels.Get(p.ctx, made.ID)
	p.refused(err, "a deleted channel", wrenn.CodeNotFound)
}

func rotateChannelConfig(p *probe) {
	c := p.newCrew()
	made := p.channel(c, p.elsewhere(), rare...)
	got, err := c.Channels.RotateConfig(p.ctx, made.ID, p.elsewhere())
	p.ok(err)
	p.want(got.ID == made.ID && got.Name == made.Name, "the channel is %+v", got)
	_, err = c.Channels.RotateConfig(p.ctx, "ch-"+absent, p.elsewhere())
	p.refused(err, "an unknown channel", wrenn.CodeNotFound)
}

func channelNameTaken(p *probe) {
	c := p.newCrew()
	made := p.channel(c, p.elsewhere(), rare...)
	_, err := c.Channels.Create(p.ctx, wrenn.CreateChannelRequest{Name: made.Name, Provider: wrenn.ChannelWebhook, Config: p.elsewhere(), Events: rare})
	p.refused(err, "a second channel of the name", wrenn.CodeConflict)
}

// delivery is what a webhook was posted.
type delivery struct {
	header http.Header
	body   []byte
}

// receiver takes deliveries on this machine, where only a server on this machine can bring them.
func (p *probe) receiver() (url string, deliveries <-chan delivery) {
	if !p.isLocal() {
		p.skip("takes a server that can reach this machine: the base URL is not of a loopback address")
	}
	got := make(chan delivery, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		select {
		case got <- delivery{r.Header, body}:
		default:
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	p.later(func(context.Context) error {
		server.Close()
		return nil
	})
	return server.URL, got
}

// testChannel: a delivery that fails is a failure of the service.
func testChannel(p *probe) {
	url, deliveries := p.receiver()
	c := p.newCrew()
	p.ok(c.Channels.Test(p.ctx, wrenn.ChannelWebhook, map[string]string{"url": url + "/test"}))
	select {
	case <-deliveries:
	case <-p.ctx.Done():
		p.fail("nothing was delivered")
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	err := c.Channels.Test(p.ctx, wrenn.ChannelWebhook, map[string]string{"url": closed.URL})
	p.refused(err, "a delivery to nobody", wrenn.CodeInternalError)
}

// event is the body of a delivery.
type event struct {
	Event     string `json:"event"`
	Timestamp string `json:"timestamp"`
	TeamID    string `json:"team_id"`
	Resource  struct{ ID, Type string }
}

// await returns the delivery of an event about something, and passes over others.
func (p *probe) await(deliveries <-chan delivery, what wrenn.ChannelEvent, id string) delivery {
	var others []string
	for {
		select {
		case d := <-deliveries:
			var e event
			p.ok(json.Unmarshal(d.body, &e))
			if e.Event == string(what) && e.Resource.ID == id {
				return d
			}
			others = append(others, e.Event)
		case <-p.ctx.Done():
			p.fail("%s was not delivered, but %v", what, others)
		}
	}
}

// channelDelivers: events of a sandbox's life come, signed with the channel's secret.
func channelDelivers(p *probe) {
	url, deliveries := p.receiver()
	c := p.newCrew()
	channel := p.channel(c, map[string]string{"url": url}, wrenn.EventSandboxCreated, wrenn.EventSandboxPaused, wrenn.EventSandboxDestroyed,
		wrenn.EventSnapshotCreated, wrenn.EventSnapshotDeleted)
	h := c.Sandbox(p.create(c.Client, wrenn.CreateSandboxRequest{}).ID)
	d := p.await(deliveries, wrenn.EventSandboxCreated, h.ID())
	var e event
	p.ok(json.Unmarshal(d.body, &e))
	p.want(e.TeamID == c.id && e.Timestamp != "" && e.Resource.Type != "", "the event is %s", d.body)
	p.want(d.header.Get("X-Wrenn-Delivery") != "" && d.header.Get("X-Wrenn-Timestamp") != "", "the headers are %v", d.header)
	p.want(signed(d, channel.Secret.Reveal()), "the signature %q is none of the body with the secret", d.header.Get("X-Wrenn-Signature"))
	_, err := h.Pause(p.ctx)
	p.ok(err)
	p.await(deliveries, wrenn.EventSandboxPaused, h.ID())
	name := p.name()
	_, err = c.Snapshots.Create(p.ctx, wrenn.CreateSnapshotRequest{SandboxID: h.ID(), Name: name})
	p.ok(err)
	p.await(deliveries, wrenn.EventSnapshotCreated, name)
	p.ok(c.Snapshots.Delete(p.ctx, name))
	p.await(deliveries, wrenn.EventSnapshotDeleted, name)
	p.ok(h.Destroy(p.ctx))
	p.await(deliveries, wrenn.EventSandboxDestroyed, h.ID())
}

// signed tells whether the signature is an HMAC with the secret, of the body, or of the time and the body, in any of the
// usual forms: which of them is not documented.
func signed(d delivery, secret string) bool {
	given := d.header.Get("X-Wrenn-Signature")
	if _, value, ok := strings.Cut(given, "="); ok && !strings.HasSuffix(given, "=") {
		given = value
	}
	at := d.header.Get("X-Wrenn-Timestamp")
	keys := [][]byte{[]byte(secret)}
	if key, err := hex.DecodeString(secret); err == nil {
		keys = append(keys, key)
	}
	for _, key := range keys {
		for _, text := range []string{"", at + ".", at, d.header.Get("X-Wrenn-Delivery") + "." + at + "."} {
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(text))
			mac.Write(d.body)
			sum := mac.Sum(nil)
			if given == hex.EncodeToString(sum) || given == base64.StdEncoding.EncodeToString(sum) {
				return true
			}
		}
	}
	return false
}

// channelRotated: from then on events go to the new place.
func channelRotated(p *probe) {
	first, old := p.receiver()
	second, rotated := p.receiver()
	c := p.newCrew()
	channel := p.channel(c, map[string]string{"url": first}, wrenn.EventSandboxCreated)
	p.await(old, wrenn.EventSandboxCreated, p.create(c.Client, wrenn.CreateSandboxRequest{}).ID)
	_, err := c.Channels.RotateConfig(p.ctx, channel.ID, map[string]string{"url": second})
	p.ok(err)
	p.await(rotated, wrenn.EventSandboxCreated, p.create(c.Client, wrenn.CreateSandboxRequest{}).ID)
}
