package wrenn

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"time"
)

// What Jupyter and its kernels say: the parts of the messaging protocol, version 5.3, that running a cell needs. These are
// no messages of Wrenn, so the contract does not have them.

const messagingVersion = "5.3"

// The channels and kinds of messages.
const (
	channelShell = "shell"
	channelIOPub = "iopub"

	kindRequest  = "execute_request"
	kindReply    = "execute_reply"
	kindInput    = "execute_input"
	kindResult   = "execute_result"
	kindDisplay  = "display_data"
	kindUpdate   = "update_display_data"
	kindClear    = "clear_output"
	kindStream   = "stream"
	kindError    = "error"
	kindStatus   = "status"
	kindShutdown = "shutdown_reply"

	stateIdle       = "idle"
	stateRestarting = "restarting"
	stateDead       = "dead"
)

// messageHeader is the header of a message, and of the message that it answers.
type messageHeader struct {
	ID       string `json:"msg_id"`
	Session  string `json:"session"`
	Username string `json:"username"`
	Date     string `json:"date,omitempty"`
	Kind     string `json:"msg_type"`
	Version  string `json:"version,omitempty"`
}

// executeRequest asks a kernel to run a cell.
type executeRequest struct {
	Header  messageHeader  `json:"header"`
	Parent  struct{}       `json:"parent_header"`
	Meta    struct{}       `json:"metadata"`
	Channel string         `json:"channel"`
	Content executeContent `json:"content"`
	Buffers []struct{}     `json:"buffers"`
}

type executeContent struct {
	Code            string   `json:"code"`
	Silent          bool     `json:"silent"`
	StoreHistory    bool     `json:"store_history"`
	UserExpressions struct{} `json:"user_expressions"`
	AllowStdin      bool     `json:"allow_stdin"`
	StopOnError     bool     `json:"stop_on_error"`
}

// newExecuteRequest makes the request of one cell. It does not stop on an error: that would make the kernel drop the cells
// of everybody else that wait behind this one.
func newExecuteRequest(session, source string) executeRequest {
	return executeRequest{
		Header: messageHeader{
			ID: randomID(), Session: session, Username: "wrenn", Kind: kindRequest, Version: messagingVersion,
			Date: time.Now().UTC().Format(time.RFC3339Nano),
		},
		Channel: channelShell, Content: executeContent{Code: source, StoreHistory: true}, Buffers: []struct{}{},
	}
}

// randomID is an id that nobody else uses.
func randomID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // It never fails.
	return hex.EncodeToString(id[:])
}

// kernelMessage is a message of a kernel, or of the server in its name. Its content is read only when it is wanted, since
// that of other kinds may be of any form.
type kernelMessage struct {
	Header  messageHeader   `json:"header"`
	Parent  messageHeader   `json:"parent_header"`
	Channel string          `json:"channel"`
	Content json.RawMessage `json:"content"`
}

// messageContent has what the kinds above carry.
type messageContent struct {
	// Of a status.
	State string `json:"execution_state"`
	// Of a stream.
	Name string `json:"name"`
	Text string `json:"text"`
	// Of a result or a display.
	Data      map[string]json.RawMessage `json:"data"`
	Transient struct {
		DisplayID string `json:"display_id"`
	} `json:"transient"`
	Count *int `json:"execution_count"`
	// Of the clearing of the output.
	Wait bool `json:"wait"`
	// Of a reply.
	Status string `json:"status"`
	// Of an error, and of a reply that tells one.
	EName     string   `json:"ename"`
	EValue    string   `json:"evalue"`
	Traceback []string `json:"traceback"`
}

// parseKernelMessage reads a message. A binary one has buffers for widgets after its JSON, which are of no use here.
func parseKernelMessage(frame []byte, isBinary bool) (kernelMessage, error) {
	if isBinary {
		var ok bool
		if frame, ok = firstPart(frame); !ok {
			return kernelMessage{}, errBadFrame
		}
	}
	var m *kernelMessage
	if err := json.Unmarshal(frame, &m); err != nil || m == nil || m.Header.Kind == "" {
		return kernelMessage{}, errBadFrame
	}
	return *m, nil
}

// firstPart returns the JSON of a binary message: a count and as many offsets of parts come before it, in four bytes each,
// the most significant first. The JSON is the first part.
func firstPart(frame []byte) ([]byte, bool) {
	word := func(i uint64) (uint64, bool) {
		if uint64(len(frame)) < 4*(i+1) {
			return 0, false
		}
		return uint64(binary.BigEndian.Uint32(frame[4*i:])), true
	}
	count, ok := word(0)
	if !ok || count == 0 {
		return nil, false
	}
	start, ok := word(1)
	end := uint64(len(frame))
	if ok && count > 1 {
		end, ok = word(2)
	}
	if !ok || start < 4*(count+1) || start > end || end > uint64(len(frame)) {
		return nil, false
	}
	return frame[start:end], true
}

// content reads the content of a message of a known kind.
func (m kernelMessage) content() (messageContent, error) {
	var c messageContent
	if err := json.Unmarshal(m.Content, &c); err != nil {
		return messageContent{}, errBadFrame
	}
	return c, nil
}

// isDeath reports that the kernel is gone, and the state with it. The server says so of no request in particular.
func (m kernelMessage) isDeath() bool {
	switch m.Header.Kind {
	case kindStatus:
		c, err := m.content()
		return err == nil && (c.State == stateRestarting || c.State == stateDead)
	case kindShutdown:
		return m.Channel == channelIOPub
	}
	return false
}
