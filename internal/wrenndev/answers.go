package wrenndev

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// apiError is an answer in the service's error form.
type apiError struct {
	status int
	code   string
	// detail is the message on S paths. On C paths errors of the service layer say
	// generic instead; those that handlers write themselves have none.
	detail  string
	generic string
	// sandboxes are the ids of those that are in the way, where that is the error.
	sandboxes []string
}

func (e *apiError) Error() string { return e.detail }

func refuse(status int, code, format string, args ...any) error {
	return &apiError{status: status, code: code, detail: fmt.Sprintf(format, args...)}
}

func invalidRequest(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "invalid_request", format, args...)
}

func unauthorized(text string) error {
	return refuse(http.StatusUnauthorized, "unauthorized", "%s", text)
}

// Errors of the service layer.

func notFound(what string) error {
	return &apiError{
		status: http.StatusNotFound, code: "not_found",
		detail: what + " not found: no rows in result set", generic: "resource not found",
	}
}

func invalidState(format string, args ...any) error {
	return &apiError{
		status: http.StatusConflict, code: "invalid_state",
		detail: fmt.Sprintf(format, args...), generic: "resource is not running",
	}
}

func invalidArgument(format string, args ...any) error {
	return &apiError{
		status: http.StatusBadRequest, code: "invalid_request",
		detail: "invalid: " + fmt.Sprintf(format, args...), generic: "invalid request",
	}
}

func forbidden(why string) error {
	return &apiError{status: http.StatusForbidden, code: "forbidden", detail: "forbidden: " + why, generic: "forbidden"}
}

// Errors of a call to the agent.

func agentError(format string, args ...any) error {
	return refuse(http.StatusBadGateway, "agent_error", format, args...)
}

// agentDown is the answer while the agent cannot be reached.
func agentDown(gen generation) error {
	if gen == genC {
		return refuse(http.StatusServiceUnavailable, "no_hosts_available", "no hosts available")
	}
	return agentError("agent rpc failed: unavailable: connection refused")
}

// agentHasNot is the agent's own "not found".
func agentHasNot(id string) error {
	return refuse(http.StatusNotFound, "not_found", "sandbox not found: %s", id)
}

func writeError(w http.ResponseWriter, gen generation, err error) int {
	var e *apiError
	if !errors.As(err, &e) {
		e = &apiError{
			status: http.StatusInternalServerError, code: "internal_error",
			detail: err.Error(), generic: "an internal error occurred",
		}
	}
	message := e.detail
	if gen == genC && e.generic != "" {
		message = e.generic
	}
	body := map[string]any{"code": e.code, "message": message}
	if e.sandboxes != nil {
		body["sandbox_ids"] = e.sandboxes
	}
	writeJSON(w, e.status, map[string]any{"error": body})
	return e.status
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that is gone does not get its answer, which is its own affair.
	_ = json.NewEncoder(w).Encode(v)
}

const maxJSONBody = 64 << 20

// readJSON reads the first JSON value of the body into v: unknown fields and what
// follows are ignored, null is an empty object.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	body := http.MaxBytesReader(w, r.Body, maxJSONBody)
	if err := json.NewDecoder(body).Decode(v); err != nil {
		return invalidRequest("invalid JSON body")
	}
	// The rest is read so that the server notices when the client goes away.
	_, _ = io.Copy(io.Discard, body)
	return nil
}

// stamp writes a time as the service does: RFC 3339, UTC, whole seconds.
func stamp(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }
