package wrenn

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	suffix    = "0a1b2c3d4e5f6g7h8i9j0k1l2"
	keyID     = "key-" + suffix
	hostID    = "host-" + suffix
	teamID    = "team-" + suffix
	userID    = "usr-" + suffix
	buildID   = "bld-" + suffix
	channelID = "ch-" + suffix
	auditID   = "log-" + suffix

	atJSON      = `"2026-01-02T03:04:05Z"`
	keyJSON     = `{"id":"` + keyID + `","team_id":"` + teamID + `","name":"ci","key_prefix":"wrn_01","created_by":"` + userID + `","created_at":` + atJSON
	hostJSON    = `{"id":"` + hostID + `","type":"byoc","status":"pending","created_by":"` + userID + `","created_at":` + atJSON + `,"updated_at":` + atJSON + `}`
	teamJSON    = `{"id":"` + teamID + `","name":"A team","slug":"a-team","role":"owner","created_at":` + atJSON + `}`
	memberJSON  = `{"user_id":"` + userID + `","email":"a@b.example","role":"member","joined_at":"0001-01-01T00:00:00Z"}`
	buildJSON   = `{"id":"` + buildID + `","name":"t","base_template":"minimal","recipe":["RUN true"],"vcpus":1,"memory_mb":512,"status":"failed","current_step":1,"total_steps":5,"logs":[{"step":1,"phase":"recipe","cmd":"true","stdout":"a","stderr":"b","exit":2,"elapsed_ms":1500,"ok":false}],"error":"why","created_at":` + atJSON + `}`
	channelJSON = `{"id":"` + channelID + `","team_id":"` + teamID + `","name":"c","provider":"webhook","events":["host.up"],"created_at":` + atJSON + `,"updated_at":` + atJSON
	loginJSON   = `{"token":"` + testJWT + `","user_id":"` + userID + `","team_id":"` + teamID + `","email":"a@b.example","name":"A"}`
	token64     = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

var (
	at          = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	wantKey     = APIKeyInfo{ID: keyID, TeamID: teamID, Name: "ci", KeyPrefix: "wrn_01", CreatedBy: userID, CreatedAt: at}
	wantHost    = Host{ID: hostID, Type: HostBYOC, Status: HostPending, CreatedBy: userID, CreatedAt: at, UpdatedAt: at}
	wantTeam    = Team{ID: teamID, Name: "A team", Slug: "a-team", Role: RoleOwner, CreatedAt: at}
	wantMember  = TeamMember{UserID: userID, Email: "a@b.example", Role: RoleMember}
	wantChannel = Channel{ID: channelID, TeamID: teamID, Name: "c", Provider: ChannelWebhook, Events: []ChannelEvent{EventHostUp}, CreatedAt: at, UpdatedAt: at}
	wantSession = &Session{Token: secretOf(testJWT), UserID: userID, TeamID: teamID, Email: "a@b.example", Name: "A"}
	wantBuild   = Build{
		ID: buildID, Name: "t", BaseTemplate: "minimal", Recipe: []string{"RUN true"}, VCPUs: 1, MemoryMB: 512, Status: BuildFailed,
		CurrentStep: 1, TotalSteps: 5, Error: "why", CreatedAt: at,
		Logs: []BuildLogEntry{{Step: 1, Phase: "recipe", Cmd: "true", Stdout: "a", Stderr: "b", ExitCode: 2, Elapsed: 1500 * time.Millisecond}},
	}
)

// ok makes an operation that answers with nothing.
func ok(name, method, path, body string, call func(context.Context, *Client) error) operation {
	return operation{
		name: name, method: method, path: path, body: body, status: http.StatusNoContent, jwt: true,
		call: func(ctx context.Context, c *Client) (any, error) { return none(call(ctx, c)) },
	}
}

// got makes an operation that answers with something.
func got[T any](name, method, path, body string, status int, answer string, want T, call func(context.Context, *Client) (T, error)) operation {
	return operation{
		name: name, method: method, path: path, body: body, status: status, answer: answer, want: want, jwt: true,
		call: func(ctx context.Context, c *Client) (any, error) { return call(ctx, c) },
	}
}

func (op operation) in(g Generation) operation { op.only = g; return op }

func (op operation) without() operation { op.jwt, op.anonymous = false, true; return op }

var managed = []operation{
	got("create key", "POST", "/v1/api-keys", `{"name":"ci"}`, 201, keyJSON+`,"key":"`+testKey+`"}`,
		&APIKeyInfo{ID: keyID, TeamID: teamID, Name: "ci", KeyPrefix: "wrn_01", CreatedBy: userID, CreatedAt: at, Key: secretOf(testKey)},
		func(ctx context.Context, c *Client) (*APIKeyInfo, error) { return c.APIKeys.Create(ctx, "ci") }),
	got("list keys", "GET", "/v1/api-keys", "", 200, `[`+keyJSON+`}]`, []APIKeyInfo{wantKey},
		func(ctx context.Context, c *Client) ([]APIKeyInfo, error) { return c.APIKeys.List(ctx) }),
	ok("delete key", "DELETE", "/v1/api-keys/"+keyID, "", func(ctx context.Context, c *Client) error { return c.APIKeys.Delete(ctx, keyID) }),

	got("create host", "POST", "/v1/hosts", `{"availability_zone":"z","provider":"p","team_id":"`+teamID+`","type":"byoc"}`, 201,
		`{"host":`+hostJSON+`,"registration_token":"`+token64+`"}`, &HostRegistration{Host: wantHost, Token: secretOf(token64)},
		func(ctx context.Context, c *Client) (*HostRegistration, error) {
			return c.Hosts.Create(ctx, CreateHostRequest{Type: HostBYOC, TeamID: teamID, Provider: "p", AvailabilityZone: "z"})
		}),
	got("list hosts", "GET", "/v1/hosts", "", 200, `[`+hostJSON+`]`, []Host{wantHost},
		func(ctx context.Context, c *Client) ([]Host, error) { return c.Hosts.List(ctx) }),
	got("get host", "GET", "/v1/hosts/"+hostID, "", 200, hostJSON, &wantHost,
		func(ctx context.Context, c *Client) (*Host, error) { return c.Hosts.Get(ctx, hostID) }),
	ok("delete host", "DELETE", "/v1/hosts/"+hostID, "", func(ctx context.Context, c *Client) error { return c.Hosts.Delete(ctx, hostID, false) }),
	ok("force delete host", "DELETE", "/v1/hosts/"+hostID+"?force=true", "", func(ctx context.Context, c *Client) error { return c.Hosts.Delete(ctx, hostID, true) }),
	got("preview deletion", "GET", "/v1/hosts/"+hostID+"/delete-preview", "", 200, `{"host":`+hostJSON+`,"sandbox_ids":null}`,
		&HostDeletePreview{Host: wantHost, SandboxIDs: []string{}},
		func(ctx context.Context, c *Client) (*HostDeletePreview, error) {
			return c.Hosts.DeletePreview(ctx, hostID)
		}),
	got("new token", "POST", "/v1/hosts/"+hostID+"/token", "", 201, `{"host":`+hostJSON+`,"registration_token":"`+token64+`"}`,
		&HostRegistration{Host: wantHost, Token: secretOf(token64)},
		func(ctx context.Context, c *Client) (*HostRegistration, error) {
			return c.Hosts.RegenerateToken(ctx, hostID)
		}),
	got("no tags", "GET", "/v1/hosts/"+hostID+"/tags", "", 200, `null`, []string{},
		func(ctx context.Context, c *Client) ([]string, error) { return c.Hosts.ListTags(ctx, hostID) }),
	got("tags", "GET", "/v1/hosts/"+hostID+"/tags", "", 200, `["a"]`, []string{"a"},
		func(ctx context.Context, c *Client) ([]string, error) { return c.Hosts.ListTags(ctx, hostID) }),
	ok("add tag", "POST", "/v1/hosts/"+hostID+"/tags", `{"tag":"a b"}`, func(ctx context.Context, c *Client) error { return c.Hosts.AddTag(ctx, hostID, "a b") }),
	ok("remove tag", "DELETE", "/v1/hosts/"+hostID+"/tags/a%20b%25%3Fx", "", func(ctx context.Context, c *Client) error { return c.Hosts.RemoveTag(ctx, hostID, "a b%?x") }),

	got("list teams", "GET", "/v1/teams", "", 200, `[`+teamJSON+`]`, []Team{wantTeam},
		func(ctx context.Context, c *Client) ([]Team, error) { return c.Teams.List(ctx) }),
	got("create team", "POST", "/v1/teams", `{"name":"A team"}`, 201, teamJSON, &wantTeam,
		func(ctx context.Context, c *Client) (*Team, error) { return c.Teams.Create(ctx, "A team") }),
	got("get team", "GET", "/v1/teams/"+teamID, "", 200, `{"team":`+teamJSON+`,"members":[`+memberJSON+`]}`,
		&TeamDetail{Team: wantTeam, Members: []TeamMember{wantMember}},
		func(ctx context.Context, c *Client) (*TeamDetail, error) { return c.Teams.Get(ctx, teamID) }),
	ok("rename team", "PATCH", "/v1/teams/"+teamID, `{"name":"B"}`, func(ctx context.Context, c *Client) error { return c.Teams.Rename(ctx, teamID, "B") }),
	ok("delete team", "DELETE", "/v1/teams/"+teamID, "", func(ctx context.Context, c *Client) error { return c.Teams.Delete(ctx, teamID) }),
	ok("leave team", "POST", "/v1/teams/"+teamID+"/leave", "", func(ctx context.Context, c *Client) error { return c.Teams.Leave(ctx, teamID) }),
	got("list members", "GET", "/v1/teams/"+teamID+"/members", "", 200, `[`+memberJSON+`]`, []TeamMember{wantMember},
		func(ctx context.Context, c *Client) ([]TeamMember, error) { return c.Teams.ListMembers(ctx, teamID) }),
	got("add member", "POST", "/v1/teams/"+teamID+"/members", `{"email":"a@b.example"}`, 201, memberJSON, &wantMember,
		func(ctx context.Context, c *Client) (*TeamMember, error) {
			return c.Teams.AddMember(ctx, teamID, "a@b.example")
		}),
	ok("update role", "PATCH", "/v1/teams/"+teamID+"/members/"+userID, `{"role":"admin"}`,
		func(ctx context.Context, c *Client) error {
			return c.Teams.UpdateMemberRole(ctx, teamID, userID, RoleAdmin)
		}),
	ok("remove member", "DELETE", "/v1/teams/"+teamID+"/members/"+userID, "",
		func(ctx context.Context, c *Client) error { return c.Teams.RemoveMember(ctx, teamID, userID) }),

	got("audit page", "GET", "/v1/audit-logs?action=create&action=pause&before=2026-01-02T03%3A04%3A05Z&before_id="+auditID+"&limit=7&resource_type=sandbox", "", 200,
		`{"items":[{"id":"`+auditID+`","actor_type":"user","actor_id":"`+userID+`","resource_type":"sandbox","action":"create","scope":"team","status":"success","metadata":{"n":1},"created_at":`+atJSON+`}],"next_before":`+atJSON+`,"next_before_id":"`+auditID+`"}`,
		&AuditPage{NextBefore: at, NextBeforeID: auditID, Entries: []AuditEntry{{
			ID: auditID, ActorType: "user", ActorID: userID, ResourceType: "sandbox", Action: "create", Scope: "team", Status: "success",
			Metadata: map[string]any{"n": 1.0}, CreatedAt: at,
		}}}, func(ctx context.Context, c *Client) (*AuditPage, error) {
			return c.Audit.Page(ctx, AuditQuery{ResourceTypes: []string{"sandbox"}, Actions: []string{"create", "pause"}, Before: at, BeforeID: auditID, PageSize: 7})
		}),

	got("create build", "POST", "/v1/admin/builds", `{"name":"t","recipe":["RUN true"],"skip_pre_post":true}`, 201, buildJSON, &wantBuild,
		func(ctx context.Context, c *Client) (*Build, error) {
			return c.Builds.Create(ctx, CreateBuildRequest{Name: "t", Recipe: []string{"RUN true"}, SkipPrePost: true})
		}),
	got("list builds", "GET", "/v1/admin/builds", "", 200, `[`+buildJSON+`]`, []Build{wantBuild},
		func(ctx context.Context, c *Client) ([]Build, error) { return c.Builds.List(ctx) }),
	got("get build", "GET", "/v1/admin/builds/"+buildID, "", 200, buildJSON, &wantBuild,
		func(ctx context.Context, c *Client) (*Build, error) { return c.Builds.Get(ctx, buildID) }),
	ok("cancel build", "POST", "/v1/admin/builds/"+buildID+"/cancel", "", func(ctx context.Context, c *Client) error { return c.Builds.Cancel(ctx, buildID) }),

	ok("set byoc", "PUT", "/v1/admin/teams/"+teamID+"/byoc", `{"enabled":true}`, func(ctx context.Context, c *Client) error { return c.Admin.SetTeamBYOC(ctx, teamID, true) }),
	got("list templates", "GET", "/v1/admin/templates", "", 200,
		`[{"name":"minimal","type":"base","vcpus":1,"memory_mb":512,"size_bytes":3,"team_id":"`+teamID+`","created_at":`+atJSON+`}]`,
		[]AdminTemplate{{Name: "minimal", Type: "base", VCPUs: 1, MemoryMB: 512, SizeBytes: 3, TeamID: teamID, CreatedAt: at}},
		func(ctx context.Context, c *Client) ([]AdminTemplate, error) { return c.Admin.ListTemplates(ctx) }),
	ok("delete template", "DELETE", "/v1/admin/templates/t", "", func(ctx context.Context, c *Client) error { return c.Admin.DeleteTemplate(ctx, "t") }),

	got("create channel", "POST", "/v1/channels", `{"config":{"url":"https://x.example"},"events":["host.up"],"name":"c","provider":"webhook"}`, 201,
		channelJSON+`,"secret":"s"}`, &Channel{
			ID: channelID, TeamID: teamID, Name: "c", Provider: ChannelWebhook, Events: []ChannelEvent{EventHostUp}, CreatedAt: at, UpdatedAt: at,
			Secret: secretOf("s"),
		}, func(ctx context.Context, c *Client) (*Channel, error) {
			return c.Channels.Create(ctx, CreateChannelRequest{
				Name: "c", Provider: ChannelWebhook, Config: map[string]string{"url": "https://x.example"}, Events: []ChannelEvent{EventHostUp},
			})
		}),
	got("list channels", "GET", "/v1/channels", "", 200, `[`+channelJSON+`}]`, []Channel{wantChannel},
		func(ctx context.Context, c *Client) ([]Channel, error) { return c.Channels.List(ctx) }),
	got("get channel", "GET", "/v1/channels/"+channelID, "", 200, channelJSON+`}`, &wantChannel,
		func(ctx context.Context, c *Client) (*Channel, error) { return c.Channels.Get(ctx, channelID) }),
	got("update channel", "PATCH", "/v1/channels/"+channelID, `{"events":[],"name":"c"}`, 200, channelJSON+`}`, &wantChannel,
		func(ctx context.Context, c *Client) (*Channel, error) {
			return c.Channels.Update(ctx, channelID, "c", nil)
		}),
	got("rotate config", "PUT", "/v1/channels/"+channelID+"/config", `{"config":{}}`, 200, channelJSON+`}`, &wantChannel,
		func(ctx context.Context, c *Client) (*Channel, error) {
			return c.Channels.RotateConfig(ctx, channelID, nil)
		}),
	ok("delete channel", "DELETE", "/v1/channels/"+channelID, "", func(ctx context.Context, c *Client) error { return c.Channels.Delete(ctx, channelID) }),
	{
		name: "test channel", jwt: true, method: "POST", path: "/v1/channels/test", status: 200, answer: `{"status":"ok"}`,
		body: `{"config":{"url":"u"},"provider":"slack"}`,
		call: func(ctx context.Context, c *Client) (any, error) {
			return none(c.Channels.Test(ctx, ChannelSlack, map[string]string{"url": "u"}))
		},
	},

	got("search users", "GET", "/v1/users/search?email=a%40b", "", 200, `[{"user_id":"`+userID+`","email":"a@b.example"}]`,
		[]User{{ID: userID, Email: "a@b.example"}}, func(ctx context.Context, c *Client) ([]User, error) { return c.Users.Search(ctx, "a@b") }),

	got("log in", "POST", "/v1/auth/login", `{"email":"a@b.example","password":"secret-word"}`, 200, loginJSON, wantSession,
		func(ctx context.Context, c *Client) (*Session, error) {
			return c.Auth.Login(ctx, "a@b.example", "secret-word")
		}).without(),
	got("sign up, S", "POST", "/v1/auth/signup", `{"email":"a@b.example","name":"A","password":"secret-word"}`, 201, loginJSON,
		&Signup{Session: wantSession}, func(ctx context.Context, c *Client) (*Signup, error) {
			return c.Auth.Signup(ctx, SignupRequest{Email: "a@b.example", Name: "A", Password: "secret-word"})
		}).in(GenerationSandboxes).without(),
	got("sign up, C", "POST", "/v1/auth/signup", `{"email":"a@b.example","name":"A","password":"secret-word"}`, 201, `{"message":"mail"}`,
		&Signup{Message: "mail"}, func(ctx context.Context, c *Client) (*Signup, error) {
			return c.Auth.Signup(ctx, SignupRequest{Email: "a@b.example", Name: "A", Password: "secret-word"})
		}).in(GenerationCapsules).without(),
	got("activate", "POST", "/v1/auth/activate", `{"token":"t"}`, 200, loginJSON, wantSession,
		func(ctx context.Context, c *Client) (*Session, error) { return c.Auth.Activate(ctx, "t") }).in(GenerationCapsules).without(),
	got("switch team", "POST", "/v1/auth/switch-team", `{"team_id":"`+teamID+`"}`, 200, loginJSON, wantSession,
		func(ctx context.Context, c *Client) (*Session, error) { return c.Auth.SwitchTeam(ctx, teamID) }),

	got("me", "GET", "/v1/me", "", 200, `{"name":"A","email":"a@b.example","has_password":true,"providers":null}`,
		&Account{Name: "A", Email: "a@b.example", HasPassword: true, Providers: []string{}},
		func(ctx context.Context, c *Client) (*Account, error) { return c.Auth.Me(ctx) }).in(GenerationCapsules),
	ok("update name", "PATCH", "/v1/me", `{"name":"B"}`, func(ctx context.Context, c *Client) error { return c.Auth.UpdateName(ctx, "B") }).in(GenerationCapsules),
	ok("delete account", "DELETE", "/v1/me", `{"confirmation":"a@b.example"}`,
		func(ctx context.Context, c *Client) error { return c.Auth.DeleteAccount(ctx, "a@b.example") }).in(GenerationCapsules),
	ok("change password", "POST", "/v1/me/password", `{"confirm_password":"new-secret","current_password":"old","new_password":"new-secret"}`,
		func(ctx context.Context, c *Client) error {
			return c.Auth.ChangePassword(ctx, PasswordChange{Current: "old", New: "new-secret"})
		}).in(GenerationCapsules),
	ok("request reset", "POST", "/v1/me/password/reset", `{"email":"a@b.example"}`,
		func(ctx context.Context, c *Client) error { return c.Auth.RequestPasswordReset(ctx, "a@b.example") }).in(GenerationCapsules).without(),
	ok("confirm reset", "POST", "/v1/me/password/reset/confirm", `{"new_password":"new-secret","token":"t"}`,
		func(ctx context.Context, c *Client) error { return c.Auth.ConfirmPasswordReset(ctx, "t", "new-secret") }).in(GenerationCapsules).without(),
	got("connect provider", "GET", "/v1/me/providers/github/connect", "", 200, `{"auth_url":"https://x.example"}`, "https://x.example",
		func(ctx context.Context, c *Client) (string, error) { return c.Auth.ConnectProvider(ctx, "github") }).in(GenerationCapsules),
	ok("disconnect provider", "DELETE", "/v1/me/providers/github", "",
		func(ctx context.Context, c *Client) error { return c.Auth.DisconnectProvider(ctx, "github") }).in(GenerationCapsules),
	got("health", "GET", "/health", "", 200, `{"status":"ok","version":"dev"}`, &Health{Status: "ok", Version: "dev"},
		func(ctx context.Context, c *Client) (*Health, error) { return c.Health(ctx) }).in(GenerationCapsules).without(),
}

func TestTokenOperationsRefuseOtherCredentials(t *testing.T) {
	for kind, cred := range map[string]Credential{"key": testCredential(t), "none": {}} {
		for _, op := range managed {
			if op.anonymous {
				continue
			}
			t.Run(kind+"/"+op.name, func(t *testing.T) {
				c := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s %s", r.Method, r.URL) }, WithGeneration(GenerationCapsules))
				c.cred = cred
				_, err := op.call(t.Context(), c)
				if e := asError(t, err); !errors.Is(e, ErrUnauthenticated) || e.Ambiguous || IsRefusal(e) {
					t.Fatalf("error is %+v", e)
				}
			})
		}
	}
}

func TestOperationsOfOneGenerationAreUnsupportedInTheOther(t *testing.T) {
	for _, op := range slices.Concat(managed, capsuleOnly) {
		if op.only != GenerationCapsules || strings.HasPrefix(op.name, "sign up") {
			continue
		}
		t.Run(op.name, func(t *testing.T) {
			c := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s %s", r.Method, r.URL) })
			if op.jwt {
				c.cred = testToken(t)
			}
			_, err := op.call(t.Context(), c)
			if e := asError(t, err); !errors.Is(e, ErrUnsupported) || e.Ambiguous || IsRefusal(e) {
				t.Fatalf("error is %+v", e)
			}
		})
	}
}

func TestSecretsOfARequestShowInNoError(t *testing.T) {
	for _, tc := range managed {
		for _, secret := range []string{"secret-word", "new-secret", "https://x.example"} {
			if !strings.Contains(tc.body, secret) {
				continue
			}
			t.Run(tc.name, func(t *testing.T) {
				c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("X-Request-Id", secret)
					answer(w, 400, `{"error":{"code":"invalid_request","message":"what is `+secret+`?"}}`)
				}, WithGeneration(GenerationCapsules))
				if tc.jwt {
					c.cred = testToken(t)
				}
				_, err := tc.call(t.Context(), c)
				if e := asError(t, err); !IsInvalidRequest(e) || strings.Contains(e.Error()+e.RequestID, secret) {
					t.Fatalf("error is %+v", e)
				}
			})
		}
	}
}

func TestManagementIsNotSentTwiceAndMayHaveHappened(t *testing.T) {
	for _, op := range managed {
		t.Run(op.name, func(t *testing.T) {
			sent := 0
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { sent++; refuse(w, 503, CodeHostUnavailable) }, WithGeneration(GenerationCapsules))
			if op.jwt {
				c.cred = testToken(t)
			}
			_, err := op.call(t.Context(), c)
			want := 1
			if op.method == http.MethodGet || op.method == http.MethodDelete {
				want = maxAttempts
			}
			if e := asError(t, err); sent != want || e.Ambiguous != (op.method != http.MethodGet) || !IsUnavailable(e) {
				t.Fatalf("sent %d times, error is %+v", sent, e)
			}
		})
	}
}

func TestManagementRefusesLyingAnswers(t *testing.T) {
	other := strings.NewReplacer(suffix, strings.Repeat("0", 25))
	for _, op := range managed {
		if op.want == nil {
			continue
		}
		lies := map[string]string{"HTML": "<html>", "another type": `"x"`, "nothing": ""}
		// Only what is asked for by an id can be told from something else; lists and tags can be anything.
		if op.method == http.MethodGet && strings.Contains(op.path, suffix) && !strings.Contains(op.path, "tags") && !strings.Contains(op.path, "members") && !strings.Contains(op.path, "audit") {
			lies["something else"] = other.Replace(op.answer)
		}
		for name, lie := range lies {
			t.Run(op.name+"/"+name, func(t *testing.T) {
				c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, op.status, lie) }, WithGeneration(GenerationCapsules))
				if op.jwt {
					c.cred = testToken(t)
				}
				_, err := op.call(t.Context(), c)
				if e := asError(t, err); !errors.Is(e, ErrInvalidResponse) || e.Ambiguous != (op.method != http.MethodGet) {
					t.Fatalf("error is %+v", e)
				}
			})
		}
	}
}

func TestHostInTheWay(t *testing.T) {
	for _, code := range []Code{CodeHasActiveSandboxes, CodeHostHasSandboxes} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 409, `{"error":{"code":"`+string(code)+`","message":"m","sandbox_ids":["`+testID+`"]}}`)
		})
		c.cred = testToken(t)
		e := asError(t, c.Hosts.Delete(t.Context(), hostID, false))
		if diff := cmp.Diff([]string{testID}, e.SandboxIDs); !HasActiveSandboxes(e) || diff != "" {
			t.Errorf("error is %+v", e)
		}
	}
}

// Servers differ in how they answer a change of the name.
func TestUpdateNameTakesEitherAnswer(t *testing.T) {
	for name, status := range map[string]int{"nothing": http.StatusNoContent, "a token": http.StatusOK} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, status, loginJSON) }, WithGeneration(GenerationCapsules))
			c.cred = testToken(t)
			if err := c.Auth.UpdateName(t.Context(), "B"); err != nil {
				t.Fatal(err)
			}
		})
	}
}
