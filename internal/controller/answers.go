package controller

import (
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// maxWord is how many characters the API takes of a word of the service.
const maxWord = 64

// What the service tells of a remote is put into a status only as far as the API takes it. The API server would refuse all of
// the status otherwise: the id would not be stored because of an odd address.

// tellRemote writes what was last seen of the remote into the status.
func tellRemote(status *v1alpha1.SandboxStatus, remote *wrenn.Sandbox) {
	status.State = v1alpha1.SandboxState(wordOf(string(remote.Status)))
	status.Template = wordOf(remote.Template)
	status.IdleTimeoutSeconds = max(0, remote.TimeoutSec)
	status.VCPUs, status.MemoryMiB = max(0, remote.VCPUs), max(0, remote.MemoryMB)
	status.HostIP, status.GuestIP = wordOf(remote.HostIP), wordOf(remote.GuestIP)
	status.CreateTime, status.StartTime = timeOf(remote.CreatedAt), timeOf(remote.StartedAt)
}

// tellSnapshot writes what the service tells of a remote snapshot into the status. That it has a time tells that the snapshot is
// there: where the service has told none that can be stored, that is the time of the attempt.
func tellSnapshot(status *v1alpha1.SnapshotStatus, remote *wrenn.Snapshot, attempted time.Time) {
	status.SnapshotName = remote.Name
	status.SizeBytes = nil
	if size := remote.SizeBytes; size >= 0 {
		status.SizeBytes = &size
	}
	status.VCPUs, status.MemoryMiB = max(0, remote.VCPUs), max(0, remote.MemoryMB)
	if status.CreateTime = timeOf(remote.CreatedAt); status.CreateTime == nil {
		status.CreateTime = timeOf(attempted)
	}
}

// wordOf returns a word of the service, and none where it is longer than the API takes: a part of an address or of a name
// would be another one.
func wordOf(text string) string {
	if utf8.RuneCountInString(text) > maxWord {
		return ""
	}
	return text
}

// timeOf turns a time of the service, zero where it told none, into one of the API, which has whole seconds, and years of
// four digits.
func timeOf(t time.Time) *metav1.Time {
	t = t.UTC().Truncate(time.Second)
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return nil
	}
	at := metav1.NewTime(t)
	return &at
}
