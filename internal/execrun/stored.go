package execrun

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// What an output ConfigMap says of itself.
const (
	annotationAttempt      = "wrenn.dev/attempt"
	annotationNumber       = "wrenn.dev/output-part"
	annotationStdoutOffset = "wrenn.dev/stdout-offset"
	annotationStderrOffset = "wrenn.dev/stderr-offset"
)

// streamKeys are the keys of an output ConfigMap.
var streamKeys = [2]string{"stdout", "stderr"}

// Job is the ExecJob that an attempt belongs to.
type Job struct {
	types.NamespacedName
	UID types.UID
}

func (j Job) ownerReference() metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "ExecJob", Name: j.Name, UID: j.UID,
		Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
	}
}

func (j Job) owns(obj client.Object) bool {
	owner := metav1.GetControllerOf(obj)
	return owner != nil && owner.UID == j.UID
}

const (
	maxName  = 253
	maxLabel = 63
)

// LabelValue is the value of the label that names a job on its output ConfigMaps: the job's name, or the beginning of it
// and a hash where the name is too long for a label.
func LabelValue(job string) string { return shorten(job, maxLabel) }

// partName is <job>-output-<number>, and <job>-output-<attempt>-<number> for the attempts after the first, the job's name
// shortened where it has to be.
func partName(job string, attempt int32, number int) string {
	suffix := "-output-"
	if attempt > 1 {
		suffix += strconv.Itoa(int(attempt)) + "-"
	}
	return shorten(job, maxName-len("-output-0000000000-000")) + suffix + strconv.Itoa(number)
}

// shorten keeps names that differ different.
func shorten(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	hash := hex.EncodeToString(sum[:5])
	return name[:limit-len(hash)-1] + "-" + hash
}

// loadOutput finds out what is stored, from the API server itself: a cache may be behind what this or another process
// wrote. It also returns the tails, as far as the last parts hold them.
func loadOutput(ctx context.Context, reader client.Reader, c client.Client, a *Attempt) (*output, [2]*tail, error) {
	o := &output{client: c, reader: reader, job: a.Job, attempt: a.Number, limit: a.LimitBytes}
	secrets := a.Command.secrets()
	tails := [2]*tail{newTail(a.TailBytes, secrets), newTail(a.TailBytes, secrets)}

	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	if err := reader.List(ctx, list, client.InNamespace(a.Job.Namespace),
		client.MatchingLabels{v1alpha1.LabelExecJob: LabelValue(a.Job.Name)}); err != nil {
		return nil, tails, fmt.Errorf("%w: listing what is stored: %w", errBlocked, err)
	}
	var parts []*part
	for i := range list.Items {
		p, ok := parsePart(&list.Items[i])
		switch {
		case !ok || !a.Job.owns(&list.Items[i]):
		case p.attempt == a.Number:
			parts = append(parts, p)
		case p.attempt < a.Number:
			if err := dropPart(ctx, c, &list.Items[i]); err != nil {
				return nil, tails, err
			}
		}
	}
	if len(parts) == 0 {
		return o, tails, nil
	}
	slices.SortFunc(parts, func(a, b *part) int { return cmp.Compare(a.number, b.number) })
	last := parts[len(parts)-1]
	if err := loadPart(ctx, reader, a.Job, last); err != nil {
		return nil, tails, err
	}
	for number := range last.number {
		o.full = append(o.full, partName(a.Job.Name, a.Number, number))
	}
	for stream := range tails {
		o.end[stream] = last.base[stream] + int64(len(last.data[stream]))
	}
	if err := fillTails(ctx, reader, a.Job, parts, tails); err != nil {
		return nil, tails, err
	}
	if last.sealed {
		o.full = append(o.full, last.name)
	} else {
		o.open = last
	}
	return o, tails, nil
}

// dropPart deletes what an attempt before this one has left: the output of the last attempt is kept, so that the limit is
// one for the job.
func dropPart(ctx context.Context, c client.Client, meta *metav1.PartialObjectMetadata) error {
	meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	if err := c.Delete(ctx, meta, client.Preconditions{UID: &meta.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("%w: deleting the output of an attempt before: %w", errBlocked, err)
	}
	return nil
}

// fillTails reads back from the last part until the tails are full or there is no more.
func fillTails(ctx context.Context, reader client.Reader, job Job, parts []*part, tails [2]*tail) error {
	first := len(parts) - 1
	held := func(stream int) int64 { return parts[len(parts)-1].end(stream) - parts[first].base[stream] }
	short := func(stream int) bool {
		return parts[first].base[stream] > 0 && held(stream) < int64(tails[stream].window)
	}
	for first > 0 && parts[first-1].number == parts[first].number-1 && (short(stdout) || short(stderr)) {
		if err := loadPart(ctx, reader, job, parts[first-1]); err != nil {
			return err
		}
		first--
	}
	for _, p := range parts[first:] {
		for stream, t := range tails {
			if p.base[stream] > 0 && p == parts[first] {
				t.skip()
			}
			t.write(p.data[stream])
		}
	}
	return nil
}

func (p *part) end(stream int) int64 { return p.base[stream] + int64(len(p.data[stream])) }

func parsePart(meta *metav1.PartialObjectMetadata) (*part, bool) {
	attempt, errAttempt := strconv.ParseInt(meta.Annotations[annotationAttempt], 10, 32)
	number, err := strconv.Atoi(meta.Annotations[annotationNumber])
	out, errOut := strconv.ParseInt(meta.Annotations[annotationStdoutOffset], 10, 64)
	off, errOff := strconv.ParseInt(meta.Annotations[annotationStderrOffset], 10, 64)
	if errAttempt != nil || err != nil || errOut != nil || errOff != nil || number < 0 || out < 0 || off < 0 {
		return nil, false
	}
	return &part{name: meta.Name, attempt: int32(attempt), number: number, base: [2]int64{out, off}}, true
}

// loadPart reads a part's content.
func loadPart(ctx context.Context, reader client.Reader, job Job, p *part) error {
	var cm corev1.ConfigMap
	if err := reader.Get(ctx, client.ObjectKey{Namespace: job.Namespace, Name: p.name}, &cm); err != nil {
		return fmt.Errorf("%w: reading what is stored: %w", errBlocked, err)
	}
	for stream, key := range streamKeys {
		p.data[stream] = cm.BinaryData[key]
	}
	p.version, p.sealed, p.stored = cm.ResourceVersion, ptr.Deref(cm.Immutable, false), p.len()
	return nil
}
