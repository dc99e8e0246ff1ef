package wrenndev

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Operations on channels, as they are named in [Fault] and [Request].
const (
	OpChannelCreate = "channel-create"
	OpChannelList   = "channel-list"
	OpChannelTest   = "channel-test"
	OpChannelGet    = "channel-get"
	OpChannelUpdate = "channel-update"
	OpChannelDelete = "channel-delete"
	OpChannelRotate = "channel-rotate-config"
)

func (s *Server) channelRoutes(gen generation) []route {
	const base, one = "/v1/channels", "/v1/channels/{channel}"
	return []route{
		{OpChannelCreate, http.MethodPost, base, gen, accessToken, s.createChannel},
		{OpChannelList, http.MethodGet, base, gen, accessToken, s.listChannels},
		{OpChannelTest, http.MethodPost, base + "/test", gen, accessToken, s.testChannel},
		{OpChannelGet, http.MethodGet, one, gen, accessToken, s.getChannel},
		{OpChannelUpdate, http.MethodPatch, one, gen, accessToken, s.updateChannel},
		{OpChannelDelete, http.MethodDelete, one, gen, accessToken, s.deleteChannel},
		{OpChannelRotate, http.MethodPut, one + "/config", gen, accessToken, s.rotateChannel},
	}
}

// channelRow is where events of a team are delivered to.
type channelRow struct {
	ID       string            `json:"id"`
	Team     string            `json:"team"`
	Name     string            `json:"name"`
	Provider string            `json:"provider"`
	Config   map[string]string `json:"config"`
	Events   []string          `json:"events"`
	Created  time.Time         `json:"created"`
	Updated  time.Time         `json:"updated"`
}

// channelTable holds the channels of all teams.
type channelTable struct {
	*table[channelRow]
	// naming makes one of the look for a name and the taking of it.
	naming sync.Mutex
}

// taken tells whether another channel of the team has the name.
func (t *channelTable) taken(team, name, except string) bool {
	return len(t.list(func(r channelRow) bool { return r.Team == team && r.Name == name && r.ID != except })) > 0
}

type channelAnswer struct {
	ID        string   `json:"id"`
	TeamID    string   `json:"team_id"`
	Name      string   `json:"name"`
	Provider  string   `json:"provider"`
	Events    []string `json:"events"`
	CreatedAt string   `json:"created_at"`
	UpdatedAt string   `json:"updated_at"`
	Secret    string   `json:"secret,omitempty"`
}

func (r *channelRow) answer() channelAnswer {
	return channelAnswer{
		ID: r.ID, TeamID: r.Team, Name: r.Name, Provider: r.Provider, Events: r.Events,
		CreatedAt: stamp(r.Created), UpdatedAt: stamp(r.Updated),
	}
}

// channelName is a name as it is kept: in lower case, with hyphens for spaces.
func channelName(asked string) (string, error) {
	name := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(asked)), " ", "-")
	if !nameForm.MatchString(name) {
		return "", invalidArgument("name %q has other characters than letters, digits, '.', '_' and '-', or is empty or too long", asked)
	}
	return name, nil
}

func checkEvents(events []string) error {
	if len(events) == 0 {
		return invalidArgument("at least one event type is required")
	}
	for _, e := range events {
		if !slices.Contains(eventNames, e) {
			return invalidArgument("unknown event type %q", e)
		}
	}
	return nil
}

func nameTaken(name string) error {
	return refuse(http.StatusConflict, "conflict", "channel name %q already exists", name)
}

// withSecret completes the configuration of a webhook with a secret to sign with,
// unless it has one.
func withSecret(provider string, config map[string]string) map[string]string {
	if provider != providerWebhook || config["secret"] != "" {
		return config
	}
	config = maps.Clone(config)
	config["secret"] = randomHex(32)
	return config
}

func (s *Server) createChannel(c *call) error {
	var req struct {
		Name     string            `json:"name"`
		Provider string            `json:"provider"`
		Config   map[string]string `json:"config"`
		Events   []string          `json:"events"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	name, err := channelName(req.Name)
	if err != nil {
		return err
	}
	if _, known := providers[req.Provider]; !known {
		return invalidArgument("unsupported provider %q", req.Provider)
	}
	if err := checkEvents(req.Events); err != nil {
		return err
	}
	if err := checkConfig(req.Provider, req.Config); err != nil {
		return err
	}
	now := time.Now()
	row := channelRow{
		ID: newID(channelPrefix), Team: c.team, Name: name, Provider: req.Provider,
		Config: withSecret(req.Provider, req.Config), Events: req.Events, Created: now, Updated: now,
	}
	s.channels.naming.Lock()
	defer s.channels.naming.Unlock()
	if !s.channels.add(row.ID, row, func(r channelRow) bool { return r.Team == row.Team && r.Name == row.Name }) {
		return nameTaken(name)
	}
	s.record(c.caller, "channel", row.ID, "create", map[string]any{"name": row.Name, "provider": row.Provider})
	answer := row.answer()
	if row.Provider == providerWebhook {
		answer.Secret = row.Config["secret"] // told only here
	}
	writeJSON(c.w, http.StatusCreated, answer)
	return nil
}

func (s *Server) listChannels(c *call) error {
	rows := s.channels.list(func(r channelRow) bool { return r.Team == c.team })
	slices.Reverse(rows) // newest first
	answers := make([]channelAnswer, 0, len(rows))
	for i := range rows {
		answers = append(answers, rows[i].answer())
	}
	writeJSON(c.w, http.StatusOK, answers)
	return nil
}

// channelID is the channel id of the path, checked.
func (c *call) channelID() (string, error) {
	id := c.params["channel"]
	if !hasIDForm(id, channelPrefix) {
		return "", invalidRequest("invalid channel ID")
	}
	return id, nil
}

// ownChannel finds the channel of the path. Another team's is not there.
func (s *Server) ownChannel(c *call) (channelRow, error) {
	id, err := c.channelID()
	if err != nil {
		return channelRow{}, err
	}
	row, ok := s.channels.get(id)
	if !ok || row.Team != c.team {
		return channelRow{}, notFound("channel")
	}
	return row, nil
}

func (s *Server) getChannel(c *call) error {
	row, err := s.ownChannel(c)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, row.answer())
	return nil
}

// changeChannel changes the channel of the path and answers with it.
func (s *Server) changeChannel(c *call, action string, change func(*channelRow)) error {
	row, there := s.channels.update(c.params["channel"], func(r *channelRow) {
		change(r)
		r.Updated = time.Now()
	})
	if !there {
		return notFound("channel")
	}
	s.record(c.caller, "channel", row.ID, action, nil)
	writeJSON(c.w, http.StatusOK, row.answer())
	return nil
}

// updateChannel replaces name and events; both are required.
func (s *Server) updateChannel(c *call) error {
	if _, err := c.channelID(); err != nil {
		return err
	}
	var req struct {
		Name   string   `json:"name"`
		Events []string `json:"events"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	name, err := channelName(req.Name)
	if err != nil {
		return err
	}
	if err := checkEvents(req.Events); err != nil {
		return err
	}
	row, err := s.ownChannel(c)
	if err != nil {
		return err
	}
	s.channels.naming.Lock()
	defer s.channels.naming.Unlock()
	if s.channels.taken(row.Team, name, row.ID) {
		return nameTaken(name)
	}
	return s.changeChannel(c, "update", func(r *channelRow) { r.Name, r.Events = name, req.Events })
}

// rotateChannel replaces the configuration. A webhook for which no secret is given
// gets a new one that nobody is told, as at the service.
func (s *Server) rotateChannel(c *call) error {
	if _, err := c.channelID(); err != nil {
		return err
	}
	var req struct {
		Config map[string]string `json:"config"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	row, err := s.ownChannel(c)
	if err != nil {
		return err
	}
	if err := checkConfig(row.Provider, req.Config); err != nil {
		return err
	}
	config := withSecret(row.Provider, req.Config)
	return s.changeChannel(c, "rotate_config", func(r *channelRow) { r.Config = config })
}

// deleteChannel is content with a channel that is not there, as the service is, and
// writes it down all the same.
func (s *Server) deleteChannel(c *call) error {
	id, err := c.channelID()
	if err != nil {
		return err
	}
	if row, ok := s.channels.get(id); ok && row.Team == c.team {
		s.channels.remove(id)
	}
	s.record(c.caller, "channel", id, "delete", nil)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// testChannel delivers one message with a configuration that is not kept.
func (s *Server) testChannel(c *call) error {
	var req struct {
		Provider string            `json:"provider"`
		Config   map[string]string `json:"config"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	if err := checkConfig(req.Provider, req.Config); err != nil {
		return err
	}
	err := s.send(c.ctx(), req.Provider, withSecret(req.Provider, req.Config), channelEvent{
		Event: "channel.test", Timestamp: stamp(time.Now()), TeamID: "test",
		Actor: eventActor{Type: callerSystem}, Resource: eventResource{ID: "test", Type: "channel"},
	})
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}
