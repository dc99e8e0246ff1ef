package guest

import (
	"slices"
	"testing"
)

func TestParseStat(t *testing.T) {
	const rest = " 7 7 0 -1 4194304 90 0 0 0 11 22 33 44 20 0 1 0 100 2600000 5 18446744073709551615"
	for name, tt := range map[string]struct {
		stat string
		want proc
		ok   bool
	}{
		"plain":             {"9 (sh) S 3" + rest, proc{pid: 9, ppid: 3, state: 'S', ticks: 110}, true},
		"odd command names": {"9 (a) R 1 (b) ) T 3" + rest, proc{pid: 9, ppid: 3, state: 'T', ticks: 110}, true},
		"truncated":         {"9 (sh) S 3", proc{}, false},
		"nonsense":          {"", proc{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseStat(9, []byte(tt.stat))
			if tt.ok && got.rss <= 0 {
				t.Errorf("rss %d", got.rss)
			}
			got.rss = 0
			if got != tt.want || ok != tt.ok {
				t.Errorf("%+v %v", got, ok)
			}
		})
	}
}

func TestTreeFindsDescendantsOnly(t *testing.T) {
	procs := []proc{{pid: 1}, {pid: 2, ppid: 1}, {pid: 3, ppid: 2}, {pid: 4, ppid: 1}, {pid: 5, ppid: 3}}
	var got []int
	for _, p := range tree(procs, []int{2}) {
		got = append(got, p.pid)
	}
	if slices.Sort(got); !slices.Equal(got, []int{3, 5}) {
		t.Errorf("%v", got)
	}
}
