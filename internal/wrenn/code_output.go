package wrenn

import (
	"slices"
	"strings"
)

const (
	// defaultCodeOutput is how much is kept of a cell's stdout and stderr, and again of its results, in bytes.
	defaultCodeOutput = 16 << 20
	// maxCodeResults is how many results are kept of a cell.
	maxCodeResults = 1000
	// maxCodeError is how much is kept of an exception, in bytes, on top of all else.
	maxCodeError = 256 << 10
)

// cellOutput collects what the kernel says of one cell, as a notebook's front end would.
type cellOutput struct {
	// request and session are those of the cell.
	request, session string
	limit            int
	callbacks        callbacks

	stdout, stderr strings.Builder
	// written and shown are the bytes that are kept of the streams, and of the results.
	written, shown int
	// full: some of the streams was left out, and nothing more is kept: it would leave a hole.
	full bool
	// clearing: the next output takes the place of all before it.
	clearing bool
	result   CodeResult

	// begun: the kernel has taken the cell up. idle: it is done with it, and all output has come. replied: it has told how
	// the cell ended, with aborted when it never began.
	begun, idle, replied, aborted bool
}

// take notes a message. Those that belong to other requests, and of other kinds, change nothing.
func (o *cellOutput) take(m kernelMessage) error {
	if m.Parent.ID != o.request {
		return nil
	}
	o.begun = true
	switch m.Header.Kind {
	case kindStatus, kindInput, kindReply, kindStream, kindResult, kindDisplay, kindUpdate, kindClear, kindError:
	default:
		return nil
	}
	c, err := m.content()
	if err != nil {
		return err
	}
	if c.Count != nil {
		o.result.ExecutionCount = *c.Count
	}
	switch m.Header.Kind {
	case kindStatus:
		o.idle = o.idle || c.State == stateIdle
	case kindReply:
		o.reply(c)
	case kindStream:
		o.stream(m, c)
	case kindResult, kindDisplay:
		o.display(m, c)
	case kindUpdate:
		o.update(c)
	case kindClear:
		// Without waiting the output is gone at once, with waiting when there is other to take its place.
		if o.clearing = c.Wait; !c.Wait {
			o.clear()
		}
	case kindError:
		o.clearIfDue()
		o.fail(c)
	}
	return nil
}

// reply takes the kernel's word on how the cell ended.
func (o *cellOutput) reply(c messageContent) {
	o.replied = true
	switch c.Status {
	case "error":
		o.fail(c)
	case "aborted", "abort":
		o.aborted = true
	}
}

// fail takes the exception, which is told twice: among the output, where a server may drop it, and in the reply. Either
// can come first.
func (o *cellOutput) fail(c messageContent) {
	if o.result.Error != nil {
		return
	}
	e := &CodeError{}
	room := maxCodeError
	take := func(text string) string {
		kept := beginning(text, room)
		room -= len(kept)
		if len(kept) < len(text) {
			o.result.Truncated = true
		}
		return kept
	}
	e.Name, e.Value = take(c.EName), take(c.EValue)
	for _, line := range c.Traceback {
		if room <= 0 {
			o.result.Truncated = true
			break
		}
		e.Traceback = append(e.Traceback, take(line))
		room -= len("\n")
	}
	o.result.Error = e
	o.callbacks.fail(*e)
}

func (o *cellOutput) stream(m kernelMessage, c messageContent) {
	// The server tells in the kernel's place, in a stream of its own, when it drops output that came too fast.
	if m.Header.Session == o.session {
		o.result.Truncated = true
		return
	}
	o.clearIfDue()
	switch c.Name {
	case "stdout":
		o.keep(&o.stdout, c.Text)
		o.callbacks.write(o.callbacks.stdout, c.Text)
	case "stderr":
		o.keep(&o.stderr, c.Text)
		o.callbacks.write(o.callbacks.stderr, c.Text)
	}
}

func (o *cellOutput) keep(b *strings.Builder, text string) {
	if o.full {
		return
	}
	kept := beginning(text, o.limit-o.written)
	b.WriteString(kept)
	o.written += len(kept)
	if len(kept) < len(text) {
		o.full, o.result.Truncated = true, true
	}
}

func (o *cellOutput) display(m kernelMessage, c messageContent) {
	o.clearIfDue()
	output := codeOutputOf(c.Data)
	output.IsMain, output.DisplayID = m.Header.Kind == kindResult, c.Transient.DisplayID
	if size := output.size(); len(o.result.Results) < maxCodeResults && o.shown+size <= o.limit {
		o.result.Results = append(o.result.Results, output)
		o.shown += size
		if output.IsMain {
			o.result.Text = output.Text()
		}
	} else {
		o.result.Truncated = true
	}
	o.callbacks.show(output)
}

// update changes the displays of an id. Those of earlier cells are nothing of this one's.
func (o *cellOutput) update(c messageContent) {
	if c.Transient.DisplayID == "" {
		return
	}
	output := codeOutputOf(c.Data)
	output.DisplayID = c.Transient.DisplayID
	found := false
	for i, old := range o.result.Results {
		if old.DisplayID != output.DisplayID {
			continue
		}
		found, output.IsMain = true, old.IsMain
		shown := o.shown - old.size() + output.size()
		if shown > o.limit {
			o.result.Truncated = true
			continue
		}
		o.shown, o.result.Results[i] = shown, output
		if output.IsMain {
			o.result.Text = output.Text()
		}
	}
	if found {
		o.callbacks.show(output)
	}
}

func (o *cellOutput) clearIfDue() {
	if o.clearing {
		o.clear()
	}
}

// clear forgets all output, as a front end does. An exception stays.
func (o *cellOutput) clear() {
	o.stdout.Reset()
	o.stderr.Reset()
	o.result.Results, o.result.Text = nil, ""
	o.written, o.shown, o.full, o.clearing = 0, 0, false, false
}

// collected returns what there is.
func (o *cellOutput) collected() *CodeResult {
	r := o.result
	r.Stdout, r.Stderr, r.Results = o.stdout.String(), o.stderr.String(), slices.Clone(r.Results)
	return &r
}
