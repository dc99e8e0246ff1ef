package main

import (
	"context"
	"errors"
	"strings"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// teamName is a name as teams have it.
func teamName(name string) string { return strings.ReplaceAll(name, "-", " ") }

// sweep looks for what this run has made and not removed, such as a sandbox whose create was never answered, and removes
// it. Each check has cleared up after itself by then.
func sweep(p *probe) {
	found, errs := 0, []error{}
	for _, pass := range []func(*probe) (int, error){sweepSandboxes, sweepSnapshots, sweepTeams, sweepTemplates} {
		n, err := pass(p)
		found += n
		errs = append(errs, err)
	}
	p.ok(errors.Join(errs...))
	if found > 0 {
		p.note("removed %d things that checks had left", found)
	}
}

// each applies remove to what is ours.
func each[T any](ctx context.Context, all []T, err error, ours func(T) bool, remove func(context.Context, T) error) (int, error) {
	n, errs := 0, []error{err}
	for _, v := range all {
		if ours(v) {
			n++
			errs = append(errs, remove(ctx, v))
		}
	}
	return n, errors.Join(errs...)
}

func sweepSandboxes(p *probe) (int, error) {
	all, err := p.c.Sandboxes.List(p.ctx)
	return each(p.ctx, all, err, p.made, func(ctx context.Context, s wrenn.Sandbox) error { return p.c.Sandboxes.Destroy(ctx, s.ID) })
}

func sweepSnapshots(p *probe) (int, error) {
	all, err := p.c.Snapshots.List(p.ctx)
	return each(p.ctx, all, err, func(s wrenn.Snapshot) bool { return !s.Platform && strings.HasPrefix(s.Name, p.prefix) },
		func(ctx context.Context, s wrenn.Snapshot) error { return p.c.Snapshots.Delete(ctx, s.Name) })
}

// sweepTeams removes the teams of checks, and with them what is in them.
func sweepTeams(p *probe) (int, error) {
	if p.user == nil {
		return 0, nil
	}
	all, err := p.user.Teams.List(p.ctx)
	if wrenn.IsUnauthorized(err) {
		return 0, nil // The token was never good for anything, so nothing was made with it.
	}
	return each(p.ctx, all, err, func(t wrenn.Team) bool { return strings.HasPrefix(t.Name, teamName(p.prefix)) },
		func(ctx context.Context, t wrenn.Team) error { return p.deleteTeam(ctx, t.ID) })
}

func sweepTemplates(p *probe) (int, error) {
	if p.user == nil || !p.isAdmin() {
		return 0, nil
	}
	all, err := p.user.Admin.ListTemplates(p.ctx)
	if wrenn.IsUnauthorized(err) || wrenn.IsForbidden(err) {
		return 0, nil
	}
	return each(p.ctx, all, err, func(t wrenn.AdminTemplate) bool { return strings.HasPrefix(t.Name, p.prefix) },
		func(ctx context.Context, t wrenn.AdminTemplate) error {
			return p.user.Admin.DeleteTemplate(ctx, t.Name)
		})
}
