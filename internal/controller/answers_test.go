package controller

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// What the API does not take is left out, and all else is kept.
func TestOddRemoteIsToldAsFarAsItGoes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	long := strings.Repeat("a", maxWord+1)
	for name, tc := range map[string]struct {
		remote wrenn.Sandbox
		want   v1alpha1.SandboxStatus
	}{
		"as ever": {
			wrenn.Sandbox{Status: "running", Template: "minimal", VCPUs: 1, MemoryMB: 512, TimeoutSec: 60, HostIP: "10.0.0.1", GuestIP: "10.0.0.2", CreatedAt: at},
			v1alpha1.SandboxStatus{
				State: "running", Template: "minimal", VCPUs: 1, MemoryMiB: 512, IdleTimeoutSeconds: 60, HostIP: "10.0.0.1", GuestIP: "10.0.0.2",
				CreateTime: timeOf(at),
			},
		},
		"negative numbers": {
			wrenn.Sandbox{Status: "running", VCPUs: -1, MemoryMB: math.MinInt32, TimeoutSec: -7},
			v1alpha1.SandboxStatus{State: "running"},
		},
		"long words": {wrenn.Sandbox{Status: wrenn.Status(long), Template: long, HostIP: long, GuestIP: long}, v1alpha1.SandboxStatus{}},
		"as long as may be": {
			wrenn.Sandbox{Status: "running", Template: strings.Repeat("é", maxWord)},
			v1alpha1.SandboxStatus{State: "running", Template: strings.Repeat("é", maxWord)},
		},
		"times of no calendar": {
			wrenn.Sandbox{
				Status: "running", CreatedAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), StartedAt: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
			},
			v1alpha1.SandboxStatus{State: "running"},
		},
		"parts of seconds": {
			wrenn.Sandbox{Status: "running", StartedAt: at.Add(time.Millisecond)}, v1alpha1.SandboxStatus{State: "running", StartTime: timeOf(at)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var status v1alpha1.SandboxStatus
			tellRemote(&status, &tc.remote)
			if diff := cmp.Diff(tc.want, status); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The time of a snapshot tells that it is there, so that there always is one.
func TestOddSnapshotIsToldAsFarAsItGoes(t *testing.T) {
	t.Parallel()
	var status v1alpha1.SnapshotStatus
	attempted := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	tellSnapshot(&status, &wrenn.Snapshot{Name: "golden", VCPUs: -1, MemoryMB: -1, SizeBytes: -1}, attempted)
	if diff := cmp.Diff(v1alpha1.SnapshotStatus{SnapshotName: "golden", CreateTime: timeOf(attempted)}, status); diff != "" {
		t.Error(diff)
	}
	tellSnapshot(&status, &wrenn.Snapshot{Name: "golden", SizeBytes: 0, CreatedAt: attempted.Add(time.Hour)}, attempted)
	if status.SizeBytes == nil || *status.SizeBytes != 0 || !status.CreateTime.Equal(timeOf(attempted.Add(time.Hour))) {
		t.Errorf("status %+v", status)
	}
}

// distorter stands between the operator and Wrenn, and changes fields of what that answers about sandboxes and snapshots.
type distorter struct {
	mu     sync.Mutex
	fields map[string]any
	// creates tells that only the answers to creates are distorted.
	creates bool
}

// distort sets what the fields are replaced by from now on.
func (d *distorter) distort(creates bool, fields map[string]any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.creates, d.fields = creates, fields
}

func (d *distorter) modify(resp *http.Response) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	path := resp.Request.URL.Path
	if (d.creates && resp.StatusCode != http.StatusCreated) || resp.StatusCode > http.StatusCreated || strings.Contains(path, "/exec") {
		return nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var one map[string]any
	var many []map[string]any
	if json.Unmarshal(body, &one) == nil && one != nil {
		many = append(many, one)
	} else if err := json.Unmarshal(body, &many); err != nil {
		return err
	}
	for _, each := range many {
		for field, value := range d.fields {
			each[field] = value
		}
	}
	var told any = many
	if one != nil {
		told = one
	}
	if body, err = json.Marshal(told); err != nil {
		return err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// newDistortedWorld starts one with an operator whose Connection leads through a distorter.
func newDistortedWorld(t *testing.T) (*world, *distorter) {
	t.Helper()
	w, d := newWorld(t, wrenndev.Config{}), &distorter{}
	target, err := url.Parse(w.wrenn.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = d.modify
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	w.startOperator()
	w.secret("wrenn", "apiKey", w.wrenn.APIKey())
	connection := w.connection(front.URL)
	w.create(connection)
	awaitReason(w, connection, v1alpha1.ReasonConnected)
	return w, d
}

// Whatever Wrenn says of a sandbox, its id is stored, and it goes with its Sandbox.
func TestOddAnswersLeaveTheIDStored(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 100)
	for name, tc := range map[string]struct {
		creates bool
		fields  map[string]any
	}{
		"numbers":          {false, map[string]any{"vcpus": -1, "memory_mb": -1}},
		"words":            {false, map[string]any{"template": long, "host_ip": long, "guest_ip": long}},
		"times":            {false, map[string]any{"started_at": "9999-12-31T23:59:59-01:00", "last_active_at": "0000-01-01T00:00:00+01:00"}},
		"a status at last": {true, map[string]any{"status": long}},
		"a status of none": {true, map[string]any{"status": ""}},
		"a type":           {true, map[string]any{"vcpus": "one"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, d := newDistortedWorld(t)
			d.distort(tc.creates, tc.fields)
			sandbox := w.sandbox("odd")
			w.create(sandbox)
			awaitOne(w, sandbox)
			w.remove(sandbox)
			awaitNothing(w, sandbox)
			if n := w.calls(wrenndev.OpCreate); n != 1 {
				t.Errorf("%d creates", n)
			}
		})
	}
}

// A snapshot that Wrenn describes oddly is taken once, started from, and deleted.
func TestOddSnapshotIsTaken(t *testing.T) {
	t.Parallel()
	w, d := newDistortedWorld(t)
	source, golden := w.sandbox("source"), w.snapshot("golden")
	w.create(source)
	awaitReason(w, source, v1alpha1.ReasonRunning)
	d.distort(true, map[string]any{"vcpus": -1, "memory_mb": -1, "size_bytes": -1, "created_at": "0001-01-01T00:00:00Z"})
	w.create(golden)
	awaitReason(w, golden, v1alpha1.ReasonTaken)
	awaitUntroubled(w, golden)
	if n := w.calls(wrenndev.OpSnapshotCreate); n != 1 {
		t.Errorf("%d snapshots were asked for", n)
	}
	w.remove(golden, source)
	awaitGone(w, golden)
	awaitNothing(w, source)
}
