package wrenn

import (
	"context"
	"net/http"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// ListTags returns the tags of a host.
func (h *Hosts) ListTags(ctx context.Context, id string) ([]string, error) {
	const op = "hosts.list_tags"
	if err := prefixHost.check(op, id); err != nil {
		return nil, err
	}
	return managedFetch(ctx, h.c, call{
		// A host without tags is answered by null.
		op: op, method: http.MethodGet, path: hostsPath + "/" + id + "/tags", want: http.StatusOK, nullable: true,
	}, func(w *[]string) ([]string, error) { return orEmpty(*w), nil })
}

// AddTag adds a tag to a host.
func (h *Hosts) AddTag(ctx context.Context, id, tag string) error {
	const op = "hosts.add_tag"
	if err := prefixHost.check(op, id); err != nil {
		return err
	}
	// A tag that cannot stand in a path could never be removed.
	if err := checkSegment(op, "tag", tag); err != nil {
		return err
	}
	return h.c.managedDo(ctx, call{
		op: op, method: http.MethodPost, path: hostsPath + "/" + id + "/tags", body: jsonBody(api.HostTagRequest{Tag: tag}),
	})
}

// RemoveTag removes a tag from a host.
func (h *Hosts) RemoveTag(ctx context.Context, id, tag string) error {
	const op = "hosts.remove_tag"
	if err := prefixHost.check(op, id); err != nil {
		return err
	}
	if err := checkSegment(op, "tag", tag); err != nil {
		return err
	}
	return h.c.managedDo(ctx, call{op: op, method: http.MethodDelete, path: hostsPath + "/" + id + "/tags/" + tag})
}

// orEmpty makes the null of a list an empty one.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
