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
	annotationStdoutHead   = "wrenn.dev/stdout-head"
	annotationStderrHead   = "wrenn.dev/stderr-head"
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
	o := newOutput(c, reader, a)
	secrets := a.Command.secrets()
	tails := [2]*tail{newTail(a.TailBytes, secrets), newTail(a.TailBytes, secrets)}
	parts, err := o.list(ctx)
	if err != nil {
		return nil, tails, err
	}
	var head *[2]int64
	first := parts[:0]
	for _, p := range parts {
		if p.head == nil {
			first = append(first, p)
			continue
		}
		o.late[p.number], head = true, p.head
	}
	switch {
	case o.keep != v1alpha1.OutputConfigMapsAlways:
		return o, tails, nil
	case head != nil:
		o.resume(*head, first)
	default:
		if first, err = o.resumeLast(ctx, first); err != nil {
			return nil, tails, err
		}
	}
	if err := o.findGaps(ctx, first); err != nil {
		return nil, tails, err
	}
	return o, tails, fillTails(ctx, reader, a.Job, first, tails)
}

// resume goes on after a beginning of the output that is complete: nothing more is stored as it comes.
func (o *output) resume(head [2]int64, first []*part) {
	o.end, o.whole, o.full = head, true, int((sum(head)+partBytes-1)/partBytes)
	if len(first) > 0 {
		o.full = max(o.full, first[len(first)-1].number+1)
	}
}

// resumeLast goes on after the last part, or in it, and returns the parts up to there. One that cannot be ours for what is
// in it is left out, as the others were for what they say of themselves.
func (o *output) resumeLast(ctx context.Context, first []*part) ([]*part, error) {
	for ; len(first) > 0; first = first[:len(first)-1] {
		last := first[len(first)-1]
		if err := loadPart(ctx, o.reader, o.job, last); err != nil {
			return nil, err
		}
		if !o.holds(last) {
			continue
		}
		o.end, o.full = [2]int64{last.end(stdout), last.end(stderr)}, last.number
		if last.sealed {
			o.full++
		} else {
			o.open = last
		}
		break
	}
	return first, nil
}

// fits tells whether a part can be one of ours, by what it says of itself: whoever may write ConfigMaps can have written
// that. Nothing that follows from it is out of bounds then. In front of a part there are those with lower numbers.
func (o *output) fits(p *part) bool {
	switch {
	case p.name != o.nameOf(p.number), p.number >= maxParts:
		return false
	case p.head != nil:
		return sum(*p.head) <= o.limit
	default:
		return o.live > 0 && sum(p.base) <= min(o.live, int64(p.number)*partBytes)
	}
}

// holds tells the same of a part that was stored as it came, by what is in it.
func (o *output) holds(p *part) bool {
	return p.len() <= partBytes && (p.head != nil || sum(p.base)+int64(p.len()) <= o.live)
}

// ours tells whether a ConfigMap can be one of our parts.
func (o *output) ours(cm *corev1.ConfigMap) bool {
	p, ok := parsePart(cm)
	if !ok || p.artifact || p.attempt != o.attempt || !o.job.owns(cm) || !o.fits(p) {
		return false
	}
	p.fill(cm)
	return o.holds(p)
}

// list returns the parts that there are, without their content, in order.
func (o *output) list(ctx context.Context) ([]*part, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	if err := o.reader.List(ctx, list, client.InNamespace(o.job.Namespace),
		client.MatchingLabels{v1alpha1.LabelExecJob: LabelValue(o.job.Name)}); err != nil {
		return nil, fmt.Errorf("%w: listing what is stored: %w", errBlocked, err)
	}
	var parts []*part
	for i := range list.Items {
		p, ok := parsePart(&list.Items[i])
		switch {
		case !ok || !o.job.owns(&list.Items[i]):
		case p.attempt == o.attempt && (p.artifact || !o.fits(p)):
		case p.attempt == o.attempt:
			parts = append(parts, p)
		case p.attempt < o.attempt:
			if err := dropPart(ctx, o.client, &list.Items[i]); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(parts, func(a, b *part) int { return cmp.Compare(a.number, b.number) })
	return parts, nil
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
	if len(parts) == 0 {
		return nil
	}
	first := len(parts) - 1
	if parts[first].version == "" {
		if err := loadPart(ctx, reader, job, parts[first]); err != nil {
			return err
		}
	}
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

func parsePart(meta metav1.Object) (*part, bool) {
	said := meta.GetAnnotations()
	attempt, errAttempt := strconv.ParseInt(said[annotationAttempt], 10, 32)
	if _, is := said[annotationArtifact]; is && errAttempt == nil {
		return &part{attempt: int32(attempt), artifact: true}, true
	}
	number, err := strconv.Atoi(said[annotationNumber])
	base, ok := offsetsOf(said, annotationStdoutOffset, annotationStderrOffset)
	if errAttempt != nil || err != nil || number < 0 || !ok {
		return nil, false
	}
	p := &part{name: meta.GetName(), attempt: int32(attempt), number: number, base: base}
	if _, late := said[annotationStdoutHead]; late {
		head, ok := offsetsOf(said, annotationStdoutHead, annotationStderrHead)
		p.head = &head
		return p, ok
	}
	return p, true
}

// offsetsOf reads a pair of annotations.
func offsetsOf(said map[string]string, keys ...string) (offsets [2]int64, ok bool) {
	for stream, key := range keys {
		offset, err := strconv.ParseInt(said[key], 10, 64)
		if err != nil || offset < 0 || offset >= nowhere {
			return offsets, false
		}
		offsets[stream] = offset
	}
	return offsets, true
}

// loadPart reads a part's content.
func loadPart(ctx context.Context, reader client.Reader, job Job, p *part) error {
	var cm corev1.ConfigMap
	if err := reader.Get(ctx, client.ObjectKey{Namespace: job.Namespace, Name: p.name}, &cm); err != nil {
		return fmt.Errorf("%w: reading what is stored: %w", errBlocked, err)
	}
	p.fill(&cm)
	return nil
}

func (p *part) fill(cm *corev1.ConfigMap) {
	for stream, key := range streamKeys {
		p.data[stream] = cm.BinaryData[key]
	}
	p.version, p.sealed, p.stored = cm.ResourceVersion, ptr.Deref(cm.Immutable, false), p.len()
}
