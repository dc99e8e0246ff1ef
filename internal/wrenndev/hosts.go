package wrenndev

import (
	"net/http"
	"slices"
	"time"
)

// Operations on hosts, as they are named in [Fault] and [Request].
const (
	OpHostCreate        = "host-create"
	OpHostList          = "host-list"
	OpHostGet           = "host-get"
	OpHostDelete        = "host-delete"
	OpHostDeletePreview = "host-delete-preview"
	OpHostToken         = "host-token"
	OpHostTagList       = "host-tag-list"
	OpHostTagAdd        = "host-tag-add"
	OpHostTagRemove     = "host-tag-remove"
)

func (s *Server) hostRoutes(gen generation) []route {
	const base, one = "/v1/hosts", "/v1/hosts/{host}"
	return []route{
		{OpHostCreate, http.MethodPost, base, gen, accessToken, s.createHost},
		{OpHostList, http.MethodGet, base, gen, accessToken, s.listHosts},
		{OpHostGet, http.MethodGet, one, gen, accessToken, s.getHost},
		{OpHostDelete, http.MethodDelete, one, gen, accessToken, s.deleteHost},
		{OpHostDeletePreview, http.MethodGet, one + "/delete-preview", gen, accessToken, s.previewHostDeletion},
		{OpHostToken, http.MethodPost, one + "/token", gen, accessToken, s.regenerateHostToken},
		{OpHostTagList, http.MethodGet, one + "/tags", gen, accessToken, s.listHostTags},
		{OpHostTagAdd, http.MethodPost, one + "/tags", gen, accessToken, s.addHostTag},
		{OpHostTagRemove, http.MethodDelete, one + "/tags/{tag}", gen, accessToken, s.removeHostTag},
	}
}

// The types and statuses of hosts.
const (
	hostRegular = "regular" // serves every team
	hostBYOC    = "byoc"    // serves the team that brought it

	hostPending     = "pending"
	hostOnline      = "online"
	hostUnreachable = "unreachable"
)

// hostRow is a machine that sandboxes run on. Those that are announced here wait for
// an agent that never comes; the one that serves is this machine.
type hostRow struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Status    string    `json:"status"`
	Team      string    `json:"team,omitempty"`
	Provider  string    `json:"provider,omitempty"`
	Zone      string    `json:"zone,omitempty"`
	Arch      string    `json:"arch,omitempty"`
	CPUCores  int32     `json:"cpu_cores,omitempty"`
	MemoryMB  int32     `json:"memory_mb,omitempty"`
	DiskGB    int32     `json:"disk_gb,omitempty"`
	Address   string    `json:"address,omitempty"`
	CreatedBy string    `json:"created_by"`
	Created   time.Time `json:"created"`
	Updated   time.Time `json:"updated"`
	Tags      []string  `json:"tags,omitempty"`
	// Local is this machine.
	Local bool `json:"local,omitempty"`
}

type hostAnswer struct {
	ID               string `json:"id"`
	Type             string `json:"type"`
	TeamID           string `json:"team_id,omitempty"`
	TeamName         string `json:"team_name,omitempty"`
	Provider         string `json:"provider,omitempty"`
	AvailabilityZone string `json:"availability_zone,omitempty"`
	Arch             string `json:"arch,omitempty"`
	CPUCores         int32  `json:"cpu_cores,omitempty"`
	MemoryMB         int32  `json:"memory_mb,omitempty"`
	DiskGB           int32  `json:"disk_gb,omitempty"`
	Address          string `json:"address,omitempty"`
	Status           string `json:"status"`
	LastHeartbeatAt  string `json:"last_heartbeat_at,omitempty"`
	CreatedBy        string `json:"created_by"`
	CreatedAt        string `json:"created_at"`
	UpdatedAt        string `json:"updated_at"`
}

func (s *Server) hostAnswer(r hostRow) hostAnswer {
	a := hostAnswer{
		ID: r.ID, Type: r.Type, TeamID: r.Team, Provider: r.Provider, AvailabilityZone: r.Zone, Arch: r.Arch,
		CPUCores: r.CPUCores, MemoryMB: r.MemoryMB, DiskGB: r.DiskGB, Address: r.Address, Status: r.Status,
		CreatedBy: r.CreatedBy, CreatedAt: stamp(r.Created), UpdatedAt: stamp(r.Updated),
	}
	if r.Local {
		a.LastHeartbeatAt = stamp(s.local.heartbeat())
	}
	return a
}

type hostRegistrationAnswer struct {
	Host              hostAnswer `json:"host"`
	RegistrationToken string     `json:"registration_token"`
}

// registration hands out a token for a host's agent. It is not kept: there is no
// agent here that could come with it.
func (s *Server) registration(r hostRow) hostRegistrationAnswer {
	return hostRegistrationAnswer{Host: s.hostAnswer(r), RegistrationToken: randomHex(32)}
}

func (s *Server) createHost(c *call) error {
	var req struct {
		Type     string `json:"type"`
		TeamID   string `json:"team_id"`
		Provider string `json:"provider"`
		Zone     string `json:"availability_zone"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	if err := s.mayAnnounce(c.caller, req.Type, req.TeamID); err != nil {
		return err
	}
	now := time.Now()
	row := hostRow{
		ID: newID(hostPrefix), Type: req.Type, Status: hostPending, Team: req.TeamID, Provider: req.Provider,
		Zone: req.Zone, CreatedBy: c.caller.id, Created: now, Updated: now,
	}
	s.hosts.add(row.ID, row, nil)
	s.recordHost(c.caller, row, "create")
	writeJSON(c.w, http.StatusCreated, s.registration(row))
	return nil
}

// recordHost writes down what a user did to a host, in the log of its team; what
// serves every team has none, and goes to the user's.
func (s *Server) recordHost(who caller, row hostRow, action string) {
	if row.Team != "" {
		who.team = row.Team
	}
	s.record(who, "host", row.ID, action, nil)
}

// listHosts shows an administrator of the platform all hosts, with the names of their
// teams, and others those of their team.
func (s *Server) listHosts(c *call) error {
	rows := s.hosts.list(func(r hostRow) bool { return c.admin || r.Type == hostBYOC && r.Team == c.team })
	slices.Reverse(rows) // newest first
	answers := make([]hostAnswer, 0, len(rows))
	for _, row := range rows {
		answer := s.hostAnswer(row)
		if c.admin {
			if t, ok := s.people.teams.get(row.Team); ok {
				answer.TeamName = t.Name
			}
		}
		answers = append(answers, answer)
	}
	writeJSON(c.w, http.StatusOK, answers)
	return nil
}

func (s *Server) getHost(c *call) error {
	row, err := s.visibleHost(c)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, s.hostAnswer(row))
	return nil
}

func (s *Server) regenerateHostToken(c *call) error {
	row, err := s.host(c)
	if err != nil {
		return err
	}
	// The service looks at the status before it asks who is calling.
	if row.Status != hostPending {
		return invalidArgument("a token is for pending hosts only (status: %s)", row.Status)
	}
	if err := s.mayManage(c.caller, row); err != nil {
		return err
	}
	writeJSON(c.w, http.StatusCreated, s.registration(row))
	return nil
}

func (s *Server) previewHostDeletion(c *call) error {
	row, err := s.managedHost(c)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"host": s.hostAnswer(row), "sandbox_ids": s.activeOn(row)})
	return nil
}

func (s *Server) deleteHost(c *call) error {
	row, err := s.managedHost(c)
	if err != nil {
		return err
	}
	if row.Local {
		err = s.deleteLocalHost(c.r.URL.Query().Get("force") == "true")
	} else if _, there := s.hosts.remove(row.ID); !there {
		err = notFound("host")
	}
	if err != nil {
		return err
	}
	s.recordHost(c.caller, row, "delete")
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
