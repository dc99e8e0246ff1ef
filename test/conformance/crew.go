package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// crew is a team of one check alone, and a client with the token of its owner. What is in it is nobody else's.
type crew struct {
	*wrenn.Client

	id      string
	session *wrenn.Session
}

// newCrew makes a team and has it deleted when the check is over, with all that is in it.
func (p *probe) newCrew() *crew {
	ctx, cancel := p.steady()
	defer cancel()
	team, err := p.user.Teams.Create(ctx, teamName(p.name()))
	p.ok(err)
	p.later(func(ctx context.Context) error { return p.deleteTeam(ctx, team.ID) })
	return p.as(p.user, team.ID)
}

// as switches a user to a team.
func (p *probe) as(user *wrenn.Client, team string) *crew {
	session, err := user.Auth.SwitchTeam(p.ctx, team)
	p.ok(err)
	c, err := p.withToken(session.Token.Reveal())
	p.ok(err)
	return &crew{Client: c, id: team, session: session}
}

// byHand sends a body of JSON with the token of the team; an empty one is none.
func (p *probe) byHand(c *crew, method, path, body string) answer {
	r := request{method: method, path: path, header: http.Header{"Authorization": {"Bearer " + c.session.Token.Reveal()}}}
	if body != "" {
		r.body = strings.NewReader(body)
	}
	return p.raw(r)
}

// deleteTeam deletes a team of the user, unless that has happened.
func (s *suite) deleteTeam(ctx context.Context, id string) error {
	teams, err := s.user.Teams.List(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(teams, func(t wrenn.Team) bool { return t.ID == id }) {
		return nil
	}
	session, err := s.user.Auth.SwitchTeam(ctx, id)
	if err != nil {
		return err
	}
	c, err := s.withToken(session.Token.Reveal())
	if err != nil {
		return err
	}
	return c.Teams.Delete(ctx, id)
}

// person is a user besides the one of the token.
type person struct {
	*wrenn.Client

	id, email, name, password string
}

// canEnlist tells whether a new account can be made and used: in generation Capsules that takes a mail.
func (s *suite) canEnlist() bool {
	return s.disposable && (s.generation == wrenn.GenerationSandboxes || s.mail != nil)
}

// enlist makes an account, which nothing deletes.
func (s *suite) enlist(ctx context.Context) (*person, error) {
	name := s.name()
	who := &person{email: name + "@example.com", name: name, password: randomHex(16)}
	signup, err := s.c.Auth.Signup(ctx, wrenn.SignupRequest{Email: who.email, Name: who.name, Password: who.password})
	if err != nil {
		return nil, err
	}
	session := signup.Session
	if session == nil {
		if session, err = s.c.Auth.Activate(ctx, s.mail(who.email)); err != nil {
			return nil, err
		}
	}
	who.id = session.UserID
	who.Client, err = s.withToken(session.Token.Reveal())
	return who, err
}

// newcomer is an account of this check alone.
func (p *probe) newcomer() *person {
	who, err := p.enlist(p.ctx)
	p.ok(err)
	return who
}

// other is the other user, the same for all checks: the one of the second token, or else an account that is made.
func (s *suite) otherUser(ctx context.Context) func() (*person, error) {
	return sync.OnceValues(func() (*person, error) {
		if s.second == "" {
			return s.enlist(ctx)
		}
		c, err := s.withToken(s.second)
		if err != nil {
			return nil, err
		}
		teams, err := c.Teams.List(ctx)
		if err != nil {
			return nil, err
		}
		if len(teams) == 0 {
			return nil, errors.New("the user of the second token is in no team")
		}
		// Which user it is tells an answer that has a token.
		session, err := c.Auth.SwitchTeam(ctx, teams[0].ID)
		if err != nil {
			return nil, err
		}
		return &person{Client: c, id: session.UserID, email: session.Email, name: session.Name}, nil
	})
}

// second is the other user.
func (p *probe) otherPerson() *person {
	who, err := p.other()
	p.ok(err)
	return who
}
