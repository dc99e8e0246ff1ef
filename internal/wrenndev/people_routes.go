package wrenndev

import "net/http"

// Operations of users and teams, as they are named in [Fault] and [Request].
const (
	OpLogin              = "login"
	OpSignup             = "signup"
	OpActivate           = "activate"
	OpSwitchTeam         = "switch-team"
	OpMeGet              = "me-get"
	OpMeUpdate           = "me-update"
	OpMeDelete           = "me-delete"
	OpPasswordChange     = "password-change"
	OpPasswordReset      = "password-reset"
	OpPasswordConfirm    = "password-reset-confirm"
	OpProviderConnect    = "provider-connect"
	OpProviderDisconnect = "provider-disconnect"
	OpAPIKeyCreate       = "api-key-create"
	OpAPIKeyList         = "api-key-list" //nolint:gosec // G101: the name of an operation
	OpAPIKeyDelete       = "api-key-delete"
	OpTeamCreate         = "team-create"
	OpTeamList           = "team-list"
	OpTeamGet            = "team-get"
	OpTeamRename         = "team-rename"
	OpTeamDelete         = "team-delete"
	OpTeamLeave          = "team-leave"
	OpTeamBYOC           = "team-byoc"
	OpMemberAdd          = "member-add"
	OpMemberList         = "member-list"
	OpMemberUpdate       = "member-update"
	OpMemberRemove       = "member-remove"
	OpUserSearch         = "user-search"
)

// peopleRoutes are the operations of users, teams and API keys.
func (s *Server) peopleRoutes(gen generation) []route {
	const team = "/v1/teams/{team}"
	all := []route{
		{OpLogin, http.MethodPost, "/v1/auth/login", gen, accessNone, s.login},
		{OpSignup, http.MethodPost, "/v1/auth/signup", gen, accessNone, s.signup},
		{OpSwitchTeam, http.MethodPost, "/v1/auth/switch-team", gen, accessToken, s.switchTeam},
		{OpAPIKeyCreate, http.MethodPost, "/v1/api-keys", gen, accessToken, s.createAPIKey},
		{OpAPIKeyList, http.MethodGet, "/v1/api-keys", gen, accessToken, s.listAPIKeys},
		{OpAPIKeyDelete, http.MethodDelete, "/v1/api-keys/{key}", gen, accessToken, s.deleteAPIKey},
		{OpTeamCreate, http.MethodPost, "/v1/teams", gen, accessToken, s.createTeam},
		{OpTeamList, http.MethodGet, "/v1/teams", gen, accessToken, s.listTeams},
		{OpTeamGet, http.MethodGet, team, gen, accessToken, s.getTeam},
		{OpTeamRename, http.MethodPatch, team, gen, accessToken, s.renameTeam},
		{OpTeamDelete, http.MethodDelete, team, gen, accessToken, s.deleteTeam},
		{OpTeamLeave, http.MethodPost, team + "/leave", gen, accessToken, s.leaveTeam},
		{OpMemberAdd, http.MethodPost, team + "/members", gen, accessToken, s.addTeamMember},
		{OpMemberList, http.MethodGet, team + "/members", gen, accessToken, s.listMembers},
		{OpMemberUpdate, http.MethodPatch, team + "/members/{user}", gen, accessToken, s.updateTeamMember},
		{OpMemberRemove, http.MethodDelete, team + "/members/{user}", gen, accessToken, s.removeTeamMember},
		{OpUserSearch, http.MethodGet, "/v1/users/search", gen, accessToken, s.searchUsers},
		{OpTeamBYOC, http.MethodPut, "/v1/admin/teams/{team}/byoc", gen, accessAdmin, s.setTeamBYOC},
	}
	if s.cfg.Generations != Sandboxes {
		all = append(all, s.accountRoutes()...)
	}
	return all
}

// accountRoutes are what only generation C has.
func (s *Server) accountRoutes() []route {
	return []route{
		{OpActivate, http.MethodPost, "/v1/auth/activate", genC, accessNone, s.activate},
		{OpMeGet, http.MethodGet, "/v1/me", genC, accessToken, s.getMe},
		{OpMeUpdate, http.MethodPatch, "/v1/me", genC, accessToken, s.updateMe},
		{OpMeDelete, http.MethodDelete, "/v1/me", genC, accessToken, s.deleteMe},
		{OpPasswordChange, http.MethodPost, "/v1/me/password", genC, accessToken, s.changePassword},
		{OpPasswordReset, http.MethodPost, "/v1/me/password/reset", genC, accessNone, s.requestPasswordReset},
		{OpPasswordConfirm, http.MethodPost, "/v1/me/password/reset/confirm", genC, accessNone, s.confirmPasswordReset},
		{OpProviderConnect, http.MethodGet, "/v1/me/providers/{provider}/connect", genC, accessToken, s.connectProvider},
		{OpProviderDisconnect, http.MethodDelete, "/v1/me/providers/{provider}", genC, accessToken, s.disconnectProvider},
	}
}
