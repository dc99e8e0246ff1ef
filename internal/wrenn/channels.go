package wrenn

import (
	"context"
	"net/http"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

const channelsPath = "/v1/channels"

// Channels deliver the team's events elsewhere. They take a client with a JWT; any other is ErrUnauthenticated.
//
// A webhook is posted {event, timestamp, team_id, actor, resource}, with the headers X-Wrenn-Delivery, X-Wrenn-Timestamp
// and X-WRENN-SIGNATURE: "sha256=" and the hexadecimal HMAC-SHA256, with the channel's secret for its key, of the
// timestamp, a dot and the body. A sandbox that the service itself marks stopped or missing is no event.
type Channels struct{ c *Client }

// ChannelProvider is what a channel delivers to. Its configuration depends on it.
type ChannelProvider string

// The providers.
const (
	ChannelDiscord    ChannelProvider = "discord"
	ChannelSlack      ChannelProvider = "slack"
	ChannelTeams      ChannelProvider = "teams"
	ChannelGoogleChat ChannelProvider = "googlechat"
	ChannelTelegram   ChannelProvider = "telegram"
	ChannelMatrix     ChannelProvider = "matrix"
	ChannelWebhook    ChannelProvider = "webhook"
)

// ChannelEvent is a kind of event. Those of sandboxes are called after capsules in both generations.
type ChannelEvent string

// The events.
const (
	EventSandboxCreated   ChannelEvent = "capsule.created"
	EventSandboxRunning   ChannelEvent = "capsule.running"
	EventSandboxPaused    ChannelEvent = "capsule.paused"
	EventSandboxDestroyed ChannelEvent = "capsule.destroyed"
	EventSnapshotCreated  ChannelEvent = "template.snapshot.created"
	EventSnapshotDeleted  ChannelEvent = "template.snapshot.deleted"
	EventHostUp           ChannelEvent = "host.up"
	EventHostDown         ChannelEvent = "host.down"
)

// Channel is where events are delivered to. Its configuration is never told.
type Channel struct {
	// ID is "ch-" and 25 lowercase base36 digits.
	ID string
	// TeamID is the team whose events it delivers.
	TeamID string
	// Name is unique in the team.
	Name string
	// Provider is what it delivers to.
	Provider ChannelProvider
	// Events are the ones that it delivers.
	Events []ChannelEvent
	// CreatedAt and UpdatedAt are UTC, in whole seconds.
	CreatedAt, UpdatedAt time.Time
	// Secret signs the deliveries of a webhook. It is told by Create only.
	Secret Secret
}

// CreateChannelRequest says what channel to create.
type CreateChannelRequest struct {
	// Name is required and unique in the team: a name that is taken is IsConflict. The service keeps it in lower case and
	// with hyphens for spaces.
	Name string
	// Provider is required.
	Provider ChannelProvider
	// Config is what the provider needs, like "url" for a webhook. It can hold secrets and shows in no error.
	Config map[string]string
	// Events are the ones to deliver.
	Events []ChannelEvent
}

// Create creates a channel.
func (h *Channels) Create(ctx context.Context, req CreateChannelRequest) (*Channel, error) {
	const op = "channels.create"
	if req.Name == "" || req.Provider == "" {
		return nil, invalidArgument(op, "a channel needs a name and a provider")
	}
	return managedFetch(ctx, h.c, call{
		op: op, method: http.MethodPost, path: channelsPath, want: http.StatusCreated, hide: values(req.Config),
		body: jsonBody(api.CreateChannelRequest{
			Name: req.Name, Provider: api.ChannelProvider(req.Provider), Config: orNone(req.Config), Events: eventNames(req.Events),
		}),
	}, channelOf)
}

// List returns the team's channels.
func (h *Channels) List(ctx context.Context) ([]Channel, error) {
	return managedFetch(ctx, h.c, call{
		op: "channels.list", method: http.MethodGet, path: channelsPath, want: http.StatusOK, limit: h.c.settings.limits.ListBytes,
	}, listOf(channelOf))
}

// Get returns a channel.
func (h *Channels) Get(ctx context.Context, id string) (*Channel, error) {
	return h.one(ctx, id, call{op: "channels.get", method: http.MethodGet})
}

// Update replaces the name and the events of a channel; both are required.
func (h *Channels) Update(ctx context.Context, id, name string, events []ChannelEvent) (*Channel, error) {
	const op = "channels.update"
	if name == "" {
		return nil, invalidArgument(op, "the name is empty")
	}
	return h.one(ctx, id, call{
		op: op, method: http.MethodPatch, body: jsonBody(api.UpdateChannelRequest{Name: name, Events: eventNames(events)}),
	})
}

// RotateConfig replaces the configuration of a channel.
func (h *Channels) RotateConfig(ctx context.Context, id string, config map[string]string) (*Channel, error) {
	k := call{
		op: "channels.rotate_config", method: http.MethodPut, path: "/config", hide: values(config),
		body: jsonBody(api.ChannelConfigRequest{Config: orNone(config)}),
	}
	return h.one(ctx, id, k)
}

// one does a call about one channel; its path is what follows the id.
func (h *Channels) one(ctx context.Context, id string, k call) (*Channel, error) {
	if err := prefixChannel.check(k.op, id); err != nil {
		return nil, err
	}
	k.path, k.want = channelsPath+"/"+id+k.path, http.StatusOK
	return managedFetch(ctx, h.c, k, named(id, func(c *Channel) string { return c.ID }, channelOf))
}

// Delete deletes a channel. One that is not there is no error.
func (h *Channels) Delete(ctx context.Context, id string) error {
	const op = "channels.delete"
	if err := prefixChannel.check(op, id); err != nil {
		return err
	}
	return h.c.managedDo(ctx, call{op: op, method: http.MethodDelete, path: channelsPath + "/" + id})
}

// Test delivers a message with a configuration that is not stored. A delivery that failed has the code internal_error.
func (h *Channels) Test(ctx context.Context, provider ChannelProvider, config map[string]string) error {
	_, err := managedFetch(ctx, h.c, call{
		op: "channels.test", method: http.MethodPost, path: channelsPath + "/test", want: http.StatusOK, hide: values(config),
		body: jsonBody(api.TestChannelRequest{Provider: api.ChannelProvider(provider), Config: orNone(config)}),
	}, func(w *api.ChannelTest) (*api.ChannelTest, error) { return w, nil })
	return err
}

func channelOf(w *api.Channel) (*Channel, error) {
	if !prefixChannel.valid(w.ID) {
		return nil, errNoID
	}
	events := make([]ChannelEvent, 0, len(w.Events))
	for _, event := range w.Events {
		events = append(events, ChannelEvent(event))
	}
	return &Channel{
		ID: w.ID, TeamID: w.TeamID, Name: w.Name, Provider: ChannelProvider(w.Provider), Events: events,
		CreatedAt: w.CreatedAt.UTC(), UpdatedAt: w.UpdatedAt.UTC(), Secret: secretOf(value(w.Secret)),
	}, nil
}

func eventNames(events []ChannelEvent) []string {
	names := make([]string, 0, len(events))
	for _, event := range events {
		names = append(names, string(event))
	}
	return names
}

func orNone(config map[string]string) map[string]string {
	if config == nil {
		return map[string]string{}
	}
	return config
}

func values(config map[string]string) []string {
	out := make([]string, 0, len(config))
	for _, v := range config {
		out = append(out, v)
	}
	return out
}
