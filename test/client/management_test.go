package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

func auth(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	session, err := c.Auth.Login(ctx, os.Getenv("WRENN_EMAIL"), os.Getenv("WRENN_PASSWORD"))
	if err != nil {
		return err
	}
	token, err := session.Credential()
	if err != nil {
		return err
	}
	user, err := wrenn.New(os.Getenv(wrenn.EnvBaseURL), token)
	if err != nil {
		return err
	}
	defer user.CloseIdleConnections()
	detail, err := user.Teams.Get(ctx, session.TeamID)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, detail.Members[0].Email)
	return nil
}

func apiKeys(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	created, err := c.APIKeys.Create(ctx, "ci")
	if err != nil {
		return err
	}
	key, err := wrenn.APIKey(created.Key.Reveal()) // It is told this once.
	if err != nil {
		return err
	}
	ci, err := wrenn.New(os.Getenv(wrenn.EnvBaseURL), key)
	if err != nil {
		return err
	}
	defer ci.CloseIdleConnections()
	if _, err := ci.Sandboxes.List(ctx); err == nil {
		fmt.Fprintln(out, "The new key works.")
	}
	return errors.Join(err, c.APIKeys.Delete(ctx, created.ID))
}

func teams(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	team, err := c.Teams.Create(ctx, "Research")
	if err != nil {
		return err
	}
	session, err := c.Auth.SwitchTeam(ctx, team.ID) // A token is for one team.
	if err != nil {
		return err
	}
	token, err := session.Credential()
	if err != nil {
		return err
	}
	research, err := wrenn.New(os.Getenv(wrenn.EnvBaseURL), token)
	if err != nil {
		return err
	}
	defer research.CloseIdleConnections()
	members, err := research.Teams.ListMembers(ctx, team.ID)
	fmt.Fprintf(out, "%s: %d member\n", team.Name, len(members))
	return errors.Join(err, research.Teams.Delete(ctx, team.ID))
}

func users(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	found, err := c.Users.Search(ctx, "dev@wrenn")
	for _, user := range found {
		fmt.Fprintln(out, user.Email)
	}
	return err
}

func hosts(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	registration, err := c.Hosts.Create(ctx, wrenn.CreateHostRequest{Type: wrenn.HostRegular, Provider: "own", AvailabilityZone: "cellar"})
	if err != nil {
		return err
	}
	host := registration.Host
	fmt.Fprintln(out, host.Status)
	if err := c.Hosts.AddTag(ctx, host.ID, "gpu"); err != nil {
		return err
	}
	tags, err := c.Hosts.ListTags(ctx, host.ID)
	fmt.Fprintln(out, tags)
	return errors.Join(err, c.Hosts.Delete(ctx, host.ID, false))
}

func audit(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	sandbox, err := c.Sandboxes.Create(ctx, wrenn.CreateSandboxRequest{})
	if err != nil {
		return err
	}
	if err := c.Sandboxes.Destroy(ctx, sandbox.ID); err != nil {
		return err
	}
	// Pages are fetched as they are needed.
	for entry, err := range c.Audit.List(ctx, wrenn.AuditQuery{ResourceTypes: []string{"sandbox"}}) {
		if err != nil {
			return err
		}
		if entry.ResourceID == sandbox.ID {
			fmt.Fprintln(out, entry.Action, "by the", entry.ActorType)
		}
	}
	return nil
}

func channels(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	channel, err := c.Channels.Create(ctx, wrenn.CreateChannelRequest{
		Name: "notices", Provider: wrenn.ChannelWebhook, Config: map[string]string{"url": "http://127.0.0.1:9/wrenn"},
		Events: []wrenn.ChannelEvent{wrenn.EventSandboxCreated, wrenn.EventSandboxDestroyed},
	})
	if err != nil {
		return err
	}
	all, err := c.Channels.List(ctx)
	if i := slices.IndexFunc(all, func(other wrenn.Channel) bool { return other.ID == channel.ID }); i >= 0 {
		fmt.Fprintln(out, all[i].Name, "of", all[i].Events)
	}
	return errors.Join(err, c.Channels.Delete(ctx, channel.ID))
}

func builds(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	build, err := c.Builds.Create(ctx, wrenn.CreateBuildRequest{
		Name: "with-a-greeting", Recipe: []string{"RUN echo hello > /srv/greeting"}, SkipPrePost: true,
	})
	for err == nil && !build.Status.Final() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
			build, err = c.Builds.Get(ctx, build.ID)
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(out, build.Status)
	err = c.WithSandbox(ctx, wrenn.CreateSandboxRequest{Template: build.Name}, func(ctx context.Context, box *wrenn.SandboxHandle) error {
		greeting, err := box.Download(ctx, "/srv/greeting", 0)
		fmt.Fprintf(out, "%s", greeting)
		return err
	})
	return errors.Join(err, c.Admin.DeleteTemplate(ctx, build.Name))
}
