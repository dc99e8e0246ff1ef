package wrenn

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// Admin has operations of the platform's administrators: any other user is IsForbidden. They take a client with a JWT;
// any other is ErrUnauthenticated.
type Admin struct{ c *Client }

// AdminTemplate is a template or snapshot of whatever team.
type AdminTemplate struct {
	// Name is unique in its team.
	Name string
	// Type is "snapshot", or "base" for a template without a memory image.
	Type string
	// VCPUs and MemoryMB, in MiB, are the size of the sandboxes started from it.
	VCPUs, MemoryMB int32
	// SizeBytes is its size on the host.
	SizeBytes int64
	// TeamID is the team that has it; the platform's own templates have one too.
	TeamID string
	// Platform is true for a template of the platform, where the server tells it.
	Platform bool
	// CreatedAt is UTC, in whole seconds.
	CreatedAt time.Time
	// Metadata is version information that servers of generation Capsules write.
	Metadata map[string]string
}

// SetTeamBYOC lets a team bring hosts of its own, or does not.
func (a *Admin) SetTeamBYOC(ctx context.Context, teamID string, enabled bool) error {
	const op = "admin.set_team_byoc"
	if err := prefixTeam.check(op, teamID); err != nil {
		return err
	}
	return a.c.managedDo(ctx, call{
		op: op, method: http.MethodPut, path: "/v1/admin/teams/" + teamID + "/byoc",
		body: jsonBody(api.SetTeamBYOCRequest{Enabled: enabled}),
	})
}

// ListTemplates returns the templates of every team.
func (a *Admin) ListTemplates(ctx context.Context) ([]AdminTemplate, error) {
	return managedFetch(ctx, a.c, call{
		op: "admin.list_templates", method: http.MethodGet, path: "/v1/admin/templates", want: http.StatusOK, limit: a.c.settings.limits.ListBytes,
	}, listOf(func(w *api.AdminTemplate) (*AdminTemplate, error) {
		if !ValidTemplateName(w.Name) {
			return nil, errors.New("the answer has no valid template name")
		}
		return &AdminTemplate{
			Name: w.Name, Type: w.Type, VCPUs: w.Vcpus, MemoryMB: w.MemoryMb, SizeBytes: w.SizeBytes, TeamID: w.TeamID,
			Platform: value(w.Platform), CreatedAt: w.CreatedAt.UTC(), Metadata: w.Metadata,
		}, nil
	}))
}

// DeleteTemplate deletes a template of the platform. "minimal" is IsForbidden.
func (a *Admin) DeleteTemplate(ctx context.Context, name string) error {
	const op = "admin.delete_template"
	if !ValidTemplateName(name) {
		return invalidArgument(op, "the template name is malformed")
	}
	return a.c.managedDo(ctx, call{op: op, method: http.MethodDelete, path: "/v1/admin/templates/" + name})
}
