package wrenn

import (
	"encoding/json"
	"regexp"
	"time"
	"unicode/utf8"
)

const (
	// defaultLanguage is the kernel spec that is everywhere.
	defaultLanguage = "python3"
	// interpreterPort is where the templates for code have their Jupyter server.
	interpreterPort = 8888

	defaultCodeTimeout  = 30 * time.Second
	defaultStartTimeout = 30 * time.Second
	// maxCodeMessage is the longest message that a Jupyter server takes, in bytes.
	maxCodeMessage = 10 << 20
)

var languageForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// CodeOption configures a call of RunCode.
type CodeOption func(*codeSettings)

type codeSettings struct {
	language  string
	port      int
	timeout   time.Duration
	start     time.Duration
	limit     int
	callbacks callbacks
}

// callbacks are told of output as it comes. Those that are nil are not.
type callbacks struct {
	stdout, stderr func(string)
	result         func(CodeOutput)
	err            func(CodeError)
}

func (callbacks) write(to func(string), text string) {
	if to != nil && text != "" {
		to(text)
	}
}

func (b callbacks) show(o CodeOutput) {
	if b.result != nil {
		b.result(o)
	}
}

func (b callbacks) fail(e CodeError) {
	if b.err != nil {
		b.err(e)
	}
}

// WithLanguage chooses the kernel spec by its name, as the guest's Jupyter server has it; the default is "python3".
func WithLanguage(kernelSpec string) CodeOption {
	return func(s *codeSettings) { s.language = kernelSpec }
}

// WithCodeTimeout bounds the time that the cell waits for its turn and runs; the default is 30 s. Zero and negative leave
// that to the context.
func WithCodeTimeout(d time.Duration) CodeOption {
	return func(s *codeSettings) { s.timeout = d }
}

// WithStartTimeout bounds the time until there is a kernel to talk to, a fresh sandbox's server included; the default is
// 30 s.
func WithStartTimeout(d time.Duration) CodeOption {
	return func(s *codeSettings) {
		if d > 0 {
			s.start = d
		}
	}
}

// WithOutputLimit says how many bytes are kept of stdout and stderr together, and again of the results; the default is
// 16 MiB, and the most is 1 GiB. It bounds one message of the kernel too. Beyond it the cell runs on, and the result is
// Truncated.
func WithOutputLimit(bytes int) CodeOption {
	return func(s *codeSettings) {
		if bytes > 0 {
			s.limit = min(bytes, 1<<30)
		}
	}
}

// WithInterpreterPort sets the port of the guest's Jupyter server; the default is 8888.
func WithInterpreterPort(port int) CodeOption {
	return func(s *codeSettings) { s.port = port }
}

// OnStdout has f told what the cell writes to stdout, as it comes and whatever the limit. RunCode calls it, as all that
// follow, one at a time and in order, and reads on when it returns: while it does not, RunCode cannot return, and a minute
// of it can cost the connection.
func OnStdout(f func(text string)) CodeOption {
	return func(s *codeSettings) { s.callbacks.stdout = f }
}

// OnStderr has f told what the cell writes to stderr.
func OnStderr(f func(text string)) CodeOption {
	return func(s *codeSettings) { s.callbacks.stderr = f }
}

// OnResult has f told each result, and again with the same DisplayID when the cell changes it.
func OnResult(f func(CodeOutput)) CodeOption {
	return func(s *codeSettings) { s.callbacks.result = f }
}

// OnError has f told the exception that ends the cell.
func OnError(f func(CodeError)) CodeOption {
	return func(s *codeSettings) { s.callbacks.err = f }
}

func codeSettingsOf(opts []CodeOption) codeSettings {
	s := codeSettings{
		language: defaultLanguage, port: interpreterPort, timeout: defaultCodeTimeout, start: defaultStartTimeout, limit: defaultCodeOutput,
	}
	for _, opt := range opts {
		opt(&s)
	}
	return s
}

// checkCode makes the request of a cell, and keeps off the wire what could only be changed or dropped on its way.
func checkCode(op string, s codeSettings, request executeRequest) ([]byte, error) {
	if !languageForm.MatchString(s.language) {
		return nil, invalidArgument(op, "the language is no name of a kernel spec")
	}
	if !utf8.ValidString(request.Content.Code) {
		return nil, invalidArgument(op, "the source is not UTF-8")
	}
	body, err := json.Marshal(request)
	if err != nil || len(body) > maxCodeMessage {
		return nil, invalidArgument(op, "the source is too large: its message may have %d bytes", maxCodeMessage)
	}
	return body, nil
}
