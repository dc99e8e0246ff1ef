package main

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// codeTemplate brings a Jupyter server.
const codeTemplate = "code-runner-beta"

var codeChecks = []check{
	{name: "run-code", run: runCode},
	{name: "run-code-keeps-state", run: codeState},
	{name: "run-code-results", run: codeResults},
	{name: "run-code-exception", run: codeException},
	{name: "run-code-timeout", run: codeTimeout},
	{name: "run-code-unknown-language", run: codeLanguage},
}

// interpreter makes a sandbox with a Jupyter server.
func (p *probe) interpreter() *wrenn.SandboxHandle {
	listed, err := p.c.Snapshots.List(p.ctx)
	p.ok(err)
	if !slices.ContainsFunc(listed, func(s wrenn.Snapshot) bool { return s.Name == codeTemplate }) {
		p.skip("the server has no template %s", codeTemplate)
	}
	id := p.create(p.c, wrenn.CreateSandboxRequest{Template: codeTemplate}).ID
	h := p.direct(p.key, wrenn.APIKey).Sandbox(id)
	_, err = h.URL(1)
	if err != nil {
		p.skip("there is no name for the port proxy, set WRENN_PROXY_DOMAIN: %v", err)
	}
	return h
}

// cell runs one, and gives the server of a fresh sandbox time.
func (p *probe) cell(h *wrenn.SandboxHandle, source string, opts ...wrenn.CodeOption) *wrenn.CodeResult {
	opts = append([]wrenn.CodeOption{wrenn.WithStartTimeout(waitFor), wrenn.WithCodeTimeout(time.Minute)}, opts...)
	got, err := h.RunCode(p.ctx, source, opts...)
	p.ok(err)
	return got
}

func runCode(p *probe) {
	h := p.interpreter()
	var heard strings.Builder
	got := p.cell(h, "import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7", wrenn.OnStdout(func(text string) { heard.WriteString(text) }))
	p.want(got.Text == "42" && got.Stdout == "out\n" && got.Stderr == "err\n" && got.Error == nil && !got.Truncated, "the result is %+v", got)
	p.want(heard.String() == "out\n", "the callback hears %q", heard.String())
	p.want(got.ExecutionCount >= 1, "the count is %d", got.ExecutionCount)
}

// codeState: the next cell has what the one before it left, also of another client.
func codeState(p *probe) {
	h := p.interpreter()
	first := p.cell(h, "x = 20")
	second := p.cell(h, "x += 1\nx")
	p.want(second.Text == "21" && second.ExecutionCount == first.ExecutionCount+1, "the result is %+v", second)
	other := p.cell(p.direct(p.key, wrenn.APIKey).Sandbox(h.ID()), "x * 2")
	p.want(other.Text == "42", "another client has %q", other.Text)
}

func codeResults(p *probe) {
	got := p.cell(p.interpreter(), `
from IPython.display import display, HTML
display(HTML("<b>bold</b>"))
class Both:
    def _repr_mimebundle_(self, **_):
        return {"text/plain": "plain", "application/json": {"a": 1}, "image/png": "iVBORw0KGgo="}
Both()`)
	p.want(len(got.Results) == 2, "there are %d results, want 2: %+v", len(got.Results), got)
	shown, main := got.Results[0], got.Results[1]
	p.want(!shown.IsMain && shown.HTML() == "<b>bold</b>", "the display is %v", shown.MIMETypes())
	p.want(main.IsMain && main.Text() == "plain" && string(main.PNG()) == "\x89PNG\r\n\x1a\n" && len(main.JSON()) > 0, "the value is %v", main.MIMETypes())
}

// codeException: the failure of a cell is a result, and the next one runs.
func codeException(p *probe) {
	h := p.interpreter()
	got := p.cell(h, "print('before')\n1 / 0")
	p.want(got.Error != nil && got.Error.Name == "ZeroDivisionError" && got.Error.Value != "" && len(got.Error.Traceback) > 0, "the result is %+v", got)
	p.want(got.Stdout == "before\n", "it printed %q", got.Stdout)
	p.want(p.cell(h, "'after'").Text == "'after'", "the next cell does not run")
}

// codeTimeout: a cell that takes too long is interrupted, and that is told.
func codeTimeout(p *probe) {
	h := p.interpreter()
	p.cell(h, "import time\nx = 1")
	got, err := h.RunCode(p.ctx, "print('begun', flush=True)\ntime.sleep(60)\nx = 2", wrenn.WithCodeTimeout(2*time.Second))
	p.caused(err, wrenn.ErrTimeout)
	p.want(!errors.Is(err, wrenn.ErrNotStopped), "the cell was not stopped")
	p.want(got != nil && got.Stdout == "begun\n", "what there was is %+v", got)
	p.want(p.cell(h, "x").Text == "1", "the cell went on")
}

func codeLanguage(p *probe) {
	_, err := p.interpreter().RunCode(p.ctx, "1", wrenn.WithLanguage("conformance"), wrenn.WithStartTimeout(waitFor))
	p.caused(err, wrenn.ErrUnknownLanguage)
}
