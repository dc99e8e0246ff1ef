package wrenndev

// leads tells whether a user is an owner or an admin of a team, whatever team the
// token is for.
func (s *Server) leads(who caller, team string) bool {
	m, ok := s.people.membership(team, who.id)
	return ok && (m.Role == roleOwner || m.Role == roleAdmin)
}

// mayAnnounce refuses a host that the caller cannot add.
func (s *Server) mayAnnounce(who caller, kind, team string) error {
	switch {
	case kind != hostRegular && kind != hostBYOC:
		return invalidArgument("the type of a host must be regular or byoc")
	case kind == hostRegular && !who.admin:
		return forbidden("only administrators of the platform add regular hosts")
	case kind == hostBYOC && team == "":
		return invalidArgument("a byoc host needs team_id")
	case team == "":
		return nil
	case !hasIDForm(team, teamPrefix):
		return invalidRequest("invalid team ID")
	case kind == hostBYOC && !who.admin && !s.leads(who, team):
		return forbidden("only owners and admins of a team add its hosts")
	}
	t, there := s.people.team(team)
	if !there {
		return notFound("team")
	}
	if !t.BYOC {
		return forbidden("the team may not bring hosts")
	}
	return nil
}

// mayManage refuses a host that is not the caller's to delete.
func (s *Server) mayManage(who caller, row hostRow) error {
	switch {
	case who.admin:
		return nil
	case row.Type != hostBYOC:
		return forbidden("only administrators of the platform manage regular hosts")
	case row.Team != who.team:
		return forbidden("the host is another team's")
	case !s.leads(who, row.Team):
		return forbidden("only owners and admins of a team manage its hosts")
	}
	return nil
}

// host finds the host of the path, whoever asks.
func (s *Server) host(c *call) (hostRow, error) {
	id := c.params["host"]
	if !hasIDForm(id, hostPrefix) {
		return hostRow{}, invalidRequest("invalid host ID")
	}
	row, ok := s.hosts.get(id)
	if !ok {
		return hostRow{}, notFound("host")
	}
	return row, nil
}

// visibleHost is host for what members may see: another team's host is not there, nor
// is one that serves every team.
func (s *Server) visibleHost(c *call) (hostRow, error) {
	row, err := s.host(c)
	if err == nil && row.Team != c.team && !c.admin {
		return hostRow{}, notFound("host")
	}
	return row, err
}

// managedHost is host for what only those who manage it may do.
func (s *Server) managedHost(c *call) (hostRow, error) {
	row, err := s.host(c)
	if err == nil {
		err = s.mayManage(c.caller, row)
	}
	return row, err
}
