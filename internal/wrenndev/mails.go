package wrenndev

import (
	"errors"
	"time"
)

// MailKind is what the token of a mail is for.
type MailKind string

// The kinds of mails.
const (
	MailActivation    MailKind = "activation"     // for POST /v1/auth/activate
	MailPasswordReset MailKind = "password_reset" // for POST /v1/me/password/reset/confirm
)

// mailLife is how long the token of a mail is good for.
var mailLife = map[MailKind]time.Duration{MailActivation: 30 * time.Minute, MailPasswordReset: 15 * time.Minute}

// Mail is what the service sends to a user. This server sends nothing: its mails wait
// here for who reads them.
type Mail struct {
	// To is the user's address.
	To   string   `json:"to"`
	Kind MailKind `json:"kind"`
	// Token is good once, for 30 minutes (an activation) or 15 (a reset).
	Token string    `json:"token"`
	Sent  time.Time `json:"sent"`
}

// mailRecord is a mail, by its token.
type mailRecord struct {
	Mail

	User string `json:"user"`
	Used bool   `json:"used,omitempty"`
}

func (p *people) send(kind MailKind, to userRecord) {
	token := randomHex(16)
	p.mails.add(token, mailRecord{Mail: Mail{To: to.Email, Kind: kind, Token: token, Sent: time.Now()}, User: to.ID}, nil)
}

var errUsedUp = errors.New("the token is worthless")

// redeem uses a mail's token up and returns its user, who may be gone by then.
func (p *people) redeem(kind MailKind, token string) (userID string, ok bool) {
	mail, ok, err := p.mails.change(token, func(r *mailRecord) error {
		if r.Kind != kind || r.Used || time.Since(r.Sent) > mailLife[kind] {
			return errUsedUp
		}
		r.Used = true
		return nil
	})
	return mail.User, ok && err == nil
}
