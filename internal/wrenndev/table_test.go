package wrenndev

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type testRecord struct{ Name, Team string }

func openTestTable(t *testing.T, path string) *table[testRecord] {
	t.Helper()
	opened, err := openTable[testRecord](path)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// TestTableKeepsItsRecords changes a table, and finds it again as it was after it was opened anew.
func TestTableKeepsItsRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.jsonl")
	records := openTestTable(t, path)
	sameName := func(name string) func(testRecord) bool {
		return func(r testRecord) bool { return r.Name == name }
	}
	if !records.add("1", testRecord{"a", "x"}, sameName("a")) {
		t.Fatal("the first record is refused")
	}
	if records.add("1", testRecord{"b", "x"}, nil) || records.add("2", testRecord{"a", "y"}, sameName("a")) {
		t.Fatal("a clash is accepted")
	}
	if !records.add("2", testRecord{"b", "y"}, sameName("b")) || !records.add("3", testRecord{"c", "x"}, nil) {
		t.Fatal("a record is refused")
	}
	refusal := errors.New("no")
	if r, ok, err := records.change("2", func(r *testRecord) error { r.Name = "z"; return refusal }); !ok || !errors.Is(err, refusal) || r.Name != "b" {
		t.Fatalf("a refused change left %+v, %v, %v", r, ok, err)
	}
	if r, ok, err := records.change("2", func(r *testRecord) error { r.Name = "d"; return nil }); !ok || err != nil || r.Name != "d" {
		t.Fatalf("a change left %+v, %v, %v", r, ok, err)
	}
	if _, ok, err := records.change("9", func(*testRecord) error { return refusal }); ok || err != nil {
		t.Fatalf("a record that is not there was changed: %v", err)
	}
	if r, ok := records.update("2", func(r *testRecord) { r.Team = "z" }); !ok || r.Team != "z" {
		t.Fatalf("an update left %+v, %v", r, ok)
	}
	if !records.touch("2", func(r *testRecord) { r.Team = "y" }) || records.touch("9", func(*testRecord) {}) {
		t.Fatal("touched the wrong record")
	}
	if r, _ := records.get("2"); r.Team != "y" {
		t.Fatalf("a touch left %+v", r)
	}
	if r, ok := records.update("2", func(r *testRecord) { r.Name = "d" }); !ok || r.Team != "y" {
		t.Fatalf("an update after a touch left %+v, %v", r, ok)
	}
	if r, ok := records.remove("1"); !ok || r.Name != "a" {
		t.Fatalf("removed %+v, %v", r, ok)
	}
	if _, ok := records.remove("1"); ok {
		t.Fatal("removed twice")
	}
	for range 2 {
		want := []testRecord{{"d", "y"}, {"c", "x"}}
		if diff := cmp.Diff(want, records.list(nil)); diff != "" {
			t.Fatalf("all records (-want +got):\n%s", diff)
		}
		if got := records.list(func(r testRecord) bool { return r.Team == "x" }); len(got) != 1 || got[0].Name != "c" {
			t.Fatalf("records of a team are %v", got)
		}
		if r, ok := records.get("2"); !ok || r.Name != "d" {
			t.Fatalf("got %+v, %v", r, ok)
		}
		if _, ok := records.get("1"); ok {
			t.Fatal("a removed record is there")
		}
		if err := records.close(); err != nil {
			t.Fatal(err)
		}
		records = openTestTable(t, path)
	}
	if !records.add("4", testRecord{"e", "x"}, nil) {
		t.Fatal("a record is refused")
	}
	if got := records.list(nil); got[len(got)-1].Name != "e" {
		t.Fatalf("the newest is not the last of %v", got)
	}
	if err := records.close(); err != nil {
		t.Fatal(err)
	}
}
