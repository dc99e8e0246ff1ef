package wrenndev

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// OpAuditList is the operation of the audit log, as it is named in [Fault] and [Request].
const OpAuditList = "audit-list"

func (s *Server) auditRoutes(gen generation) []route {
	return []route{{OpAuditList, http.MethodGet, "/v1/audit-logs", gen, accessToken, s.listAudit}}
}

const (
	defaultAuditPage = 50
	maxAuditPage     = 200
)

type auditAnswer struct {
	ID           string         `json:"id"`
	ActorType    string         `json:"actor_type"`
	ActorID      string         `json:"actor_id,omitempty"`
	ActorName    string         `json:"actor_name,omitempty"`
	ResourceType string         `json:"resource_type"`
	ResourceID   string         `json:"resource_id,omitempty"`
	Action       string         `json:"action"`
	Scope        string         `json:"scope"`
	Status       string         `json:"status"`
	Metadata     map[string]any `json:"metadata,omitempty"`
	CreatedAt    string         `json:"created_at"`
}

type auditPageAnswer struct {
	Items        []auditAnswer `json:"items"`
	NextBefore   string        `json:"next_before,omitempty"`
	NextBeforeID string        `json:"next_before_id,omitempty"`
}

// listAudit answers a page of the team's log with the cursor of the next page; an
// empty page, which is how the log ends, has none.
func (s *Server) listAudit(c *call) error {
	q, err := c.auditQuery()
	if err != nil {
		return err
	}
	page := auditPageAnswer{Items: []auditAnswer{}}
	for _, e := range s.audit.page(q) {
		page.Items = append(page.Items, auditAnswer{
			ID: e.ID, ActorType: e.ActorType, ActorID: e.ActorID, ActorName: e.ActorName,
			ResourceType: e.ResourceType, ResourceID: e.ResourceID, Action: e.Action,
			Scope: e.Scope, Status: e.Status, Metadata: e.Metadata, CreatedAt: stamp(e.At),
		})
		page.NextBefore, page.NextBeforeID = stamp(e.At), e.ID
	}
	writeJSON(c.w, http.StatusOK, page)
	return nil
}

func (c *call) auditQuery() (auditQuery, error) {
	asked := c.r.URL.Query()
	q := auditQuery{
		team: c.team, all: c.role == roleOwner || c.role == roleAdmin,
		types: listParam(asked["resource_type"]), actions: listParam(asked["action"]),
		beforeID: asked.Get("before_id"), limit: defaultAuditPage,
	}
	if text := asked.Get("before"); text != "" {
		var err error
		if q.before, err = time.Parse(time.RFC3339, text); err != nil {
			return q, invalidRequest("before must be an RFC 3339 time")
		}
	}
	if q.beforeID != "" && !hasIDForm(q.beforeID, auditPrefix) {
		return q, invalidRequest("invalid before_id")
	}
	if text := asked.Get("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		switch {
		case err != nil || limit < 1 && c.gen == genS:
			return q, invalidRequest("limit must be a positive number")
		case limit >= 1:
			q.limit = min(limit, maxAuditPage)
		}
	}
	return q, nil
}

// listParam reads a parameter that may be repeated, and may have commas.
func listParam(values []string) []string {
	var all []string
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			if part = strings.TrimSpace(part); part != "" {
				all = append(all, part)
			}
		}
	}
	return all
}
