package wrenn

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"
)

// capsuleOnly are the operations on sandboxes that generation Capsules has and the other has not.
var capsuleOnly = []operation{
	{
		name: "usage", method: "GET", path: "/usage?from=2026-01-01&to=2026-01-02", status: 200,
		answer: `{"from":"2026-01-01","to":"2026-01-02","points":[{"date":"2026-01-02","cpu_minutes":1.5,"ram_mb_minutes":2}]}`,
		want: &Usage{
			From: at.Truncate(24*time.Hour).AddDate(0, 0, -1), To: at.Truncate(24 * time.Hour),
			Points: []UsagePoint{{Day: at.Truncate(24 * time.Hour), CPUMinutes: 1.5, MemoryMBMinutes: 2}},
		},
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.Sandboxes.Usage(ctx, at.AddDate(0, 0, -1), at)
		},
	},
	{
		name: "exec background", method: "POST", path: "/" + testID + "/exec", status: 202,
		body:   `{"args":["9"],"background":true,"cmd":"sleep","cwd":"/tmp","envs":{"A":"b"},"tag":"nap"}`,
		answer: `{"sandbox_id":"` + testID + `","cmd":"sleep","pid":7,"tag":"nap"}`, want: &BackgroundProcess{PID: 7, Tag: "nap"},
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.Sandbox(testID).ExecBackground(ctx, BackgroundRequest{
				Cmd: "sleep", Args: []string{"9"}, Tag: "nap", Env: map[string]string{"A": "b"}, Dir: "/tmp",
			})
		},
	},
	{
		name: "processes", method: "GET", path: "/" + testID + "/processes", status: 200,
		answer: `{"processes":[{"pid":7,"tag":"nap","cmd":"sleep","args":["9"]},{"pid":8,"cmd":"true"}]}`,
		want:   []Process{{PID: 7, Tag: "nap", Cmd: "sleep", Args: []string{"9"}}, {PID: 8, Cmd: "true"}},
		call:   func(ctx context.Context, c *Client) (any, error) { return c.Sandbox(testID).Processes(ctx) },
	},
	{
		name: "kill by pid", method: "DELETE", path: "/" + testID + "/processes/7", status: 204,
		call: func(ctx context.Context, c *Client) (any, error) {
			return none(c.Sandbox(testID).KillProcess(ctx, ByPID(7), ""))
		},
	},
	{
		name: "kill by tag", method: "DELETE", path: "/" + testID + "/processes/a%20nap?signal=SIGTERM", status: 204,
		call: func(ctx context.Context, c *Client) (any, error) {
			return none(c.Sandbox(testID).KillProcess(ctx, ByTag("a nap"), SIGTERM))
		},
	},
	{
		name: "list files", method: "POST", path: "/" + testID + "/files/list", status: 200, body: `{"depth":2,"path":"/etc"}`,
		answer: `{"entries":[` + entryJSON + `]}`, want: []FileEntry{wantEntry},
		call: func(ctx context.Context, c *Client) (any, error) { return c.Sandbox(testID).ListFiles(ctx, "/etc", 2) },
	},
	{
		name: "make directory", method: "POST", path: "/" + testID + "/files/mkdir", status: 200, body: `{"path":"/a"}`,
		answer: `{"entry":` + entryJSON + `}`, want: &wantEntry,
		call: func(ctx context.Context, c *Client) (any, error) { return c.Sandbox(testID).MakeDir(ctx, "/a") },
	},
	{
		name: "remove file", method: "POST", path: "/" + testID + "/files/remove", status: 204, body: `{"path":"/a"}`,
		call: func(ctx context.Context, c *Client) (any, error) {
			return none(c.Sandbox(testID).RemoveFile(ctx, "/a"))
		},
	},
}

const entryJSON = `{"name":"a","path":"/a","type":"symlink","size":3,"mode":511,"permissions":"Lrwxrwxrwx","owner":"root","group":"root",` +
	`"modified_at":60,"symlink_target":"b"}`

var wantEntry = FileEntry{
	Name: "a", Path: "/a", Type: FileSymlink, Size: 3, Mode: 0o777, Permissions: "Lrwxrwxrwx", Owner: "root", Group: "root",
	ModifiedAt: time.Unix(60, 0).UTC(), SymlinkTarget: "b",
}

func TestInvalidCapsuleArgumentsAreNotSent(t *testing.T) {
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s %s", r.Method, r.URL) }, WithGeneration(GenerationCapsules))
	h := c.Sandbox(testID)
	for name, call := range map[string]func(context.Context) error{
		"background nothing": func(ctx context.Context) error { _, err := h.ExecBackground(ctx, BackgroundRequest{}); return err },
		"background digits": func(ctx context.Context) error {
			_, err := h.ExecBackground(ctx, BackgroundRequest{Cmd: "a", Tag: "123"})
			return err
		},
		"background slash": func(ctx context.Context) error {
			_, err := h.ExecBackground(ctx, BackgroundRequest{Cmd: "a", Tag: "a/b"})
			return err
		},
		"kill digits":    func(ctx context.Context) error { return h.KillProcess(ctx, ByTag("12"), "") },
		"kill nothing":   func(ctx context.Context) error { return h.KillProcess(ctx, ProcessSelector{}, "") },
		"kill dots":      func(ctx context.Context) error { return h.KillProcess(ctx, ByTag(".."), "") },
		"kill all":       func(ctx context.Context) error { return h.KillProcess(ctx, ByPID(-1), "") },
		"kill the group": func(ctx context.Context) error { return h.KillProcess(ctx, ByPID(0), "") },
		"kill gently":    func(ctx context.Context) error { return h.KillProcess(ctx, ByPID(1), "SIGHUP") },
		"stream":         func(ctx context.Context) error { _, err := h.ProcessStream(ctx, ByTag("")); return err },
		"list":           func(ctx context.Context) error { _, err := h.ListFiles(ctx, "", 0); return err },
		"list backwards": func(ctx context.Context) error { _, err := h.ListFiles(ctx, "/", -1); return err },
		"mkdir":          func(ctx context.Context) error { _, err := h.MakeDir(ctx, "a\x00"); return err },
		"remove":         func(ctx context.Context) error { return h.RemoveFile(ctx, "") },
		"pty":            func(ctx context.Context) error { _, err := h.ConnectPty(ctx, ""); return err },
		"pty id":         func(ctx context.Context) error { _, err := c.Sandbox("x").OpenPty(ctx, PtyRequest{}); return err },
		"usage": func(ctx context.Context) error {
			_, err := c.Sandboxes.Usage(ctx, at, at.AddDate(0, 0, -1))
			return err
		},
		"long usage": func(ctx context.Context) error {
			_, err := c.Sandboxes.Usage(ctx, at, at.AddDate(0, 0, 93))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if e := asError(t, call(t.Context())); !errors.Is(e, ErrInvalidArgument) || e.Ambiguous {
				t.Fatalf("error is %+v", e)
			}
		})
	}
}

func init() {
	for i := range capsuleOnly {
		capsuleOnly[i].only = GenerationCapsules
	}
}
