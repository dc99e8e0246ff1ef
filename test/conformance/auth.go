package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var authChecks = []check{
	{name: "login", login: true, run: login},
	{name: "login-refusals", run: loginRefusals},
	{name: "signup", disposable: true, run: signup},
	{name: "signup-refusals", token: true, run: signupRefusals},
	{name: "activate", only: wrenn.GenerationCapsules, account: true, run: activate},
	{name: "invalid_token", only: wrenn.GenerationCapsules, run: invalidToken},
	{name: "getMe", only: wrenn.GenerationCapsules, token: true, run: getMe},
	{name: "updateMe", only: wrenn.GenerationCapsules, token: true, run: updateMe},
	{name: "changePassword", only: wrenn.GenerationCapsules, account: true, run: changePassword},
	{name: "wrong_password", only: wrenn.GenerationCapsules, token: true, run: wrongPassword},
	{name: "requestPasswordReset", only: wrenn.GenerationCapsules, run: requestPasswordReset},
	{name: "confirmPasswordReset", only: wrenn.GenerationCapsules, account: true, run: confirmPasswordReset},
	{name: "connectProvider", only: wrenn.GenerationCapsules, token: true, run: connectProvider},
	{name: "disconnectProvider", only: wrenn.GenerationCapsules, account: true, run: disconnectProvider},
	{name: "provider_not_found", only: wrenn.GenerationCapsules, token: true, run: unknownProvider},
	{name: "deleteMe", only: wrenn.GenerationCapsules, account: true, run: deleteMe},
	{name: "owns_team_with_members", only: wrenn.GenerationCapsules, token: true, account: true, second: true, run: ownsTeam},
}

// opens fails the check unless a token opens the user's teams.
func (p *probe) opens(session *wrenn.Session) {
	c, err := p.withToken(session.Token.Reveal())
	p.ok(err)
	p.want(len(p.teams(c)) > 0, "the token's user is in no team")
}

func login(p *probe) {
	got, err := p.c.Auth.Login(p.ctx, p.email, p.password)
	p.ok(err)
	p.want(strings.EqualFold(got.Email, p.email) && got.UserID != "" && got.TeamID != "", "the answer is for %s", got.Email)
	p.opens(got)
}

func loginRefusals(p *probe) {
	password := randomHex(8)
	_, err := p.c.Auth.Login(p.ctx, p.name()+"@example.com", password)
	p.refused(err, "an unknown address", wrenn.CodeUnauthorized)
	p.want(!strings.Contains(err.Error(), password), "the error shows the password")
	a := p.raw(request{method: "POST", path: "/v1/auth/login", body: strings.NewReader(`{"email":"a@example.com"}`)})
	p.turnedAway(a, "no password", 400, wrenn.CodeInvalidRequest)
}

// signup: generation Sandboxes lets the user in at once, generation Capsules sends a mail first.
func signup(p *probe) {
	req := wrenn.SignupRequest{Email: p.name() + "@example.com", Name: "Conformance", Password: randomHex(8)}
	got, err := p.c.Auth.Signup(p.ctx, req)
	p.ok(err)
	_, again := p.c.Auth.Signup(p.ctx, req)
	if p.generation == wrenn.GenerationSandboxes {
		p.want(got.Session != nil && got.Session.Email == req.Email, "the answer has no token")
		p.opens(got.Session)
		p.refused(again, "signing up again", wrenn.CodeEmailTaken)
		return
	}
	p.want(got.Session == nil && got.Message != "", "the answer has a token, or no message")
	p.refused(again, "signing up again", wrenn.CodeSignupCooldown)
	_, err = p.c.Auth.Login(p.ctx, req.Email, req.Password)
	p.refused(err, "a login before the activation", wrenn.CodeNotActivated)
	p.want(wrenn.IsNotActivated(err), "the client does not see that it is not activated")
}

func signupRefusals(p *probe) {
	_, err := p.c.Auth.Signup(p.ctx, wrenn.SignupRequest{Email: p.newCrew().session.Email, Name: "Conformance", Password: randomHex(8)})
	p.refused(err, "the address of another user", wrenn.CodeEmailTaken)
	p.want(wrenn.IsEmailTaken(err), "the client does not see that the address is taken")
	address := `"email":"` + p.name() + `@example.com"`
	for what, body := range map[string]string{
		"a short password": `{` + address + `,"name":"x","password":"1234567"}`, "no address": `{"name":"x","password":"12345678"}`,
		"no name":     `{` + address + `,"password":"12345678"}`,
		"a long name": `{` + address + `,"password":"12345678","name":"` + strings.Repeat("x", 101) + `"}`,
	} {
		a := p.raw(request{method: "POST", path: "/v1/auth/signup", body: strings.NewReader(body)})
		p.turnedAway(a, what, 400, wrenn.CodeInvalidRequest)
	}
}

// activate: the token of the mail is good once.
func activate(p *probe) {
	who := p.newcomer()
	p.want(len(p.teams(who.Client)) > 0, "the new user is in no team")
	_, err := p.c.Auth.Activate(p.ctx, p.mail(who.email))
	p.refused(err, "activating again", wrenn.CodeInvalidToken, wrenn.CodeAlreadyActivated)
	session, err := p.c.Auth.Login(p.ctx, who.email, who.password)
	p.ok(err)
	p.want(session.UserID == who.id, "the login is for another user")
}

func invalidToken(p *probe) {
	_, err := p.c.Auth.Activate(p.ctx, randomHex(16))
	p.refused(err, "activating with no token of a mail", wrenn.CodeInvalidToken)
	p.want(wrenn.IsInvalidToken(err), "the client does not see that the token is none")
	err = p.c.Auth.ConfirmPasswordReset(p.ctx, randomHex(16), randomHex(8))
	p.refused(err, "setting a password with no token of a mail", wrenn.CodeInvalidToken)
}

func getMe(p *probe) {
	got, err := p.user.Auth.Me(p.ctx)
	p.ok(err)
	p.want(got.Email == p.newCrew().session.Email && got.Name != "", "the user is %s", got.Email)
	a := p.send("GET", "/v1/me", "")
	p.turnedAway(a, "an API key", 401, wrenn.CodeUnauthorized)
}

// updateMe gives the user back the name.
func updateMe(p *probe) {
	before, err := p.user.Auth.Me(p.ctx)
	p.ok(err)
	p.later(func(ctx context.Context) error { return p.user.Auth.UpdateName(ctx, before.Name) })
	name := p.name()
	p.ok(p.user.Auth.UpdateName(p.ctx, name))
	got, err := p.user.Auth.Me(p.ctx)
	p.ok(err)
	p.want(got.Name == name, "the name is %q, want %q", got.Name, name)
	a := p.raw(request{method: http.MethodPatch, path: "/v1/me", header: p.withBearer(), body: strings.NewReader(`{"name":""}`)})
	p.turnedAway(a, "no name", 400, wrenn.CodeInvalidRequest)
}

func changePassword(p *probe) {
	who, next := p.newcomer(), randomHex(16)
	err := who.Auth.ChangePassword(p.ctx, wrenn.PasswordChange{Current: next, New: next})
	p.refused(err, "another current password", wrenn.CodeWrongPassword)
	p.ok(who.Auth.ChangePassword(p.ctx, wrenn.PasswordChange{Current: who.password, New: next}))
	_, err = p.c.Auth.Login(p.ctx, who.email, next)
	p.ok(err)
	_, err = p.c.Auth.Login(p.ctx, who.email, who.password)
	p.refused(err, "a login with the old password", wrenn.CodeUnauthorized)
}

func wrongPassword(p *probe) {
	me, err := p.user.Auth.Me(p.ctx)
	p.ok(err)
	if !me.HasPassword {
		p.skip("the token's user has no password")
	}
	err = p.user.Auth.ChangePassword(p.ctx, wrenn.PasswordChange{Current: randomHex(16), New: randomHex(16)})
	p.refused(err, "another current password", wrenn.CodeWrongPassword)
	p.want(wrenn.IsWrongPassword(err), "the client does not see that the password is another")
}

// requestPasswordReset: who has an account is not told.
func requestPasswordReset(p *probe) {
	p.ok(p.c.Auth.RequestPasswordReset(p.ctx, p.name()+"@example.com"))
}

func confirmPasswordReset(p *probe) {
	who, next := p.newcomer(), randomHex(16)
	p.ok(p.c.Auth.RequestPasswordReset(p.ctx, who.email))
	token := p.mail(who.email)
	p.ok(p.c.Auth.ConfirmPasswordReset(p.ctx, token, next))
	_, err := p.c.Auth.Login(p.ctx, who.email, next)
	p.ok(err)
	p.refused(p.c.Auth.ConfirmPasswordReset(p.ctx, token, next), "using the token again", wrenn.CodeInvalidToken)
}

// provider is the one that deployments have, if any.
const provider = "github"

func connectProvider(p *probe) {
	url, err := p.user.Auth.ConnectProvider(p.ctx, provider)
	var e *wrenn.Error
	if errors.As(err, &e) && e.Code == wrenn.CodeProviderNotFound {
		p.skip("the server has no provider %s", provider)
	}
	p.ok(err)
	p.want(strings.HasPrefix(url, "http"), "the URL is %q", url)
}

func disconnectProvider(p *probe) {
	if p.agree == nil {
		p.skip("a provider is connected in a browser")
	}
	who := p.newcomer()
	p.refused(who.Auth.DisconnectProvider(p.ctx, provider), "one that is not connected", wrenn.CodeNotFound)
	url, err := who.Auth.ConnectProvider(p.ctx, provider)
	p.ok(err)
	p.ok(p.agree(p.ctx, url))
	me, err := who.Auth.Me(p.ctx)
	p.ok(err)
	p.want(slices.Equal(me.Providers, []string{provider}), "the providers are %q", me.Providers)
	p.ok(who.Auth.DisconnectProvider(p.ctx, provider))
	me, err = who.Auth.Me(p.ctx)
	p.ok(err)
	p.want(len(me.Providers) == 0, "the providers are %q", me.Providers)
}

func unknownProvider(p *probe) {
	_, err := p.user.Auth.ConnectProvider(p.ctx, "conformance")
	p.refused(err, "an unknown provider", wrenn.CodeProviderNotFound)
}

// deleteMe: the token of a user who is gone opens nothing any more.
func deleteMe(p *probe) {
	who := p.newcomer()
	p.refused(who.Auth.DeleteAccount(p.ctx, "not-"+who.email), "another address", wrenn.CodeInvalidRequest)
	p.ok(who.Auth.DeleteAccount(p.ctx, who.email))
	_, err := p.c.Auth.Login(p.ctx, who.email, who.password)
	p.refused(err, "a login of a deleted user", wrenn.CodeUnauthorized, wrenn.CodeAccountDisabled, wrenn.CodeAccountDeactivated)
	_, err = who.Auth.Me(p.ctx)
	p.refused(err, "the token of a deleted user", wrenn.CodeAccountDeactivated, wrenn.CodeUnauthorized)
}

func ownsTeam(p *probe) {
	who := p.newcomer()
	own := p.teams(who.Client)[0]
	c := p.as(who.Client, own.ID)
	p.join(c, p.otherPerson())
	err := who.Auth.DeleteAccount(p.ctx, who.email)
	p.refused(err, "deleting the owner of a team with members", wrenn.CodeOwnsTeam)
	p.ok(c.Teams.RemoveMember(p.ctx, c.id, p.otherPerson().id))
	p.ok(who.Auth.DeleteAccount(p.ctx, who.email))
}
