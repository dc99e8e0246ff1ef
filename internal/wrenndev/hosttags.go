package wrenndev

import (
	"net/http"
	"slices"
)

// listHostTags answers null for a host without tags, as the service does.
func (s *Server) listHostTags(c *call) error {
	row, err := s.visibleHost(c)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, row.Tags)
	return nil
}

func (s *Server) addHostTag(c *call) error {
	var req struct {
		Tag string `json:"tag"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return err
	}
	if req.Tag == "" {
		return invalidRequest("tag is required")
	}
	row, err := s.visibleHost(c)
	if err != nil {
		return err
	}
	return s.changeTags(c, row.ID, func(tags []string) []string {
		if slices.Contains(tags, req.Tag) {
			return tags
		}
		return slices.Sorted(slices.Values(append(slices.Clone(tags), req.Tag)))
	})
}

// removeHostTag is content with a tag that is not there.
func (s *Server) removeHostTag(c *call) error {
	row, err := s.visibleHost(c)
	if err != nil {
		return err
	}
	return s.changeTags(c, row.ID, func(tags []string) []string {
		left := slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return t == c.params["tag"] })
		if len(left) == 0 {
			return nil
		}
		return left
	})
}

func (s *Server) changeTags(c *call, id string, change func([]string) []string) error {
	if _, there := s.hosts.update(id, func(r *hostRow) { r.Tags = change(r.Tags) }); !there {
		return notFound("host")
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
