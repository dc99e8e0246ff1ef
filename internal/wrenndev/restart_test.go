package wrenndev

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStateSurvivesARestart(t *testing.T) {
	for _, isolation := range isolations(t) {
		t.Run(isolation.String(), func(t *testing.T) {
			cfg := Config{DataDir: filepath.Join(t.TempDir(), "data"), Isolation: isolation, Teams: []Team{{Name: "a"}, {Name: "b"}}}
			first := start(t, cfg)
			c := first.client(t, pathS)
			running, paused, stopped := c.create(), c.create(`{"timeout_sec":-7}`), c.create()
			c.sh(paused, counter+"\necho kept > file")
			c.want(http.StatusCreated, "", http.MethodPost, "/v1/snapshots", snapshotBody(paused, "snap"))
			c.want(http.StatusNoContent, "", http.MethodDelete, pathS+"/"+stopped, nil)
			pausedRow := c.do(http.MethodGet, pathS+"/"+paused, nil)
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			// A snapshot that was being taken when the server was killed.
			half := filepath.Join(cfg.DataDir, "snapshots", "half")
			if err := os.Mkdir(half, 0o700); err != nil {
				t.Fatal(err)
			}

			second := start(t, cfg)
			if first.APIKey() != second.APIKey() || first.APIKeyOf("b") != second.APIKeyOf("b") || first.AdminToken() != second.AdminToken() {
				t.Error("credentials changed")
			}
			if who, err := second.auth.byToken(first.Token()); err != nil || who.team == "" {
				t.Errorf("token of before: %v", err)
			}
			if _, err := os.Stat(half); !os.IsNotExist(err) {
				t.Error("half a snapshot is left")
			}
			c = second.client(t, pathS)
			wait(t, "what ran is stopped", func() bool { return c.status(running) == StatusStopped })
			if got := c.status(stopped); got != StatusStopped {
				t.Errorf("stopped is %s", got)
			}
			if diff := cmp.Diff(string(pausedRow.body), string(c.do(http.MethodGet, pathS+"/"+paused, nil).body)); diff != "" {
				t.Error(diff)
			}
			c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+paused+"/resume", nil)
			if got := c.sh(paused, "cat file"); got.Stdout != "kept\n" {
				t.Errorf("%+v", got)
			}
			if info, _ := second.Sandbox(paused); info.Processes != 0 {
				t.Errorf("%d processes survived", info.Processes)
			}
			made := c.create(`{"template":"snap"}`)
			if got := c.sh(made, "cat file"); got.Stdout != "kept\n" {
				t.Errorf("%+v", got)
			}
			for _, id := range []string{running, paused, made} {
				c.want(http.StatusNoContent, "", http.MethodDelete, pathS+"/"+id, nil)
			}
			if left, err := os.ReadDir(filepath.Join(cfg.DataDir, "sandboxes")); err != nil || len(left) != 0 {
				t.Errorf("%v, %v", left, err)
			}
		})
	}
}

func TestADataDirHasOneServer(t *testing.T) {
	cfg := Config{DataDir: t.TempDir()}
	start(t, cfg)
	if s, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "another server uses it") {
		t.Errorf("%v, %v", s, err)
	}
}

func TestAHalfWrittenLineIsForgotten(t *testing.T) {
	cfg := Config{DataDir: t.TempDir()}
	first := start(t, cfg)
	id := first.client(t, pathS).create()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(cfg.DataDir, "state.jsonl"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"sandbox":{"id":"cl-`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := start(t, cfg).Sandboxes(); len(got) != 1 || got[0].ID != id {
		t.Errorf("%+v", got)
	}
}

func TestBadStateIsAnErrorThatNamesTheFile(t *testing.T) {
	for file, text := range map[string]string{"state.jsonl": "nonsense\n", "credentials.json": "nonsense"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Start(t.Context(), Config{DataDir: dir}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	key := "wrn_" + strings.Repeat("a", 32)
	for name, cfg := range map[string]Config{
		"all addresses":    {Addr: ":0"},
		"another address":  {Addr: "192.0.2.1:80"},
		"a name":           {Addr: "example.com:80"},
		"no port":          {Addr: "127.0.0.1"},
		"key form":         {Teams: []Team{{Name: "a", APIKeys: []string{"wrn_123"}}}},
		"key given twice":  {Teams: []Team{{Name: "a", APIKeys: []string{key}}, {Name: "b", APIKeys: []string{key}}}},
		"team given twice": {Teams: []Team{{Name: "a"}, {Name: "a"}}},
		"team unnamed":     {Teams: []Team{{}}},
		"template name":    {Templates: []string{"-x"}},
	} {
		if _, err := Start(t.Context(), cfg); err == nil || strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
