package wrenn

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// maxStatusBytes is far more than any word of the service for a state has.
const maxStatusBytes = 64

// sandboxOf converts a sandbox of whatever id. An id or a status that is not there makes it useless. The status is made fit to
// be shown: it is a word, whatever the server sends.
func sandboxOf(w *api.Sandbox) (*Sandbox, error) {
	switch {
	case !ValidSandboxID(w.ID):
		return nil, errors.New("the answer has no valid sandbox id")
	case w.Status == "":
		return nil, errors.New("the answer has no status")
	}
	return &Sandbox{
		ID: w.ID, Status: Status(legible(w.Status, maxStatusBytes)), Template: w.Template, VCPUs: w.Vcpus, MemoryMB: w.MemoryMb,
		TimeoutSec: w.TimeoutSec, GuestIP: value(w.GuestIP), HostIP: value(w.HostIP),
		CreatedAt: w.CreatedAt.UTC(), StartedAt: value(w.StartedAt).UTC(), LastActiveAt: value(w.LastActiveAt).UTC(),
		LastUpdatedAt: w.LastUpdated.UTC(), Metadata: w.Metadata,
	}, nil
}

// createdSandbox is the answer to a create.
type createdSandbox struct{ api.Sandbox }

// UnmarshalJSON keeps a valid id where anything else of the answer is not what the contract promises: without the id nobody
// would know of the sandbox.
func (w *createdSandbox) UnmarshalJSON(body []byte) error {
	err := json.Unmarshal(body, &w.Sandbox)
	if err == nil {
		return nil
	}
	var made struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(body, &made) != nil || !ValidSandboxID(made.ID) {
		return err
	}
	w.Sandbox = api.Sandbox{ID: made.ID}
	return nil
}

// createdOf converts a sandbox that was just created. Without a legible status it is pending, until it is looked at again.
func createdOf(w *createdSandbox) (*Sandbox, error) {
	if w.Status == "" {
		w.Status = string(StatusPending)
	}
	return sandboxOf(&w.Sandbox)
}

// sandboxNamed converts the sandbox of one id and refuses any other.
func sandboxNamed(id string) func(*api.Sandbox) (*Sandbox, error) {
	return func(w *api.Sandbox) (*Sandbox, error) {
		if w.ID != id {
			return nil, errors.New("the answer is about another sandbox")
		}
		return sandboxOf(w)
	}
}

func sandboxesOf(w *[]api.Sandbox) ([]Sandbox, error) {
	out := make([]Sandbox, 0, len(*w))
	for i := range *w {
		sandbox, err := sandboxOf(&(*w)[i])
		if err != nil {
			return nil, err
		}
		out = append(out, *sandbox)
	}
	return out, nil
}

func snapshotOf(w *api.Snapshot) (*Snapshot, error) {
	if !ValidTemplateName(w.Name) {
		return nil, errors.New("the answer has no valid snapshot name")
	}
	return &Snapshot{
		Name: w.Name, Type: w.Type, VCPUs: value(w.Vcpus), MemoryMB: value(w.MemoryMb), SizeBytes: w.SizeBytes,
		CreatedAt: w.CreatedAt.UTC(), Platform: w.Platform, Metadata: w.Metadata,
	}, nil
}

func snapshotsOf(w *[]api.Snapshot) ([]Snapshot, error) {
	out := make([]Snapshot, 0, len(*w))
	for i := range *w {
		snapshot, err := snapshotOf(&(*w)[i])
		if err != nil {
			return nil, err
		}
		out = append(out, *snapshot)
	}
	return out, nil
}

func metricsOf(id string, asked MetricsRange) func(*api.Metrics) (*Metrics, error) {
	return func(w *api.Metrics) (*Metrics, error) {
		if w.SandboxID != id || w.Range != string(asked) {
			return nil, errors.New("the answer is about another sandbox or range")
		}
		points := make([]MetricPoint, 0, len(w.Points))
		for _, p := range w.Points {
			points = append(points, MetricPoint{
				Time: time.Unix(p.TimestampUnix, 0).UTC(), CPUPercent: p.CPUPct, MemoryBytes: p.MemBytes, DiskBytes: p.DiskBytes,
			})
		}
		return &Metrics{Range: asked, Points: points}, nil
	}
}

// optional leaves a zero value out of a request.
func optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// value reads a field that may have been absent.
func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
