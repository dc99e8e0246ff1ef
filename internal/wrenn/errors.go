package wrenn

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Code is the machine-readable word of a service error. Codes that this package does not name are kept as they are.
type Code string

// The error codes of the service, as its API notes document them and as it really sends them.
const (
	CodeInvalidRequest     Code = "invalid_request"        // 400
	CodeInvalidToken       Code = "invalid_token"          // 400, a token of a mail, generation Capsules
	CodeAlreadyActivated   Code = "already_activated"      // 400, generation Capsules
	CodeLastLoginMethod    Code = "last_login_method"      // 400, generation Capsules
	CodeUnauthorized       Code = "unauthorized"           // 401, for every failure of the credential
	CodeWrongPassword      Code = "wrong_password"         // 401, the current password, generation Capsules
	CodeForbidden          Code = "forbidden"              // 403
	CodeNoTeam             Code = "no_team"                // 403, the user is in no team
	CodeAccountDeactivated Code = "account_deactivated"    // 403, a JWT of an inactive user, generation Capsules
	CodeAccountDisabled    Code = "account_disabled"       // 403, at login, generation Capsules
	CodeNotActivated       Code = "account_not_activated"  // 403, at login, generation Capsules
	CodeNotFound           Code = "not_found"              // 404, also for what belongs to another team
	CodeProviderNotFound   Code = "provider_not_found"     // 404, an OAuth provider
	CodeEmailTaken         Code = "email_taken"            // 409, at signup
	CodeSignupCooldown     Code = "signup_cooldown"        // 409, at signup, generation Capsules
	CodeOwnsTeam           Code = "owns_team_with_members" // 409, generation Capsules
	CodeInvalidState       Code = "invalid_state"          // 409, not running or not paused
	CodeConflict           Code = "conflict"               // 409
	CodeAlreadyExists      Code = "already_exists"         // 409, snapshot name taken, generation Sandboxes
	CodeTemplateNameTaken  Code = "template_name_taken"    // 409, snapshot name taken, generation Capsules
	CodeNameReserved       Code = "name_reserved"          // 409, snapshot name is one of the platform's templates
	CodeHasActiveSandboxes Code = "has_active_sandboxes"   // 409, with SandboxIDs
	CodeHostHasSandboxes   Code = "host_has_sandboxes"     // 409, documented name of the former, never seen
	CodeTooLarge           Code = "too_large"              // 413, an upload of more than 100 MiB
	CodeInternal           Code = "internal"               // 500
	CodeInternalError      Code = "internal_error"         // 500
	CodeDBError            Code = "db_error"               // 500
	CodeReadError          Code = "read_error"             // 500
	CodeBuildError         Code = "build_error"            // 500
	CodeAgentError         Code = "agent_error"            // 502 (501 where the agent lacks the operation)
	CodeHostUnavailable    Code = "host_unavailable"       // 503
	CodeNoHostsAvailable   Code = "no_hosts_available"     // 503, generation Capsules, also for an agent out of reach
)

// Sentinels that an *Error wraps, for errors.Is. None of them is an answer of the service in its own protocol.
var (
	// ErrInvalidArgument: the client refused to send the call, since the service cannot accept it.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrUnsupported: the server's generation does not have the operation.
	ErrUnsupported = errors.New("not supported by this generation of the API")
	// ErrUnauthenticated: the client has no credential of the kind that the operation takes. Nothing was sent. A credential
	// that the service refuses is IsUnauthorized.
	ErrUnauthenticated = errors.New("no credential for this operation")
	// ErrWrongGeneration: the server does not know the route. It speaks the other generation, or it is no Wrenn at all.
	ErrWrongGeneration = errors.New("route unknown to the server")
	// ErrInvalidResponse: an answer that is not what the contract promises: HTML, truncated or wrongly typed JSON, an
	// unexpected status, another sandbox than the one asked for.
	ErrInvalidResponse = errors.New("invalid response")
	// ErrResponseTooLarge: an answer beyond the limit for its kind.
	ErrResponseTooLarge = errors.New("response too large")
	// ErrRedirected: the server answered with a redirect. It was not followed, so the credential went nowhere else.
	ErrRedirected = errors.New("redirect refused")
	// ErrTransport: no answer, or not all of it: connection refused, reset, closed, timed out, untrusted certificate.
	ErrTransport = errors.New("transport failure")
	// ErrTimeout: the client's own time limit or the network's passed. It comes together with ErrTransport, but where
	// RunCode tells that the time for a cell or for a kernel is up. The end of the caller's context is told by
	// context.DeadlineExceeded and context.Canceled instead.
	ErrTimeout = errors.New("timeout")
	// ErrIncomplete: there is more than can be had. What was yielded before it is right.
	ErrIncomplete = errors.New("incomplete")
	// ErrFinal: the sandbox is stopped or in error, for good.
	ErrFinal = errors.New("the sandbox is in a final status")
	// ErrPaused: the sandbox is paused and has to be resumed first.
	ErrPaused = errors.New("the sandbox is paused")
	// ErrProcessNotFound: there is no such process any more. The service says so by saying nothing, which a connection that
	// is lost at once looks like too.
	ErrProcessNotFound = errors.New("no such process")
	// ErrStreamLost: a stream ended without an exit event. What became of the command is unknown.
	ErrStreamLost = errors.New("stream ended without an exit event")
	// ErrStreamRefused: the server answered the start of a stream with an error event in place of a start event. The
	// event carries no code: a GET of the sandbox tells whether it is gone, not running, or not the reason at all.
	ErrStreamRefused = errors.New("stream refused")
)

// Error is every failure of a call.
type Error struct {
	// Op names the call, like "sandboxes.create".
	Op string
	// StatusCode is the HTTP status, 0 when there was no answer.
	StatusCode int
	// Code is what the service said in its own JSON error protocol, and empty for any other answer and for none.
	Code Code
	// Message is meant for people and must never be parsed. The service's own words are shortened to 512 bytes; a
	// transport failure has one of a few fixed texts without addresses, ports or ids.
	Message string
	// RequestID is the X-Request-Id header of the answer, if there was one. It is not part of the error text, which is
	// the same from one retry to the next.
	RequestID string
	// RetryAfter is how long the server asked to wait, 0 when it did not.
	RetryAfter time.Duration
	// Ambiguous is true exactly when the call may have taken effect although it failed.
	Ambiguous bool
	// SandboxIDs are the sandboxes in the way, with CodeHasActiveSandboxes and CodeHostHasSandboxes.
	SandboxIDs []string
	// Err holds the sentinels of this package and the context errors behind the failure: never a raw transport error.
	Err error
}

// Error returns a text that is stable from one retry to the next.
func (e *Error) Error() string {
	text := "wrenn " + e.Op
	if e.StatusCode != 0 {
		text += ": HTTP " + strconv.Itoa(e.StatusCode)
	}
	if e.Code != "" {
		text += " " + string(e.Code)
	}
	if reason := e.reason(); reason != "" {
		text += ": " + reason
	}
	return text
}

func (e *Error) reason() string {
	if e.Message == "" && e.Err != nil {
		return e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the sentinels and context errors behind the failure.
func (e *Error) Unwrap() error { return e.Err }

// invalidArgument is the error of a call that was never sent.
func invalidArgument(op, format string, args ...any) *Error {
	return &Error{Op: op, Message: fmt.Sprintf(format, args...), Err: ErrInvalidArgument}
}
