package wrenn

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// brief is how long the tests wait for what does not come.
const brief = time.Second

// plain is a result of one plain text.
func plain(text string, isMain bool) CodeOutput {
	return CodeOutput{IsMain: isMain, Data: map[string][]byte{"text/plain": []byte(text)}}
}

func TestRunCode(t *testing.T) {
	shown := func(kind, data, more string) [2]string { return [2]string{kind, `{"data":` + data + more + `}`} }
	raised := [2]string{kindError, `{"ename":"E","evalue":"v","traceback":["a","b"]}`}
	raisedReply := [2]string{kindReply, `{"status":"error","execution_count":7,"ename":"E","evalue":"v","traceback":["a","b"]}`}
	e := &CodeError{Name: "E", Value: "v", Traceback: []string{"a", "b"}}
	for name, tc := range map[string]struct {
		messages [][2]string
		want     CodeResult
	}{
		"nothing":              {[][2]string{busy, replied, idle}, CodeResult{}},
		"the reply last":       {[][2]string{busy, input, idle, replied}, CodeResult{}},
		"output after a reply": {[][2]string{replied, out("a"), idle}, CodeResult{Stdout: "a"}},
		"streams": {
			[][2]string{out("a"), {kindStream, `{"name":"stderr","text":"b\ud800"}`}, out("c"), {kindStream, `{"name":"third","text":"d"}`}, idle, replied},
			CodeResult{Stdout: "ac", Stderr: "b\uFFFD"},
		},
		"a value": {
			[][2]string{shown(kindResult, `{"text/plain":"1"}`, `,"execution_count":7`), idle, replied},
			CodeResult{Text: "1", Results: []CodeOutput{plain("1", true)}},
		},
		"a display is no value":  {[][2]string{shown(kindDisplay, `{"text/plain":"1"}`, ""), idle, replied}, CodeResult{Results: []CodeOutput{plain("1", false)}}},
		"an exception":           {[][2]string{raised, raisedReply, idle}, CodeResult{Error: e}},
		"told late":              {[][2]string{raisedReply, raised, idle}, CodeResult{Error: e}},
		"told only in the reply": {[][2]string{idle, raisedReply}, CodeResult{Error: e}},
		"cleared at once":        {[][2]string{out("a"), shown(kindResult, `{"text/plain":"1"}`, ""), {kindClear, `{"wait":false}`}, idle, replied}, CodeResult{}},
		"cleared by the next":    {[][2]string{out("a"), {kindClear, `{"wait":true}`}, out("b"), out("c"), idle, replied}, CodeResult{Stdout: "bc"}},
		"cleared by nothing":     {[][2]string{out("a"), {kindClear, `{"wait":true}`}, idle, replied}, CodeResult{Stdout: "a"}},
		"updated": {[][2]string{
			shown(kindDisplay, `{"text/plain":"1"}`, `,"transient":{"display_id":"d"}`), shown(kindDisplay, `{"text/plain":"2"}`, ""),
			shown(kindUpdate, `{"text/plain":"3"}`, `,"transient":{"display_id":"d"}`), shown(kindUpdate, `{"text/plain":"4"}`, `,"transient":{"display_id":"other"}`),
			shown(kindUpdate, `{"text/plain":"5"}`, ""), idle, replied,
		}, CodeResult{Results: []CodeOutput{{Data: map[string][]byte{"text/plain": []byte("3")}, DisplayID: "d"}, plain("2", false)}}},
		"other kinds":   {[][2]string{{"comm_open", `{"data":1,"name":[]}`}, {"debug_event", `7`}, {"kernel_info_reply", `{}`}, idle, replied}, CodeResult{}},
		"another state": {[][2]string{{kindStatus, `{"execution_state":"starting"}`}, idle, replied}, CodeResult{}},
	} {
		t.Run(name, func(t *testing.T) {
			h, g := scripted(t, func(ctx context.Context, k *kernelEnd) {
				// What is about another request is nothing of this one's.
				for _, m := range [][2]string{out("other"), idle, replied} {
					k.raise(ctx, "another", "kernel", m)
				}
				k.say(ctx, tc.messages...)
				k.stay(ctx)
			})
			var told []CodeError
			r, err := h.RunCode(t.Context(), "x", OnError(func(e CodeError) { told = append(told, e) }))
			if err != nil {
				t.Fatal(err)
			}
			tc.want.ExecutionCount = 7
			if diff := cmp.Diff(&tc.want, r); diff != "" {
				t.Errorf("result differs (-want +got):\n%s", diff)
			}
			if len(told) > 1 || (len(told) == 1) != (tc.want.Error != nil) {
				t.Errorf("told %+v", told)
			}
			if requests := g.requests(); requests != nil {
				t.Errorf("asked for %q too", requests)
			}
		})
	}
}

func TestRunCodeRequest(t *testing.T) {
	var raw [2]string
	var sessions [2]string
	n := 0
	h, _ := scripted(t, func(ctx context.Context, k *kernelEnd) {
		raw[n], sessions[n] = k.raw, k.session
		n++
		k.say(ctx, idle, replied)
		k.stay(ctx)
	})
	for range raw {
		if _, err := h.RunCode(t.Context(), "print('<\u2028>')"); err != nil {
			t.Fatal(err)
		}
	}
	var request map[string]any
	if err := json.Unmarshal([]byte(raw[0]), &request); err != nil {
		t.Fatal(err)
	}
	header, _ := request["header"].(map[string]any)
	for _, changing := range []string{"msg_id", "session", "date"} {
		if text, _ := header[changing].(string); text == "" {
			t.Errorf("header has no %s", changing)
		}
		delete(header, changing)
	}
	if diff := cmp.Diff(map[string]any{
		"header":        map[string]any{"msg_type": "execute_request", "version": "5.3", "username": "wrenn"},
		"parent_header": map[string]any{}, "metadata": map[string]any{}, "channel": "shell", "buffers": []any{},
		"content": map[string]any{
			"code": "print('<\u2028>')", "silent": false, "store_history": true, "user_expressions": map[string]any{},
			"allow_stdin": false, "stop_on_error": false,
		},
	}, request); diff != "" {
		t.Errorf("request differs (-want +got):\n%s", diff)
	}
	if sessions[0] == "" || sessions[0] == sessions[1] {
		t.Errorf("sessions are %q", sessions)
	}
}

func TestRunCodeRefuses(t *testing.T) {
	h, g := scripted(t, nil)
	for name, call := range map[string]func() (*CodeResult, error){
		"another language": func() (*CodeResult, error) { return h.RunCode(t.Context(), "x", WithLanguage("../x")) },
		"no language":      func() (*CodeResult, error) { return h.RunCode(t.Context(), "x", WithLanguage("")) },
		"no port":          func() (*CodeResult, error) { return h.RunCode(t.Context(), "x", WithInterpreterPort(0)) },
		"not UTF-8":        func() (*CodeResult, error) { return h.RunCode(t.Context(), "x = '\xff'") },
		"too large":        func() (*CodeResult, error) { return h.RunCode(t.Context(), strings.Repeat("x", maxCodeMessage)) },
		"another id":       func() (*CodeResult, error) { return h.c.Sandbox("cl-x").RunCode(t.Context(), "x") },
	} {
		r, err := call()
		if e := asError(t, err); !errors.Is(e, ErrInvalidArgument) || e.Ambiguous || r != nil {
			t.Errorf("%s: %+v, %+v", name, r, e)
		}
	}
	if len(g.seen) > 0 {
		t.Errorf("sent %q", g.seen)
	}
}

func TestRunCodeKeepsToItsLimits(t *testing.T) {
	show := func(kind, text string) [2]string {
		return [2]string{kind, `{"data":{"text/plain":"` + text + `"},"transient":{"display_id":"d"}}`}
	}
	long, larger := strings.Repeat("x", 200), strings.Repeat("x", 900)
	for name, tc := range map[string]struct {
		script func(context.Context, *kernelEnd)
		want   CodeResult
		heard  string
	}{
		"streams keep the beginning": {func(ctx context.Context, k *kernelEnd) {
			k.say(ctx, out(strings.Repeat("x", 999)), out("€"), out("y"))
		}, CodeResult{Stdout: strings.Repeat("x", 999), Truncated: true}, strings.Repeat("x", 999) + "€y"},
		"results that fit": {func(ctx context.Context, k *kernelEnd) {
			k.say(ctx, show(kindDisplay, long), show(kindDisplay, larger), show(kindResult, "y"), show(kindUpdate, larger))
		}, CodeResult{Text: "y", Results: []CodeOutput{
			{Data: map[string][]byte{"text/plain": []byte(long)}, DisplayID: "d"}, {Data: map[string][]byte{"text/plain": []byte("y")}, DisplayID: "d", IsMain: true},
		}, Truncated: true}, ""},
		"a message too large": {func(ctx context.Context, k *kernelEnd) {
			k.say(ctx, out("a"), out(strings.Repeat("x", 2<<20)), out("b"))
		}, CodeResult{Stdout: "ab", Truncated: true}, "ab"},
		"what the server dropped": {func(ctx context.Context, k *kernelEnd) {
			k.say(ctx, out("a"))
			k.raise(ctx, k.request.Header.ID, k.session, [2]string{kindStream, `{"name":"stderr","text":"IOPub data rate exceeded."}`})
		}, CodeResult{Stdout: "a", Truncated: true}, "a"},
		"cleared in time": {func(ctx context.Context, k *kernelEnd) {
			for range 20 {
				k.say(ctx, [2]string{kindClear, `{"wait":true}`}, out(long), show(kindDisplay, long))
			}
		}, CodeResult{Stdout: long, Results: []CodeOutput{{Data: map[string][]byte{"text/plain": []byte(long)}, DisplayID: "d"}}}, strings.Repeat(long, 20)},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := scripted(t, func(ctx context.Context, k *kernelEnd) {
				tc.script(ctx, k)
				k.say(ctx, idle, replied)
				k.stay(ctx)
			})
			var heard strings.Builder
			r, err := h.RunCode(t.Context(), "x", WithOutputLimit(1000), OnStdout(func(text string) { heard.WriteString(text) }))
			if err != nil {
				t.Fatal(err)
			}
			tc.want.ExecutionCount = 7
			if diff := cmp.Diff(&tc.want, r); diff != "" {
				t.Errorf("result differs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.heard, heard.String()); diff != "" {
				t.Errorf("heard other things (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("many", func(t *testing.T) {
		h, _ := scripted(t, func(ctx context.Context, k *kernelEnd) {
			for range maxCodeResults + 1 {
				k.say(ctx, [2]string{kindDisplay, `{"data":{}}`})
			}
			k.say(ctx, [2]string{kindError, `{"ename":"E","evalue":"` + strings.Repeat("v", maxCodeError) + `","traceback":["a","b"]}`}, idle, replied)
			k.stay(ctx)
		})
		r, err := h.RunCode(t.Context(), "x")
		if err != nil || len(r.Results) != maxCodeResults || !r.Truncated {
			t.Fatalf("%d results, truncated %v, %v", len(r.Results), r.Truncated, err)
		}
		if len(r.Error.Value) != maxCodeError-1 || r.Error.Traceback != nil {
			t.Fatalf("%d bytes of the exception, traceback %q", len(r.Error.Value), r.Error.Traceback)
		}
	})
}

func TestRunCodeTellsAsItComes(t *testing.T) {
	steps := make(chan struct{})
	h, _ := scripted(t, func(ctx context.Context, k *kernelEnd) {
		// Each message waits until the one before it was told.
		k.say(ctx, [2]string{kindDisplay, `{"data":{"text/plain":"0"},"transient":{"display_id":"d"}}`})
		<-steps
		k.say(ctx, [2]string{kindUpdate, `{"data":{"text/plain":"1"},"transient":{"display_id":"d"}}`})
		<-steps
		k.say(ctx, out(""), out("2"))
		<-steps
		k.say(ctx, [2]string{kindStream, `{"name":"stderr","text":"3"}`})
		<-steps
		k.say(ctx, [2]string{kindError, `{"ename":"E","evalue":"4"}`}, idle, replied)
		k.stay(ctx)
	})
	var heard []string
	hear := func(text string) {
		heard = append(heard, strconv.Itoa(len(heard))+"="+text)
		if len(heard) < 5 {
			steps <- struct{}{}
		}
	}
	_, err := h.RunCode(t.Context(), "x", OnStdout(hear), OnStderr(hear), OnResult(func(o CodeOutput) { hear(o.Text()) }),
		OnError(func(e CodeError) { hear(e.Value) }))
	if err != nil || !slices.Equal(heard, []string{"0=0", "1=1", "2=2", "3=3", "4=4"}) {
		t.Fatalf("heard %q, %v", heard, err)
	}
}

func TestRunCodeReadsBinaryMessages(t *testing.T) {
	h, _ := scripted(t, func(ctx context.Context, k *kernelEnd) {
		text := message(k.request.Header.ID, "kernel", out("a"))
		for _, frame := range []string{
			"\x00\x00\x00\x01\x00\x00\x00\x08" + text,
			"\x00\x00\x00\x02\x00\x00\x00\x0c" + string(binary.BigEndian.AppendUint32(nil, uint32(12+len(text)))) + text + "buffer", //nolint:gosec // It is short.
		} {
			_ = k.conn.Write(ctx, websocket.MessageBinary, []byte(frame))
		}
		k.say(ctx, idle, replied)
		k.stay(ctx)
	})
	if r, err := h.RunCode(t.Context(), "x"); err != nil || r.Stdout != "aa" {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestMIMEContent(t *testing.T) {
	for name, tc := range map[string]struct{ mime, raw, want string }{
		"text":               {"text/plain", `"a\n"`, "a\n"},
		"lines":              {"text/html", `["a\n","b"]`, "a\nb"},
		"base64":             {"image/png", `"AP8="`, "\x00\xff"},
		"base64 in lines":    {"image/jpeg", `"AP8=\n"`, "\x00\xff"},
		"bad base64":         {"image/png", `"%"`, "%"},
		"parameters":         {"image/png; x=y", `"AP8="`, "\x00\xff"},
		"sound":              {"audio/wav", `"AP8="`, "\x00\xff"},
		"PDF":                {"application/pdf", `"AP8="`, "\x00\xff"},
		"SVG is a text":      {"image/svg+xml", `"AP8="`, "AP8="},
		"JSON":               {"application/json", `{"a": 1}`, `{"a": 1}`},
		"a JSON text":        {"application/json", `"a"`, `"a"`},
		"a JSON list":        {"application/geo+json", `["a"]`, `["a"]`},
		"JSON null":          {"application/json", `null`, `null`},
		"a number for text":  {"text/plain", `1`, `1`},
		"an object for text": {"text/plain", `{"a":1}`, `{"a":1}`},
	} {
		if got := string(mimeContent(tc.mime, json.RawMessage(tc.raw))); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	o := codeOutputOf(map[string]json.RawMessage{"text/plain": json.RawMessage("null"), "b/x": json.RawMessage(`""`), "a/x": json.RawMessage(`""`)})
	if got := o.MIMETypes(); !slices.Equal(got, []string{"a/x", "b/x"}) {
		t.Errorf("types are %q", got)
	}
}
