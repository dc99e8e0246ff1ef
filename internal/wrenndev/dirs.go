package wrenndev

import (
	"errors"
	"net/http"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

// readDir reads a request about a path. Like every file operation it does not count
// as activity.
func (s *Server) readDir(c *call) (g *guest.Guest, path string, depth int, err error) {
	if _, err := s.runningRow(c); err != nil {
		return nil, "", 0, err // the state is checked before the body
	}
	var req struct {
		Path  string `json:"path"`
		Depth int32  `json:"depth"`
	}
	if err := readJSON(c.w, c.r, &req); err != nil {
		return nil, "", 0, err
	}
	switch {
	case req.Path == "":
		return nil, "", 0, invalidRequest("path is required")
	case req.Depth < 0:
		return nil, "", 0, invalidRequest("depth must not be negative")
	}
	_, g, err = s.runningMachine(c)
	return g, req.Path, int(max(req.Depth, 1)), err
}

func (s *Server) listFiles(c *call) error {
	g, path, depth, err := s.readDir(c)
	if err != nil {
		return err
	}
	entries, err := g.ListDir(c.ctx(), path, depth)
	if err != nil {
		return fileAnswer(err, c.params["id"])
	}
	if entries == nil {
		entries = []guest.Entry{}
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"entries": entries})
	return nil
}

// makeDir is the one file operation whose failures have statuses of their own.
func (s *Server) makeDir(c *call) error {
	g, path, _, err := s.readDir(c)
	if err != nil {
		return err
	}
	entry, err := g.MakeDir(c.ctx(), path)
	var reported *guest.Error
	switch {
	case errors.As(err, &reported) && reported.Kind == guest.KindExists:
		return refuse(http.StatusConflict, "conflict", "%s", reported.Text)
	case errors.As(err, &reported) && reported.Kind == guest.KindInvalid:
		return invalidRequest("%s", reported.Text)
	case err != nil:
		return fileAnswer(err, c.params["id"])
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"entry": entry})
	return nil
}

func (s *Server) removeFile(c *call) error {
	g, path, _, err := s.readDir(c)
	if err != nil {
		return err
	}
	if err := g.Remove(c.ctx(), path); err != nil {
		return fileAnswer(err, c.params["id"])
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
