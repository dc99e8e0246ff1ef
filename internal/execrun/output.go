package execrun

import (
	"context"
	"errors"
	"fmt"
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
	name    string
	attempt int32
	number  int
	base    [2]int64 // offsets of what it begins with
	data    [2][]byte
	stored  int // how much of data is in the ConfigMap
	version string
	sealed  bool
}

func (p *part) len() int { return len(p.data[stdout]) + len(p.data[stderr]) }

// output is the stored output of one attempt: the parts that are full, of which only the names are kept, and the one
// that is being filled.
type output struct {
	client  client.Client
	reader  client.Reader // not a cache
	job     Job
	attempt int32
	limit   int64

	full      []string
	open      *part
	end       [2]int64 // offsets of the next byte wanted
	lastWrite time.Time
}

// append takes the next bytes of a stream, writes every part that this fills, and returns how many bytes it took. What is
// past the limit is taken and dropped. An error loses nothing of what was taken: it is still there to be flushed.
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
		if o.open.len() < partBytes {
			break
		}
		if err := o.write(ctx, true); err != nil {
			return all - dropped - len(data), err
		}
	}
	return all, nil
}

// room is how much more may be stored.
func (o *output) room() int64 { return max(0, o.limit-o.end[stdout]-o.end[stderr]) }

func (o *output) next() *part {
	number := len(o.full)
	return &part{name: partName(o.job.Name, o.attempt, number), attempt: o.attempt, number: number, base: o.end}
}

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
	return o.write(ctx, end || o.open.len() >= partBytes)
}

func (o *output) write(ctx context.Context, seal bool) error {
	cm := o.configMap(seal)
	var err error
	if o.open.version == "" {
		err = o.client.Create(ctx, cm)
	} else {
		err = o.client.Update(ctx, cm)
	}
	switch {
	case apierrors.IsAlreadyExists(err):
		return o.taken(ctx)
	case apierrors.IsConflict(err), o.open.version != "" && apierrors.IsNotFound(err):
		return errStale
	case err != nil:
		return fmt.Errorf("%w: %w", errBlocked, err)
	}
	o.lastWrite = time.Now()
	o.open.version, o.open.stored, o.open.sealed = cm.ResourceVersion, o.open.len(), seal
	if seal {
		o.full = append(o.full, o.open.name)
		o.open = nil
	}
	return nil
}

// taken tells a part of our own that we did not know of from a ConfigMap of somebody else.
func (o *output) taken(ctx context.Context) error {
	var cm corev1.ConfigMap
	err := o.reader.Get(ctx, client.ObjectKey{Namespace: o.job.Namespace, Name: o.open.name}, &cm)
	if err == nil && !o.job.owns(&cm) {
		return fmt.Errorf("%w: %w: delete ConfigMap %s", errBlocked, errForeign, cm.Name)
	}
	return errStale
}

func (o *output) configMap(seal bool) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: o.job.Namespace, Name: o.open.name, ResourceVersion: o.open.version,
			Labels: map[string]string{v1alpha1.LabelExecJob: LabelValue(o.job.Name)},
			Annotations: map[string]string{
				annotationAttempt:      strconv.Itoa(int(o.attempt)),
				annotationNumber:       strconv.Itoa(o.open.number),
				annotationStdoutOffset: strconv.FormatInt(o.open.base[stdout], 10),
				annotationStderrOffset: strconv.FormatInt(o.open.base[stderr], 10),
			},
			OwnerReferences: []metav1.OwnerReference{o.job.ownerReference()},
		},
		BinaryData: map[string][]byte{},
	}
	for stream, key := range streamKeys {
		if len(o.open.data[stream]) > 0 {
			cm.BinaryData[key] = o.open.data[stream]
		}
	}
	if seal {
		cm.Immutable = ptr.To(true)
	}
	return cm
}

// names are the ConfigMaps that are there, in order.
func (o *output) names() []string {
	names := slices.Clone(o.full)
	if o.open != nil && o.open.version != "" {
		names = append(names, o.open.name)
	}
	return names
}
