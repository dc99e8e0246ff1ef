package wrenn

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"
)

// FuzzKernelMessage has a cell take a message, once as its own and once as that of the request it says it is about. Its
// first seeds are what a real kernel said; more are in testdata.
func FuzzKernelMessage(f *testing.F) {
	for _, m := range [][2]string{
		busy, idle, input, replied, aborted, out("a"),
		{kindClear, `{"wait":true}`},
		{kindStatus, `{"execution_state":"restarting"}`},
		{kindError, `{"ename":"E","evalue":"v","traceback":["a"]}`},
		{kindReply, `{"status":"error","ename":"E"}`},
		{kindResult, `{"data":{"text/plain":"1","image/png":"AP8="},"execution_count":1}`},
		{kindStream, `{"name":null}`},
		{kindDisplay, `{"data":{"application/json":{"a":[1]},"text/html":["a","b"],"x":null},"transient":{"display_id":"d"}}`},
		{kindUpdate, `{"data":{"text/plain":"2"},"transient":{"display_id":"d"}}`},
	} {
		f.Add([]byte(message("request", "kernel", m)), false)
		f.Add(append([]byte("\x00\x00\x00\x01\x00\x00\x00\x08"), message("request", "request", m)...), true)
	}
	for _, frame := range []string{"", "null", "[]", "{}", `{"header":{"msg_type":"status"},"content":null}`, "\x00\x00\x00\x02\x00\x00\x00\x0c\xff\xff\xff\xff{}"} {
		f.Add([]byte(frame), false)
		f.Add([]byte(frame), true)
	}
	f.Fuzz(func(t *testing.T, frame []byte, isBinary bool) {
		m, err := parseKernelMessage(frame, isBinary)
		if err != nil {
			if !errors.Is(err, errBadFrame) || m.Header.Kind != "" {
				t.Fatalf("%+v, %v", m, err)
			}
			return
		}
		m.isDeath()
		o := &cellOutput{request: m.Parent.ID, session: "request", limit: 4096}
		for range 3 {
			if err := o.take(m); err != nil && !errors.Is(err, errBadFrame) {
				t.Fatal(err)
			}
		}
		checkOutput(t, o)
		stranger := &cellOutput{request: m.Parent.ID + "x"}
		if err := stranger.take(m); err != nil || stranger.begun {
			t.Fatalf("took a message of another request: %v", err)
		}
	})
}

// checkOutput looks for what no message may do to what is collected.
func checkOutput(t *testing.T, o *cellOutput) {
	r := o.collected()
	size := 0
	for _, output := range r.Results {
		size += output.size()
	}
	if len(r.Stdout)+len(r.Stderr) != o.written || o.written > o.limit || size != o.shown || size > o.limit || len(r.Results) > maxCodeResults {
		t.Fatalf("%d and %d bytes of streams, %d and %d bytes in %d results", len(r.Stdout)+len(r.Stderr), o.written, size, o.shown, len(r.Results))
	}
	if !utf8.ValidString(r.Stdout) || !utf8.ValidString(r.Stderr) {
		t.Fatalf("streams are %q, %q", r.Stdout, r.Stderr)
	}
}

// FuzzMIMEBundle reads a bundle and compares each form with what it was made of.
func FuzzMIMEBundle(f *testing.F) {
	for _, bundle := range []string{
		`{"text/plain":"1","text/html":"<b>","image/png":"` + pixel + `"}`, `{"application/json":{"a":1},"application/vnd.x+json":[null]}`,
		`{"text/plain":["a\n","b"],"image/svg+xml":["<svg>"]}`, `{"image/jpeg":"%","application/pdf":7,"audio/wav":null}`, `{"":"", ";":{}}`, `{}`,
	} {
		f.Add([]byte(bundle))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var bundle map[string]json.RawMessage
		if json.Unmarshal(raw, &bundle) != nil {
			return
		}
		o := codeOutputOf(bundle)
		for mime, raw := range bundle {
			content, there := o.Data[mime]
			var text *string
			isText := json.Unmarshal(raw, &text) == nil && text != nil
			var lines []string
			switch {
			case string(raw) == "null" && there && string(content) == "null", string(raw) == "null" && !there, string(content) == string(raw) && there:
			case isText && string(content) == *text && there:
			case isText && there && isBase64Of(*text, content):
			case !isText && json.Unmarshal(raw, &lines) == nil && there:
			default:
				t.Fatalf("%q: %s became %q, %v", mime, raw, content, there)
			}
		}
		if len(o.Data) > len(bundle) || len(o.MIMETypes()) != len(o.Data) {
			t.Fatalf("%d types of %d", len(o.Data), len(bundle))
		}
	})
}

func isBase64Of(text string, content []byte) bool {
	decoded, err := base64.StdEncoding.DecodeString(text)
	return err == nil && string(decoded) == string(content)
}
