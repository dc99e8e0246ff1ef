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

// Each of them waits for a Jupyter server to start, so they are few.
var codeChecks = []check{
	{name: "run-code", run: runCode},
	{name: "run-code-results", run: codeResults},
	{name: "run-code-timeout", run: codeTimeout},
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

// runCode: the next cell has what the one before it left, also of another client and after one that failed.
func runCode(p *probe) {
	h := p.interpreter()
	var heard strings.Builder
	first := p.cell(h, "import sys\nprint('out')\nprint('err', file=sys.stderr)\nx = 20\n6 * 7", wrenn.OnStdout(func(text string) { heard.WriteString(text) }))
	p.want(first.Text == "42" && first.Stdout == "out\n" && first.Stderr == "err\n" && first.Error == nil && !first.Truncated, "the result is %+v", first)
	p.want(heard.String() == "out\n", "the callback hears %q", heard.String())
	second := p.cell(h, "x += 1\nx")
	p.want(second.Text == "21" && first.ExecutionCount >= 1 && second.ExecutionCount == first.ExecutionCount+1, "the results are %+v, %+v", first, second)
	failed := p.cell(h, "print('before')\n1 / 0")
	p.want(failed.Error != nil && failed.Error.Name == "ZeroDivisionError" && failed.Error.Value != "" && len(failed.Error.Traceback) > 0 &&
		failed.Stdout == "before\n", "the result of an exception is %+v", failed)
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

// codeTimeout: a cell that takes too long is interrupted, and that is told.
func codeTimeout(p *probe) {
	h := p.interpreter()
	p.cell(h, "import time\nx = 1")
	got, err := h.RunCode(p.ctx, "print('begun', flush=True)\ntime.sleep(60)\nx = 2", wrenn.WithCodeTimeout(2*time.Second))
	p.caused(err, wrenn.ErrTimeout)
	p.want(!errors.Is(err, wrenn.ErrNotStopped), "the cell was not stopped")
	p.want(got != nil && got.Stdout == "begun\n", "what there was is %+v", got)
	p.want(p.cell(h, "x").Text == "1", "the cell went on")
	_, err = h.RunCode(p.ctx, "1", wrenn.WithLanguage("conformance"))
	p.caused(err, wrenn.ErrUnknownLanguage)
}
