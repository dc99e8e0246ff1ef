package wrenndev

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The providers whose messages have a form of their own.
const (
	providerWebhook  = "webhook"
	providerDiscord  = "discord"
	providerTelegram = "telegram"
	providerMatrix   = "matrix"
)

// providers tell what each provider's configuration must have. The first field is the
// URL that is posted to, except for Telegram, which has no server of one's own.
var providers = map[string][]string{
	providerWebhook:  {"url"},
	providerDiscord:  {"webhook_url"},
	"slack":          {"webhook_url"},
	"teams":          {"webhook_url"},
	"googlechat":     {"webhook_url"},
	providerTelegram: {"bot_token", "chat_id"},
	providerMatrix:   {"homeserver_url", "access_token", "room_id"},
}

// checkConfig refuses a configuration that lacks something, and one that would lead
// away from this machine. No error quotes what is in it: it can be secret.
func checkConfig(provider string, config map[string]string) error {
	fields, known := providers[provider]
	if !known {
		return invalidArgument("unsupported provider %q", provider)
	}
	for _, field := range fields {
		if config[field] == "" {
			return invalidArgument("%s is required for %s", field, provider)
		}
	}
	if provider == providerTelegram {
		return invalidRequest("the embedded Wrenn delivers to this machine only, and Telegram is elsewhere")
	}
	if _, err := localURL(config[fields[0]]); err != nil {
		return invalidRequest("the embedded Wrenn delivers to this machine only: %s %v", fields[0], err)
	}
	return nil
}

// localURL reads a URL of this machine. A name other than localhost is refused without
// a look at where it leads: to ask is to send traffic, and the answer can change.
func localURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("must be an http or https URL")
	}
	if _, err := loopback(u.Hostname()); err != nil {
		return nil, errors.New("must have a loopback address, such as 127.0.0.1, for its host")
	}
	return u, nil
}

// loopback are the addresses of a host of this machine.
func loopback(host string) ([]string, error) {
	if host == "localhost" {
		return []string{"127.0.0.1", "::1"}, nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, errors.New("not a loopback address")
	}
	return []string{host}, nil
}

// letter is the request that delivers an event, in the provider's form.
func letter(ctx context.Context, provider string, config map[string]string, e channelEvent, now time.Time) (*http.Request, error) {
	to, err := localURL(config[providers[provider][0]])
	if err != nil {
		return nil, err
	}
	method, text := http.MethodPost, e.text()
	var content any
	switch provider {
	case providerWebhook:
		content = e
	case providerDiscord:
		content = map[string]string{"content": text}
	case providerMatrix:
		method = http.MethodPut
		to = to.JoinPath("_matrix/client/v3/rooms", url.PathEscape(config["room_id"]), "send/m.room.message", randomHex(16))
		content = map[string]string{"msgtype": "m.text", "body": text}
	default:
		content = map[string]string{"text": text}
	}
	body, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL cannot be requested")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "wrenn-dev")
	switch provider {
	case providerMatrix:
		req.Header.Set("Authorization", "Bearer "+config["access_token"])
	case providerWebhook:
		seal(req.Header, config["secret"], body, now)
	}
	return req, nil
}

// seal puts on what a webhook is recognized by. What is signed is the timestamp, a
// dot and the body, byte for byte.
func seal(h http.Header, secret string, body []byte, now time.Time) {
	timestamp := stamp(now)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%s.%s", timestamp, body) // never fails
	h.Set("X-Wrenn-Delivery", newDelivery())
	h.Set("X-Wrenn-Timestamp", timestamp)
	h.Set("X-WRENN-SIGNATURE", "sha256="+hex.EncodeToString(mac.Sum(nil)))
}

// newDelivery is the name of an attempt: a random UUID.
func newDelivery() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// text is the event for people.
func (e channelEvent) text() string {
	actor := e.Actor.Type
	for _, more := range []string{e.Actor.Name, e.Actor.ID} {
		if more != "" {
			actor += " " + more
		}
	}
	return strings.Join([]string{
		e.Event + ": " + e.Resource.Type + " " + e.Resource.ID,
		"by " + actor + ", in team " + e.TeamID + ", at " + e.Timestamp,
	}, "\n")
}

// courier sends letters. It dials loopback addresses only, whatever leads there: no
// proxy, no redirect and no name server has a say. Nothing of a connection is left.
var courier = &http.Client{
	Transport: &http.Transport{
		DialContext: dialLoopback, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func dialLoopback(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	addresses, err := loopback(host)
	if err != nil {
		return nil, err
	}
	for _, address := range addresses {
		var conn net.Conn
		if conn, err = (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(address, port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// post sends a letter; any answer but a 2xx is a failure.
func post(req *http.Request) error {
	resp, err := courier.Do(req)
	if err != nil {
		// The error of the client quotes the URL, which can hold secrets.
		var quoting *url.Error
		if errors.As(err, &quoting) {
			err = quoting.Err
		}
		return fmt.Errorf("delivery: %w", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("delivery: the receiver answered %d", resp.StatusCode)
	}
	return nil
}
