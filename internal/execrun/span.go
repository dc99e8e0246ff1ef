package execrun

import (
	"slices"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// span is a piece of both streams, from one offset of each to another.
type span struct{ from, to [2]int64 }

// segment is a span that is a ConfigMap of its own.
type segment struct {
	span

	number int
	// head is where the beginning of the output ends, for a segment that is stored when the command has ended.
	head *[2]int64
}

func sum(n [2]int64) int64 { return n[stdout] + n[stderr] }

func minus(a, b [2]int64) [2]int64 { return [2]int64{a[stdout] - b[stdout], a[stderr] - b[stderr]} }

// atLeast is n, or what it is to be at least, for each stream.
func atLeast(n, least [2]int64) [2]int64 {
	return [2]int64{max(n[stdout], least[stdout]), max(n[stderr], least[stderr])}
}

func (s span) len() int64 { return sum(minus(s.to, s.from)) }

// forward tells that no stream of a span ends before it begins.
func (s span) forward() bool { return s.to == atLeast(s.to, s.from) }

// cut cuts a span into segments of the size of a part, stdout first. The same span is always cut the same way.
func (s span) cut(number int, head *[2]int64) []segment {
	var all []segment
	at := s.from
	for at != s.to {
		next := at
		room := int64(partBytes)
		for stream := range next {
			n := min(room, s.to[stream]-at[stream])
			next[stream] += n
			room -= n
		}
		all = append(all, segment{span: span{from: at, to: next}, number: number + len(all), head: head})
		at = next
	}
	return all
}

// share divides room among the streams: half for each, and what the other has no need for.
func share(wanted [2]int64, room int64) [2]int64 {
	var got [2]int64
	got[stderr] = min(wanted[stderr], max(room/2, room-wanted[stdout]))
	got[stdout] = min(wanted[stdout], room-got[stderr])
	return got
}

// stored is how much is stored, of the beginning of the output and of its rest.
func (o *output) stored(rest []segment) int64 {
	n := sum(o.end)
	for _, gap := range slices.Concat(o.gaps, o.holes) {
		n -= gap.len()
	}
	for _, s := range rest {
		if o.late[s.number] {
			n += s.len()
		}
	}
	return n
}

// rest is what is to be stored when the command has ended, of streams of these sizes: the end of the output, and what was
// not stored as it came.
func (o *output) rest(sizes [2]int64, failed bool) []segment {
	if o.keep == v1alpha1.OutputConfigMapsNever || (o.keep == v1alpha1.OutputConfigMapsOnFailure && !failed) {
		return nil
	}
	head := o.end
	var all []segment
	if o.keep == v1alpha1.OutputConfigMapsOnFailure {
		head = sizes
		if sum(sizes) > o.limit {
			head = share(sizes, o.limit/2)
		}
		all = span{to: head}.cut(0, &head)
	}
	end := share(minus(sizes, head), o.limit-sum(head))
	return append(all, span{from: minus(sizes, end), to: sizes}.cut(o.full+len(all), &head)...)
}
