package wrenn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
)

// errBudget is the cause of a context that the client's own time limit ended.
var errBudget = errors.New("time limit of the client")

// transportFailure turns whatever kept the answer from arriving into an *Error that shows nothing of it but one of a few
// texts: an address, a port or a connection's number would make each retry look like news.
func transportFailure(ctx context.Context, op string, err error) *Error {
	e := &Error{Op: op, Err: ErrTransport}
	switch {
	case ctx.Err() != nil:
		ended := endOf(ctx)
		e.Message, e.Err = ended.Error(), errors.Join(ErrTransport, ended)
	case isTimeout(err):
		e.Message, e.Err = "timeout", errors.Join(ErrTransport, ErrTimeout)
	default:
		e.Message = transportText(err)
	}
	return e
}

// endOf tells the client's own time limit from the end of the caller's context.
func endOf(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errBudget) {
		return ErrTimeout
	}
	return ctx.Err()
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// transportText names the kinds of failure that people act on differently.
func transportText(err error) string {
	var (
		dns          *net.DNSError
		untrusted    *tls.CertificateVerificationError
		unknownCA    x509.UnknownAuthorityError
		wrongHost    x509.HostnameError
		invalidCert  x509.CertificateInvalidError
		noTLS        tls.RecordHeaderError
		alert        tls.AlertError
		dial         *net.OpError
		isDial       = errors.As(err, &dial) && dial.Op == "dial"
		badHandshake = errors.As(err, &noTLS) || errors.As(err, &alert)
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "host name not found"
	case errors.As(err, &dns):
		return "host name resolution failed"
	case errors.As(err, &untrusted), errors.As(err, &unknownCA), errors.As(err, &wrongHost), errors.As(err, &invalidCert):
		return "certificate not trusted"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "the server does not speak TLS"
	case badHandshake:
		return "TLS handshake failed"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "host unreachable"
	case isDial:
		return "connection failed"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "connection closed before the answer was complete"
	}
	return "no valid answer"
}
