package wrenndev

import (
	"cmp"
	"slices"
	"sync"
)

// table is one kind of record of the control plane, by its id, with a journal of its
// own. Records go in and come out as copies: what a record refers to must not be
// changed, but replaced.
type table[Record any] struct {
	mu      sync.Mutex
	journal *journal[tableEntry[Record]]
	seq     int64
	entries map[string]tableEntry[Record]
}

// tableEntry is a record with its place in the order of creation.
type tableEntry[Record any] struct {
	ID      string  `json:"id"`
	Seq     int64   `json:"seq"`
	Record  *Record `json:"record,omitempty"`
	Deleted bool    `json:"deleted,omitempty"`
}

func openTable[Record any](path string) (*table[Record], error) {
	t := &table[Record]{entries: map[string]tableEntry[Record]{}}
	var err error
	t.journal, err = openJournal(path, func(e tableEntry[Record]) {
		t.seq = max(t.seq, e.Seq)
		if e.Deleted {
			delete(t.entries, e.ID)
		} else {
			t.entries[e.ID] = e
		}
	})
	if err != nil {
		return nil, err
	}
	return t, t.journal.compact(t.inOrder())
}

// inOrder are the entries, the oldest first.
func (t *table[Record]) inOrder() []tableEntry[Record] {
	all := make([]tableEntry[Record], 0, len(t.entries))
	for _, e := range t.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b tableEntry[Record]) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}

// add puts in a new record, unless there is one that clashes with it; clash may be nil.
func (t *table[Record]) add(id string, r Record, clash func(Record) bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for other, e := range t.entries {
		if other == id || clash != nil && clash(*e.Record) {
			return false
		}
	}
	t.seq++
	t.put(tableEntry[Record]{ID: id, Seq: t.seq, Record: &r})
	return true
}

func (t *table[Record]) put(e tableEntry[Record]) {
	t.entries[e.ID] = e
	t.journal.add(e)
}

func (t *table[Record]) get(id string) (Record, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.entries[id]; ok {
		return *e.Record, true
	}
	var none Record
	return none, false
}

// change lets f change a record, which is kept unless f returns an error, and returns
// the record as it is then, with false when there is none.
func (t *table[Record]) change(id string, f func(*Record) error) (Record, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.entries[id]
	if !ok {
		var none Record
		return none, false, nil
	}
	next := *e.Record
	if err := f(&next); err != nil {
		return *e.Record, true, err
	}
	e.Record = &next
	t.put(e)
	return next, true, nil
}

// update is change for what is never refused.
func (t *table[Record]) update(id string, f func(*Record)) (Record, bool) {
	r, ok, _ := t.change(id, func(r *Record) error { f(r); return nil })
	return r, ok
}

// touch changes a record by what is not worth a line in the journal. It reports false
// when there is none.
func (t *table[Record]) touch(id string, f func(*Record)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.entries[id]
	if !ok {
		return false
	}
	next := *e.Record
	f(&next)
	e.Record = &next
	t.entries[id] = e
	return true
}

// remove returns the record that was there.
func (t *table[Record]) remove(id string) (Record, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.entries[id]
	if !ok {
		var none Record
		return none, false
	}
	delete(t.entries, id)
	t.journal.add(tableEntry[Record]{ID: id, Seq: e.Seq, Deleted: true})
	return *e.Record, true
}

// list returns the records that keep accepts, or all of them, the oldest first.
func (t *table[Record]) list(keep func(Record) bool) []Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Record
	for _, e := range t.inOrder() {
		if keep == nil || keep(*e.Record) {
			all = append(all, *e.Record)
		}
	}
	return all
}

func (t *table[Record]) close() error {
	if t == nil {
		return nil
	}
	return t.journal.close()
}
