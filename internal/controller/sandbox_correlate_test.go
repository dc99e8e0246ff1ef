package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// began is when the create of these tests was begun.
var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const testToken = 12345

// The changes that make one case of a correlation differ from another.
func tokenless(q *correlateQuery) { q.intent.Token, q.request.TimeoutSec = 0, 60 }
func exclusive(q *correlateQuery) { q.exclusive = true }
func early(q *correlateQuery)     { q.listTime = began.Add(time.Second) }

func listed(id string, changes ...func(*wrenn.Sandbox)) wrenn.Sandbox {
	sandbox := wrenn.Sandbox{
		ID: id, Status: wrenn.StatusRunning, Template: "minimal", VCPUs: 1, MemoryMB: 512, TimeoutSec: -testToken, CreatedAt: began,
	}
	for _, change := range changes {
		change(&sandbox)
	}
	return sandbox
}

func pending(s *wrenn.Sandbox) { s.Status = wrenn.StatusPending }
func idling(s *wrenn.Sandbox)  { s.TimeoutSec = 60 }
func larger(s *wrenn.Sandbox)  { s.VCPUs = 2 }
func late(s *wrenn.Sandbox)    { s.CreatedAt = began.Add(time.Hour) }

type correlateCase struct {
	set  []func(*correlateQuery)
	list []wrenn.Sandbox
	want verdict
	ids  []string
}

func (tc correlateCase) run(t *testing.T) {
	t.Parallel()
	q := correlateQuery{
		attempt: attempt{
			intent:  createIntent{ID: "own", Time: began, Token: testToken},
			request: wrenn.CreateSandboxRequest{Template: "minimal", VCPUs: 1, MemoryMB: 512},
			sized:   true, limit: 5 * time.Minute, settled: began.Add(15 * time.Second),
		},
		list: tc.list, listTime: began.Add(time.Minute),
	}
	for _, set := range tc.set {
		set(&q)
	}
	got := correlate(q)
	if got.verdict != tc.want {
		t.Fatalf("verdict %s, want %s", got.verdict, tc.want)
	}
	var ids []string
	for _, remote := range got.remotes {
		ids = append(ids, remote.ID)
	}
	if diff := cmp.Diff(tc.ids, ids); diff != "" {
		t.Error(diff)
	}
}

func TestCorrelateByToken(t *testing.T) {
	t.Parallel()
	claimed := func(q *correlateQuery) { q.claimed = map[string]bool{"a": true} }
	replacing := func(q *correlateQuery) { q.intent.Replaces = "a" }
	for name, tc := range map[string]correlateCase{
		"nothing there, list too old":  {set: []func(*correlateQuery){early}, want: verdictEarly},
		"nothing there":                {want: verdictNone},
		"its token":                    {list: []wrenn.Sandbox{listed("a")}, want: verdictFound, ids: []string{"a"}},
		"its token, list too old":      {set: []func(*correlateQuery){early}, list: []wrenn.Sandbox{listed("a")}, want: verdictFound, ids: []string{"a"}},
		"another token":                {list: []wrenn.Sandbox{listed("a", func(s *wrenn.Sandbox) { s.TimeoutSec = -99 })}, want: verdictNone},
		"no token at all":              {list: []wrenn.Sandbox{listed("a", func(s *wrenn.Sandbox) { s.TimeoutSec = 0 })}, want: verdictNone},
		"its token, another template":  {list: []wrenn.Sandbox{listed("a", func(s *wrenn.Sandbox) { s.Template = "x" })}, want: verdictNone},
		"its token, long before":       {list: []wrenn.Sandbox{listed("a", func(s *wrenn.Sandbox) { s.CreatedAt = began.Add(-time.Hour) })}, want: verdictNone},
		"its token, half made":         {list: []wrenn.Sandbox{listed("a", pending)}, want: verdictAbandoned, ids: []string{"a"}},
		"half made, list too old":      {set: []func(*correlateQuery){early}, list: []wrenn.Sandbox{listed("a", pending)}, want: verdictEarly},
		"its token, twice":             {list: []wrenn.Sandbox{listed("b"), listed("a")}, want: verdictUnknown, ids: []string{"a", "b"}},
		"its token, host out of touch": {list: []wrenn.Sandbox{listed("a", func(s *wrenn.Sandbox) { s.Status = wrenn.StatusMissing })}, want: verdictFound, ids: []string{"a"}},
		"claimed by another":           {set: []func(*correlateQuery){claimed}, list: []wrenn.Sandbox{listed("a")}, want: verdictNone},
		"the one that it replaces":     {set: []func(*correlateQuery){replacing}, list: []wrenn.Sandbox{listed("a")}, want: verdictNone},
	} {
		t.Run(name, tc.run)
	}
}

func TestCorrelateWithoutToken(t *testing.T) {
	t.Parallel()
	shared := []func(*correlateQuery){tokenless}
	alone := []func(*correlateQuery){tokenless, exclusive}
	fromSnapshot := append([]func(*correlateQuery){func(q *correlateQuery) { q.sized = false }}, alone...)
	there := func(q *correlateQuery) { q.intent.Earlier = &earlierRemotes{Time: began, IDs: []string{"old"}} }
	alongside := []func(*correlateQuery){tokenless, there, exclusive}
	for name, tc := range map[string]correlateCase{
		"nothing there":              {set: shared, want: verdictNone},
		"shared, one":                {set: shared, list: []wrenn.Sandbox{listed("a", idling)}, want: verdictUnknown, ids: []string{"a"}},
		"shared, half made":          {set: shared, list: []wrenn.Sandbox{listed("a", idling, pending)}, want: verdictUnknown, ids: []string{"a"}},
		"exclusive, one":             {set: alone, list: []wrenn.Sandbox{listed("a", idling)}, want: verdictFound, ids: []string{"a"}},
		"exclusive, list too old":    {set: append(alone, early), list: []wrenn.Sandbox{listed("a", idling)}, want: verdictEarly},
		"exclusive, half made":       {set: alone, list: []wrenn.Sandbox{listed("a", idling, pending)}, want: verdictAbandoned, ids: []string{"a"}},
		"exclusive, two":             {set: alone, list: []wrenn.Sandbox{listed("b", idling), listed("a", idling)}, want: verdictUnknown, ids: []string{"a", "b"}},
		"exclusive, another size":    {set: alone, list: []wrenn.Sandbox{listed("a", idling, larger)}, want: verdictNone},
		"exclusive, snapshot's size": {set: fromSnapshot, list: []wrenn.Sandbox{listed("a", idling, larger)}, want: verdictFound, ids: []string{"a"}},
		"exclusive, another timeout": {set: alone, list: []wrenn.Sandbox{listed("a")}, want: verdictNone},
		"exclusive, one was there":   {set: alongside, list: []wrenn.Sandbox{listed("old", idling), listed("a", idling)}, want: verdictFound, ids: []string{"a"}},
		"exclusive, it alone":        {set: alongside, list: []wrenn.Sandbox{listed("old", idling)}, want: verdictNone},
		"shared, it alone":           {set: alongside[:2], list: []wrenn.Sandbox{listed("old", idling)}, want: verdictNone},
		"exclusive, half made too":   {set: alone, list: []wrenn.Sandbox{listed("a", idling), listed("b", idling, pending)}, want: verdictUnknown, ids: []string{"a", "b"}},
		"exclusive, made long after": {set: alone, list: []wrenn.Sandbox{listed("a", idling, late)}, want: verdictNone},
	} {
		t.Run(name, tc.run)
	}
}

// Several creates of the same shape that were all lost share out what has come of them, and wait for each other.
func TestCorrelateAmongRivals(t *testing.T) {
	t.Parallel()
	rival := func(id string, changes ...func(*attempt)) func(*correlateQuery) {
		return func(q *correlateQuery) {
			other := q.attempt
			other.intent.ID = id
			for _, change := range changes {
				change(&other)
			}
			q.rivals = append(q.rivals, other)
		}
	}
	earlier := func(a *attempt) { a.intent.Time = began.Add(-time.Second) }
	later := func(a *attempt) { a.intent.Time = began.Add(time.Second) }
	flying := func(a *attempt) { a.settled = time.Time{} }
	unsettled := func(a *attempt) { a.settled = began.Add(time.Hour) }
	otherShape := func(a *attempt) { a.request.TimeoutSec = 61 }
	with := func(rivals ...func(*correlateQuery)) []func(*correlateQuery) {
		return append([]func(*correlateQuery){tokenless, exclusive}, rivals...)
	}
	one, two := []wrenn.Sandbox{listed("a", idling)}, []wrenn.Sandbox{listed("b", idling), listed("a", idling)}
	for name, tc := range map[string]correlateCase{
		"one for the earlier":                {set: with(rival("r", earlier)), list: one, want: verdictNone},
		"one, and the other came later":      {set: with(rival("r", later)), list: one, want: verdictFound, ids: []string{"a"}},
		"one each, the earlier first":        {set: with(rival("r", earlier)), list: two, want: verdictFound, ids: []string{"b"}},
		"one each, and the other is later":   {set: with(rival("r", later)), list: two, want: verdictFound, ids: []string{"a"}},
		"at the same moment, by id":          {set: with(rival("a")), list: one, want: verdictNone},
		"more than all have asked for":       {set: with(rival("r", later)), list: append([]wrenn.Sandbox{listed("c", idling)}, two...), want: verdictUnknown, ids: []string{"a", "b", "c"}},
		"a half made one for the later":      {set: with(rival("r", earlier)), list: []wrenn.Sandbox{listed("a", idling, pending), listed("b", idling)}, want: verdictAbandoned, ids: []string{"a"}},
		"a half made one for the other":      {set: with(rival("r", later)), list: []wrenn.Sandbox{listed("a", idling, pending), listed("b", idling)}, want: verdictFound, ids: []string{"b"}},
		"all half made":                      {set: with(rival("r", later)), list: []wrenn.Sandbox{listed("a", idling, pending), listed("b", idling, pending)}, want: verdictAbandoned, ids: []string{"a", "b"}},
		"the other is under way":             {set: with(rival("r", later, flying)), list: one, want: verdictEarly},
		"the other is not settled":           {set: with(rival("r", earlier, unsettled)), list: one, want: verdictEarly},
		"nothing there for anybody":          {set: with(rival("r", unsettled)), want: verdictNone},
		"the other asked for something else": {set: with(rival("r", earlier, flying, otherShape)), list: one, want: verdictFound, ids: []string{"a"}},
		"the same token":                     {set: []func(*correlateQuery){rival("r", earlier)}, list: []wrenn.Sandbox{listed("a")}, want: verdictNone},
		"the same token, under way":          {set: []func(*correlateQuery){rival("r", flying)}, list: []wrenn.Sandbox{listed("a")}, want: verdictEarly},
	} {
		t.Run(name, tc.run)
	}
}

func TestCreateIntentSurvivesItsAnnotation(t *testing.T) {
	t.Parallel()
	request := wrenn.CreateSandboxRequest{Template: "minimal", VCPUs: 1, MemoryMB: 512}
	bound := v1alpha1.BoundConnection{Kind: v1alpha1.ConnectionKindNamespaced, Name: "default", Fingerprint: "f"}
	for range 1000 {
		intent := newCreateIntent(0x7f, bound, request, true, "cl-old")
		if intent.Token < 1 {
			t.Fatalf("token %d is not positive", intent.Token)
		}
		if got := intent.request(request).TimeoutSec; got != -intent.Token {
			t.Fatalf("the request carries %d, want %d", got, -intent.Token)
		}
		sandbox := &v1alpha1.Sandbox{}
		sandbox.Annotations = map[string]string{v1alpha1.AnnotationSandboxID: "cl-old"}
		if err := intent.writeTo(sandbox); err != nil {
			t.Fatal(err)
		}
		read, err := openIntent(sandbox)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(intent, *read); diff != "" {
			t.Fatal(diff)
		}
		if _, ok := sandbox.Annotations[v1alpha1.AnnotationSandboxID]; ok {
			t.Fatal("the id of the earlier remote is still there")
		}
	}
}

func TestCreateIntentWithoutToken(t *testing.T) {
	t.Parallel()
	bound := v1alpha1.BoundConnection{Kind: v1alpha1.ConnectionKindNamespaced, Name: "default"}
	idle := wrenn.CreateSandboxRequest{TimeoutSec: 60}
	if intent := newCreateIntent(1, bound, idle, true, ""); intent.Token != 0 || intent.request(idle).TimeoutSec != 60 {
		t.Errorf("an idle timeout was replaced by a token: %+v", intent)
	}
	if intent := newCreateIntent(1, bound, wrenn.CreateSandboxRequest{}, false, ""); intent.Token != 0 {
		t.Errorf("a token for a service that refuses them: %+v", intent)
	}
}

func TestOpenIntentRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	sandbox := &v1alpha1.Sandbox{}
	sandbox.Annotations = map[string]string{v1alpha1.AnnotationCreateIntent: "{"}
	if intent, err := openIntent(sandbox); err == nil {
		t.Errorf("a damaged intent was read as %+v: a second remote could be made", intent)
	}
}
