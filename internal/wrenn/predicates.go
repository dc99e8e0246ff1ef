package wrenn

import (
	"errors"
	"net/http"
)

// statusOf is the status that belongs to each known code. A code decides before the status does: only a code that is
// not in this table is judged by its status.
var statusOf = map[Code]int{
	CodeInvalidRequest:     http.StatusBadRequest,
	CodeInvalidToken:       http.StatusBadRequest,
	CodeAlreadyActivated:   http.StatusBadRequest,
	CodeLastLoginMethod:    http.StatusBadRequest,
	CodeUnauthorized:       http.StatusUnauthorized,
	CodeWrongPassword:      http.StatusUnauthorized,
	CodeForbidden:          http.StatusForbidden,
	CodeNoTeam:             http.StatusForbidden,
	CodeAccountDeactivated: http.StatusForbidden,
	CodeAccountDisabled:    http.StatusForbidden,
	CodeNotActivated:       http.StatusForbidden,
	CodeNotFound:           http.StatusNotFound,
	CodeProviderNotFound:   http.StatusNotFound,
	CodeEmailTaken:         http.StatusConflict,
	CodeSignupCooldown:     http.StatusConflict,
	CodeOwnsTeam:           http.StatusConflict,
	CodeInvalidState:       http.StatusConflict,
	CodeConflict:           http.StatusConflict,
	CodeAlreadyExists:      http.StatusConflict,
	CodeTemplateNameTaken:  http.StatusConflict,
	CodeNameReserved:       http.StatusConflict,
	CodeHasActiveSandboxes: http.StatusConflict,
	CodeHostHasSandboxes:   http.StatusConflict,
	CodeTooLarge:           http.StatusRequestEntityTooLarge,
	CodeInternal:           http.StatusInternalServerError,
	CodeInternalError:      http.StatusInternalServerError,
	CodeDBError:            http.StatusInternalServerError,
	CodeReadError:          http.StatusInternalServerError,
	CodeBuildError:         http.StatusInternalServerError,
	CodeAgentError:         http.StatusBadGateway,
	CodeHostUnavailable:    http.StatusServiceUnavailable,
	CodeNoHostsAvailable:   http.StatusServiceUnavailable,
}

// said reports whether the service itself answered with one of the codes, or with a code unknown here and the status.
func said(err error, status int, codes ...Code) bool {
	var e *Error
	if !errors.As(err, &e) || e.Code == "" {
		return false
	}
	for _, code := range codes {
		if e.Code == code {
			return true
		}
	}
	_, known := statusOf[e.Code]
	return !known && status != 0 && e.StatusCode == status
}

// IsNotFound reports that the service said not_found. It says so of an id it does not know, of one of another team, and
// from data calls of a sandbox that its agent lost sight of: it never means that a sandbox is gone. A 404 page of
// something else, like a proxy, is not meant.
func IsNotFound(err error) bool { return said(err, http.StatusNotFound, CodeNotFound) }

// IsUnauthorized reports that the service refused the credential.
func IsUnauthorized(err error) bool { return said(err, http.StatusUnauthorized, CodeUnauthorized) }

// IsForbidden reports that the service knows the credential and does not let it do this.
func IsForbidden(err error) bool {
	return said(err, http.StatusForbidden, CodeForbidden, CodeAccountDeactivated, CodeAccountDisabled, CodeNotActivated, CodeNoTeam)
}

// IsNotActivated reports that the account waits for the token of a mail: see Auth.Activate.
func IsNotActivated(err error) bool { return said(err, 0, CodeNotActivated) }

// IsEmailTaken reports that there is an account with the address.
func IsEmailTaken(err error) bool { return said(err, 0, CodeEmailTaken) }

// IsInvalidToken reports that a token of a mail is unknown or expired.
func IsInvalidToken(err error) bool { return said(err, 0, CodeInvalidToken) }

// IsWrongPassword reports that the current password is another one.
func IsWrongPassword(err error) bool { return said(err, 0, CodeWrongPassword) }

// IsInvalidRequest reports that the service found the request malformed.
func IsInvalidRequest(err error) bool { return said(err, http.StatusBadRequest, CodeInvalidRequest) }

// IsInvalidState reports that the sandbox is not in the state that the call needs: not running, or not paused.
func IsInvalidState(err error) bool { return said(err, 0, CodeInvalidState) }

// IsConflict reports any 409 of the service: a state, a name, or sandboxes in the way.
func IsConflict(err error) bool {
	return said(err, http.StatusConflict, CodeConflict, CodeInvalidState, CodeAlreadyExists, CodeTemplateNameTaken,
		CodeNameReserved, CodeHasActiveSandboxes, CodeHostHasSandboxes, CodeEmailTaken, CodeSignupCooldown, CodeOwnsTeam)
}

// IsAlreadyExists reports that a snapshot of the team has the name, whichever of the two codes says so.
func IsAlreadyExists(err error) bool { return said(err, 0, CodeAlreadyExists, CodeTemplateNameTaken) }

// IsNameReserved reports that the snapshot name belongs to a template of the platform.
func IsNameReserved(err error) bool { return said(err, 0, CodeNameReserved) }

// IsNameTaken reports that a snapshot name cannot be had: IsAlreadyExists or IsNameReserved.
func IsNameTaken(err error) bool { return IsAlreadyExists(err) || IsNameReserved(err) }

// HasActiveSandboxes reports that sandboxes are in the way; the error's SandboxIDs name them.
func HasActiveSandboxes(err error) bool {
	return said(err, 0, CodeHasActiveSandboxes, CodeHostHasSandboxes)
}

// IsTooLarge reports that the service refused an upload for its size.
func IsTooLarge(err error) bool { return said(err, http.StatusRequestEntityTooLarge, CodeTooLarge) }

// IsAgentError reports that the host's agent failed the call, which is also how a timed-out exec and a missing file look.
func IsAgentError(err error) bool { return said(err, http.StatusBadGateway, CodeAgentError) }

// IsUnavailable reports that no host can serve the call for now.
func IsUnavailable(err error) bool {
	return said(err, http.StatusServiceUnavailable, CodeHostUnavailable, CodeNoHostsAvailable)
}

// IsRateLimited reports a 429, from the service or from anything in front of it.
func IsRateLimited(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.StatusCode == http.StatusTooManyRequests
}

// IsTransport reports that there was no complete answer at all.
func IsTransport(err error) bool { return errors.Is(err, ErrTransport) }

// IsAmbiguous reports that the call may have taken effect although it failed.
func IsAmbiguous(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Ambiguous
}

// IsRefusal reports that the service itself, in its own JSON error protocol, refused the call with a 4xx that waiting
// does not cure. Nothing else may ever be taken as final.
func IsRefusal(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code != "" && refuses(e.StatusCode)
}

// refuses tells the statuses that say no from those that say not now.
func refuses(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}
