package wrenndev

import (
	"net/http"
	"strings"
	"testing"
)

func TestAPIKeys(t *testing.T) {
	for _, m := range manners {
		t.Run(m.name, func(t *testing.T) {
			given := "wrn_" + strings.Repeat("1", 32)
			s := start(t, Config{Generations: m.served, Teams: []Team{{Name: "a", APIKeys: []string{given}}, {Name: "b"}}})
			c, other := s.bearing(t, s.TokenOf("a")), s.bearing(t, s.TokenOf("b"))
			byKey := s.client(t, c.base)
			list := func(c *client) []apiKeyAnswer {
				var got []apiKeyAnswer
				c.want(http.StatusOK, "", http.MethodGet, "/v1/api-keys", nil).json(t, &got)
				return got
			}
			configured := list(c)
			if len(configured) != 1 || configured[0].KeyPrefix != "wrn_111111" || !hasIDForm(configured[0].ID, apiKeyPrefix) ||
				configured[0].CreatorEmail != s.User().Email || configured[0].LastUsed != "" {
				t.Fatalf("configured are %+v", configured)
			}

			var named, unnamed apiKeyAnswer
			c.want(http.StatusCreated, "", http.MethodPost, "/v1/api-keys", `{"name":" ci "}`).json(t, &named)
			c.want(http.StatusCreated, "", http.MethodPost, "/v1/api-keys", `null`).json(t, &unnamed)
			c.want(http.StatusBadRequest, "invalid_request", http.MethodPost, "/v1/api-keys", ``)
			c.want(http.StatusBadRequest, "invalid_request", http.MethodPost, "/v1/api-keys", `{"name":1}`)
			if named.Name != "ci" || unnamed.Name != "Unnamed API Key" || !apiKeyForm.MatchString(named.Key) ||
				named.KeyPrefix != named.Key[:10] || named.TeamID != s.secrets.Teams[0].ID || named.CreatedBy != s.secrets.UserID ||
				named.CreatorEmail != "" || named.Key == unnamed.Key {
				t.Errorf("made %+v and %+v", named, unnamed)
			}

			byKey.key = named.Key
			id := byKey.create()
			byKey.want(http.StatusOK, "", http.MethodGet, "/v1/snapshots", nil)
			listed := list(c)
			if len(listed) != 3 || listed[0].ID != unnamed.ID || listed[1].ID != named.ID || listed[2].ID != configured[0].ID ||
				listed[0].LastUsed != "" || listed[1].LastUsed == "" || listed[1].Key != "" || listed[1].CreatorEmail != s.User().Email {
				t.Errorf("listed %+v", listed)
			}

			if got := list(other); len(got) != 1 {
				t.Errorf("the other team has %+v", got)
			}
			other.want(http.StatusNoContent, "", http.MethodDelete, "/v1/api-keys/"+named.ID, nil)
			byKey.want(http.StatusOK, "", http.MethodGet, byKey.base+"/"+id, nil)
			for range 2 {
				c.want(http.StatusNoContent, "", http.MethodDelete, "/v1/api-keys/"+named.ID, nil)
				byKey.want(http.StatusUnauthorized, "unauthorized", http.MethodGet, byKey.base+"/"+id, nil)
			}
			c.want(http.StatusNoContent, "", http.MethodDelete, "/v1/api-keys/"+unknownKey, nil)
			c.want(http.StatusBadRequest, "invalid_request", http.MethodDelete, "/v1/api-keys/x", nil)
			if got := list(c); len(got) != 2 {
				t.Errorf("left are %+v", got)
			}
		})
	}
}

// TestAPIKeysAreKnownToTheLog: who calls with a key is told by its id and name.
func TestAPIKeysAreKnownToTheLog(t *testing.T) {
	s := start(t, Config{})
	var made apiKeyAnswer
	s.bearing(t, s.Token()).want(http.StatusCreated, "", http.MethodPost, "/v1/api-keys", `{"name":"ci"}`).json(t, &made)
	who, err := s.auth.byHeaders(http.Header{"X-Api-Key": {made.Key}}, accessData)
	want := caller{kind: "api_key", id: made.ID, name: "ci", team: made.TeamID, active: true}
	if err != nil || who != want {
		t.Errorf("%+v, %v", who, err)
	}
}
