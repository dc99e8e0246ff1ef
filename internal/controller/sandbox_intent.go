package controller

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// createIntent is written to a Sandbox before its remote is asked for. While it is there, a remote may exist that
// nobody knows of.
type createIntent struct {
	// ID of this attempt, random.
	ID string `json:"id"`
	// Time of the attempt, by the operator's clock.
	Time time.Time `json:"time"`
	// Token marks the remote: it is sent as a negative idle timeout, which Wrenn keeps and takes for "never". Zero where
	// the sandbox has an idle timeout, or the service refuses negative ones.
	Token int32 `json:"token,omitempty"`
	// Request fingerprints what was asked for.
	Request string `json:"request"`
	// Template that was asked for. A Snapshot that it is the remote of may be gone when it is asked for again.
	Template string `json:"template"`
	// Connection that is asked.
	Connection v1alpha1.BoundConnection `json:"connection"`
	// Replaces is the id of the remote that the new one takes the place of.
	Replaces string `json:"replaces,omitempty"`
	// Earlier are the remotes that were there before. Only an attempt without a token needs to tell them from its own.
	Earlier *earlierRemotes `json:"earlier,omitempty"`
}

// newCreateIntent returns the intent of one more attempt.
func newCreateIntent(clusterID uint8, bound v1alpha1.BoundConnection, req wrenn.CreateSandboxRequest, token bool, replaces string) createIntent {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	intent := createIntent{
		ID:         hex.EncodeToString(random[:]),
		Time:       time.Now().UTC().Truncate(time.Millisecond),
		Request:    requestHash(req),
		Template:   req.Template,
		Connection: bound,
		Replaces:   replaces,
	}
	if token && req.TimeoutSec == 0 {
		intent.Token = correlator(clusterID, random)
	}
	return intent
}

// correlator returns a positive 31-bit number: seven bits of the cluster's identity and 24 of the attempt's.
func correlator(clusterID uint8, attempt [8]byte) int32 {
	token := uint32(clusterID&0x7f)<<24 | binary.BigEndian.Uint32(attempt[:4])>>8
	return int32(max(token, 1)) //nolint:gosec // 31 bits by construction
}

// clusterBits returns the seven bits of a cluster's identity that go into its correlators.
func clusterBits(clusterUID string) uint8 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(clusterUID)) // never fails
	return uint8(h.Sum32() & 0x7f)
}

// request returns what the intent asks for, with the token in place.
func (i createIntent) request(req wrenn.CreateSandboxRequest) wrenn.CreateSandboxRequest {
	if i.Token != 0 {
		req.TimeoutSec = -i.Token
	}
	return req
}

func requestHash(req wrenn.CreateSandboxRequest) string {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s|%d|%d|%d", req.Template, req.VCPUs, req.MemoryMB, req.TimeoutSec) // never fails
	return hex.EncodeToString(h.Sum(nil))
}

// openIntent returns the intent that a Sandbox carries, nil where there is none. One that cannot be read is an error:
// taking it for none could make a second remote.
func openIntent(sandbox *v1alpha1.Sandbox) (*createIntent, error) {
	text, ok := sandbox.Annotations[v1alpha1.AnnotationCreateIntent]
	if !ok {
		return nil, nil //nolint:nilnil // no intent is the usual case, not a failure
	}
	var intent createIntent
	if err := json.Unmarshal([]byte(text), &intent); err != nil {
		return nil, fmt.Errorf("annotation %s is damaged: %w", v1alpha1.AnnotationCreateIntent, err)
	}
	return &intent, nil
}

// writeTo puts the intent, and nothing of an earlier remote, into the annotations of a Sandbox.
func (i createIntent) writeTo(sandbox *v1alpha1.Sandbox) error {
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	if sandbox.Annotations == nil {
		sandbox.Annotations = map[string]string{}
	}
	sandbox.Annotations[v1alpha1.AnnotationCreateIntent] = string(text)
	delete(sandbox.Annotations, v1alpha1.AnnotationSandboxID)
	return nil
}
