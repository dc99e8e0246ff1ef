package execrun

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

const (
	// partBytes is how much one ConfigMap holds of both streams together. The API server takes 1 MiB.
	partBytes = 512 << 10
	// appendInterval is the least time between two writes of a part that is not full.
	appendInterval = time.Second
	// appendLatest is the time after which what is there is written, however little.
	appendLatest = time.Minute
	// appendShare bounds what appending costs, since it writes the whole part anew: a part is written again when it has
	// grown by this share of itself. So each byte is written about appendShare+1 times at the most, and what appendLatest
	// adds is one part a minute. Nothing is at stake in the meantime: the guest has all of it.
	appendShare = 8
	// maxParts is more than any job has: the status can name 256.
	maxParts = 250
)

var (
	// errStale says that the stored output is not what we think it is: another process wrote it, or somebody deleted it.
	// It is read anew, and the run is followed from there.
	errStale = errors.New("the stored output was changed")
	// errBlocked says that the API server does not take the output. It is kept, and stored when it does.
	errBlocked = errors.New("the output cannot be stored")
	// errForeign says that somebody else's ConfigMap has the name of a part.
	errForeign = errors.New("its ConfigMap is not this job's")
)

// part is one ConfigMap of the output.
type part struct {
	name     string
	attempt  int32
	number   int
	base     [2]int64  // offsets of what it begins with
	head     *[2]int64 // of a late part: where the beginning of the output ends
	data     [2][]byte
	stored   int // how much of data is in the ConfigMap
	version  string
	sealed   bool
	artifact bool // it is an artifact, and no part
}

func (p *part) len() int { return len(p.data[stdout]) + len(p.data[stderr]) }

// output is the stored output of one attempt. What comes first is stored as it comes, in parts of which one at a time is
// being filled. The rest is stored when the command has ended, in late parts, read from the guest.
type output struct {
	client  client.Client
	reader  client.Reader // not a cache
	job     Job
	attempt int32
	keep    v1alpha1.OutputConfigMaps
	limit   int64
	live    int64 // how much of the limit is stored as it comes

	full      int       // the parts from 0 on that are full
	gaps      []segment // those of them that somebody deleted
	holes     []segment // and those of which it is not known what was in them
	open      *part
	end       [2]int64 // offsets of the next byte wanted
	whole     bool     // what comes after that is stored when the command has ended
	late      map[int]bool
	lastWrite time.Time
	lastCheck time.Time
}

// newOutput is an output of which nothing is stored.
func newOutput(c client.Client, reader client.Reader, a *Attempt) *output {
	return &output{
		client: c, reader: reader, job: a.Job, attempt: a.Number, keep: a.ConfigMaps, limit: a.LimitBytes, live: a.liveBytes(),
		late: map[int]bool{}, lastCheck: time.Now(),
	}
}

// liveBytes is how much of the output is stored as it comes: half of the limit, the other half being for the end of the
// output, and all of it where the end cannot be read later.
func (s *Attempt) liveBytes() int64 {
	switch {
	case s.ConfigMaps != v1alpha1.OutputConfigMapsAlways:
		return 0
	case s.Attached:
		return s.LimitBytes
	default:
		return s.LimitBytes / 2
	}
}

// append takes the next bytes of a stream, writes every part that this fills, and returns how many bytes it took. What is
// past the room for it is taken and dropped. An error loses nothing of what was taken: it is still there to be flushed.
func (o *output) append(ctx context.Context, stream int, data []byte) (int, error) {
	all := len(data)
	if room := o.room(); int64(all) > room {
		data = data[:room]
	}
	dropped := all - len(data)
	for len(data) > 0 {
		if o.open == nil {
			o.open = o.next()
		}
		n := min(len(data), partBytes-o.open.len())
		o.open.data[stream] = append(o.open.data[stream], data[:n]...)
		o.end[stream] += int64(n)
		data = data[n:]
		if !o.filled() {
			break
		}
		if err := o.write(ctx, true); err != nil {
			return all - dropped - len(data), err
		}
	}
	return all, nil
}

// room is how much more is stored as it comes.
func (o *output) room() int64 {
	if o.whole {
		return 0
	}
	return max(0, o.live-sum(o.end))
}

func (o *output) next() *part {
	return o.part(o.full, o.end)
}

// part is a part of which nothing is stored.
func (o *output) part(number int, base [2]int64) *part {
	return &part{name: o.nameOf(number), attempt: o.attempt, number: number, base: base}
}

func (o *output) nameOf(number int) string { return partName(o.job.Name, o.attempt, number) }

// filled tells whether nothing more comes into the open part.
func (o *output) filled() bool { return o.open.len() >= partBytes || o.room() == 0 }

// due tells whether what is there is worth writing now.
func (o *output) due() bool {
	if o.open == nil {
		return false
	}
	pending, since := o.open.len()-o.open.stored, time.Since(o.lastWrite)
	return pending > 0 && since >= appendInterval && (pending*appendShare >= o.open.stored || since >= appendLatest)
}

// flush writes all that is there. At the end the last part is sealed.
func (o *output) flush(ctx context.Context, end bool) error {
	if o.open == nil || (!end && o.open.len() == o.open.stored) {
		return nil
	}
	return o.write(ctx, end || o.filled())
}

func (o *output) write(ctx context.Context, seal bool) error {
	p := o.open
	p.sealed = seal
	if err := o.put(ctx, p); err != nil {
		return err
	}
	o.lastWrite = time.Now()
	p.stored = p.len()
	if seal {
		o.full++
		o.open = nil
	}
	return nil
}

// put creates or updates the ConfigMap of a part.
func (o *output) put(ctx context.Context, p *part) error {
	cm := p.configMap(o.job)
	var err error
	if p.version == "" {
		err = o.client.Create(ctx, cm)
	} else {
		err = o.client.Update(ctx, cm)
	}
	switch {
	case apierrors.IsAlreadyExists(err):
		return o.taken(ctx, p.name, o.ours)
	case apierrors.IsConflict(err), p.version != "" && apierrors.IsNotFound(err):
		return errStale
	case err != nil:
		return fmt.Errorf("%w: %w", errBlocked, err)
	}
	p.version = cm.ResourceVersion
	return nil
}

// taken tells a part of our own that we did not know of from a ConfigMap of somebody else.
func (o *output) taken(ctx context.Context, name string, ours func(*corev1.ConfigMap) bool) error {
	var cm corev1.ConfigMap
	err := o.reader.Get(ctx, client.ObjectKey{Namespace: o.job.Namespace, Name: name}, &cm)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errBlocked, err)
	case !ours(&cm):
		return fmt.Errorf("%w: %w: delete ConfigMap %s", errBlocked, errForeign, cm.Name)
	}
	return errStale
}

func (p *part) configMap(job Job) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: p.name, ResourceVersion: p.version,
			Labels: map[string]string{v1alpha1.LabelExecJob: LabelValue(job.Name)},
			Annotations: map[string]string{
				annotationAttempt:      strconv.Itoa(int(p.attempt)),
				annotationNumber:       strconv.Itoa(p.number),
				annotationStdoutOffset: strconv.FormatInt(p.base[stdout], 10),
				annotationStderrOffset: strconv.FormatInt(p.base[stderr], 10),
			},
			OwnerReferences: []metav1.OwnerReference{job.ownerReference()},
		},
		BinaryData: map[string][]byte{},
	}
	if p.head != nil {
		cm.Annotations[annotationStdoutHead] = strconv.FormatInt(p.head[stdout], 10)
		cm.Annotations[annotationStderrHead] = strconv.FormatInt(p.head[stderr], 10)
	}
	for stream, key := range streamKeys {
		if len(p.data[stream]) > 0 {
			cm.BinaryData[key] = p.data[stream]
		}
	}
	if p.sealed {
		cm.Immutable = ptr.To(true)
	}
	return cm
}

// names are the ConfigMaps that are there, in order.
func (o *output) names() []string {
	var names []string
	for number := range o.full {
		is := func(s segment) bool { return s.number == number }
		if !o.late[number] && !slices.ContainsFunc(o.gaps, is) && !slices.ContainsFunc(o.holes, is) {
			names = append(names, o.nameOf(number))
		}
	}
	if o.open != nil && o.open.version != "" {
		names = append(names, o.open.name)
	}
	for _, number := range slices.Sorted(maps.Keys(o.late)) {
		names = append(names, o.nameOf(number))
	}
	return names
}
