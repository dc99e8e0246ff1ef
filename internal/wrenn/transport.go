package wrenn

import (
	"net/http"
	"time"
)

type limits struct{ object, list, exec, errorBody, frame int64 }

var defaultLimits = limits{object: 1 << 20, list: 64 << 20, exec: 64 << 20, errorBody: 64 << 10, frame: 1 << 20}

type pace struct {
	retryBase, retryMax, retryAfterMax time.Duration
}

var defaultPace = pace{retryBase: 100 * time.Millisecond, retryMax: 2 * time.Second, retryAfterMax: 5 * time.Second}

func newHTTPClients(settings) (rest, streams *http.Client) { return &http.Client{}, &http.Client{} }
