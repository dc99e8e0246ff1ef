package wrenn

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// CodeResult is what a cell left.
type CodeResult struct {
	// Text is the value of the cell's last expression as plain text, as the language shows it: a string of Python has its
	// quotes. It is empty when there is no value.
	Text string
	// Stdout and Stderr are what the cell wrote. What is not UTF-8 was replaced by U+FFFD.
	Stdout, Stderr string
	// Results are the value of the last expression, if there is one, and what the cell displayed, in order.
	Results []CodeOutput
	// Error is the exception that ended the cell, nil when none did.
	Error *CodeError
	// ExecutionCount is the number of the cell among all that the kernel ran, from 1; 0 when it is not known. A kernel that
	// was restarted between two cells starts with 1 again, and without what was there.
	ExecutionCount int
	// Truncated is true when there was more output than is here. Beyond the limit the beginning of stdout and stderr, and
	// the results that fit, are kept. A Jupyter server drops some of what comes too fast, by default more than 1 MB a second:
	// then there are holes.
	Truncated bool
}

// CodeError is an exception of a cell.
type CodeError struct {
	// Name is its kind, like "ZeroDivisionError", and Value its text.
	Name, Value string
	// Traceback is for people, and in the colors of a terminal.
	Traceback []string
}

// CodeOutput is a value or a display, in all the forms that the cell gave it.
type CodeOutput struct {
	// IsMain is true for the value of the cell's last expression.
	IsMain bool
	// Data has the content by MIME type. Images, sounds, videos and PDF are bytes, unless the cell made a mistake in their
	// base64, which is then kept as it is; JSON types are JSON texts; everything else is UTF-8.
	Data map[string][]byte
	// DisplayID is what the cell names the display by when it changes it, and mostly empty.
	DisplayID string
}

// MIMETypes returns the types that the output has, sorted.
func (o CodeOutput) MIMETypes() []string { return slices.Sorted(maps.Keys(o.Data)) }

// Text returns the plain text, which nearly every output has.
func (o CodeOutput) Text() string { return string(o.Data["text/plain"]) }

// HTML returns the HTML, empty when there is none, as all that follow do.
func (o CodeOutput) HTML() string { return string(o.Data["text/html"]) }

// Markdown returns the Markdown.
func (o CodeOutput) Markdown() string { return string(o.Data["text/markdown"]) }

// LaTeX returns the LaTeX.
func (o CodeOutput) LaTeX() string { return string(o.Data["text/latex"]) }

// SVG returns the picture as SVG text.
func (o CodeOutput) SVG() string { return string(o.Data["image/svg+xml"]) }

// JavaScript returns the program.
func (o CodeOutput) JavaScript() string { return string(o.Data["application/javascript"]) }

// JSON returns the JSON text.
func (o CodeOutput) JSON() json.RawMessage { return o.Data["application/json"] }

// PNG returns the bytes of the picture.
func (o CodeOutput) PNG() []byte { return o.Data["image/png"] }

// JPEG returns the bytes of the picture.
func (o CodeOutput) JPEG() []byte { return o.Data["image/jpeg"] }

// PDF returns the bytes of the document.
func (o CodeOutput) PDF() []byte { return o.Data["application/pdf"] }

// codeOutputOf reads a MIME bundle. A type whose content is null is left out.
func codeOutputOf(bundle map[string]json.RawMessage) CodeOutput {
	o := CodeOutput{Data: make(map[string][]byte, len(bundle))}
	for mime, raw := range bundle {
		if content := mimeContent(mime, raw); content != nil {
			o.Data[mime] = content
		}
	}
	return o
}

// mimeContent reads the content of one type, nil for null. What is neither of a JSON type nor a text stays the JSON it is.
func mimeContent(mime string, raw json.RawMessage) []byte {
	media, _, _ := strings.Cut(mime, ";")
	media = strings.TrimSpace(media)
	if media == "application/json" || strings.HasSuffix(media, "+json") {
		return raw
	}
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	text, ok := textOf(raw)
	if !ok {
		return raw
	}
	if isBinaryType(media) {
		if content, err := base64.StdEncoding.DecodeString(text); err == nil {
			return content
		}
	}
	return []byte(text)
}

// textOf reads a text, which may be split into lines as in a notebook's file.
func textOf(raw json.RawMessage) (string, bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, true
	}
	var lines []string
	if json.Unmarshal(raw, &lines) == nil {
		return strings.Join(lines, ""), true
	}
	return "", false
}

func isBinaryType(media string) bool {
	if strings.HasSuffix(media, "+xml") {
		return false
	}
	kind, _, _ := strings.Cut(media, "/")
	switch kind {
	case "image", "audio", "video":
		return true
	}
	return media == "application/pdf"
}

// size is what the output costs in memory, in bytes, nearly.
func (o CodeOutput) size() int {
	const perType = 64
	n := len(o.DisplayID)
	for mime, content := range o.Data {
		n += len(mime) + len(content) + perType
	}
	return n
}
