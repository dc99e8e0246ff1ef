package main

import (
	"slices"
	"strings"
	"testing"
)

// innocentJob are facts of a job with nothing wrong: it was tried twice, and of what it wrote the middle is left out.
func innocentJob() jobFacts {
	return jobFacts{
		name: "ExecJob/job", attempts: 2, ended: true, runs: []int32{1, 2},
		output: &outputFacts{
			parts: []partFacts{
				{name: "job-output-2-0", there: true, data: [2][]byte{[]byte("abc"), []byte("1")}},
				{name: "job-output-2-1", there: true, offsets: [2]int64{5, 2}, data: [2][]byte{[]byte("f"), []byte("3")}},
				{name: "job-output-2-2", there: true, offsets: [2]int64{6, 3}, data: [2][]byte{[]byte("gh"), nil}},
			},
			bytes: [2]int64{8, 3}, truncated: 3,
			written: [2][]byte{[]byte("abcdefgh"), []byte("123")},
		},
	}
}

// The judge sees each way in which a job can be wrong, and nothing where nothing is.
func TestJudgeJob(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(j *jobFacts)
		want   []class
	}{
		"innocent":                      {func(*jobFacts) {}, nil},
		"nothing to compare":            {func(j *jobFacts) { j.output = nil }, nil},
		"an attempt that did not begin": {func(j *jobFacts) { j.runs = j.runs[1:] }, nil},
		"run twice in an attempt":       {func(j *jobFacts) { j.runs = append(j.runs, 1) }, []class{reruns}},
		"run without an attempt":        {func(j *jobFacts) { j.attempts = 1 }, []class{reruns}},
		"an end without a run":          {func(j *jobFacts) { j.runs = j.runs[:1] }, []class{lost}},
		"a process that is left":        {func(j *jobFacts) { j.left = []string{"process 7 of attempt 1"} }, []class{leaked}},
		"a Sandbox that is left":        {func(j *jobFacts) { j.uncollected = []string{"job-1"} }, []class{leaked}},
		"another byte":                  {func(j *jobFacts) { j.output.parts[2].data[0] = []byte("gH") }, []class{outputsDiffer}},
		"another byte of stderr":        {func(j *jobFacts) { j.output.parts[0].data[1] = []byte("2") }, []class{outputsDiffer}},
		"a byte too many":               {func(j *jobFacts) { j.output.parts[2].data[0] = []byte("ghi") }, []class{outputsDiffer}},
		"a byte too few":                {func(j *jobFacts) { j.output.parts[2].data[0] = []byte("g") }, []class{outputsDiffer}},
		"a part twice":                  {func(j *jobFacts) { j.output.parts[1] = j.output.parts[0] }, []class{outputsDiffer}},
		"a part at another place":       {func(j *jobFacts) { j.output.parts[1].offsets[0] = 50 }, []class{outputsDiffer}},
		"a second gap":                  {func(j *jobFacts) { j.output.parts[1].offsets[0], j.output.parts[1].data[0] = 4, []byte("e") }, []class{outputsDiffer}},
		"a part that is not there":      {func(j *jobFacts) { j.output.parts[1] = partFacts{name: "job-output-2-1"} }, []class{outputsDiffer}},
		"a part that is not named":      {func(j *jobFacts) { j.output.others = []string{"job-output-0"} }, []class{outputsDiffer}},
		"a part too few":                {func(j *jobFacts) { j.output.parts = j.output.parts[:2] }, []class{outputsDiffer}},
		"other sizes":                   {func(j *jobFacts) { j.output.bytes[0]++ }, []class{outputsDiffer}},
		"more left out than is said":    {func(j *jobFacts) { j.output.truncated-- }, []class{outputsDiffer}},
		"nothing stored":                {func(j *jobFacts) { j.output.parts = nil }, []class{outputsDiffer}},
		"ended before it was noted":     {func(j *jobFacts) { j.output.cut, j.output.written[0] = true, []byte("abcdefg") }, nil},
		"ended before it was stored":    {func(j *jobFacts) { j.output.cut, j.output.parts = true, j.output.parts[:1] }, nil},
		"ended, and another byte":       {func(j *jobFacts) { j.output.cut, j.output.parts[0].data[0] = true, []byte("abd") }, []class{outputsDiffer}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := innocentJob()
			test.change(&job)
			found := judge(facts{jobs: []jobFacts{job}}, nil)
			for _, c := range classes {
				has := slices.ContainsFunc(found, func(f finding) bool { return f.class == c })
				if want := slices.Contains(test.want, c); has != want {
					t.Errorf("%s: found %v, want %v; all: %v", c, has, want, found)
				}
			}
		})
	}
}

// What the judge finds is in the closing line, and a sweep that has found something is not clean.
func TestReportCountsEachClass(t *testing.T) {
	t.Parallel()
	for _, c := range classes {
		s := &sweep{out: t.Output(), report: report{counts: map[class]int{}}}
		s.takes(outcome{name: "-seed 1", found: []finding{{class: c, text: "once"}, {class: c, text: "and again"}}})
		if line := s.report.String(); !strings.Contains(line+" ", " "+string(c)+"=1 ") || s.report.clean() {
			t.Errorf("%s is not counted: %s, clean is %t", c, line, s.report.clean())
		}
	}
}

// What befalls a stream at a place is named so that it can be replayed.
func TestStreamMishaps(t *testing.T) {
	t.Parallel()
	all := streamMishaps("exec-run", "wrenn.exec-stream.1", 500)
	if again := streamMishaps("exec-run", "wrenn.exec-stream.1", 500); !slices.Equal(all, again) {
		t.Errorf("%v, and then %v", all, again)
	}
	kills := 0
	for _, m := range all {
		p, err := parsePoint(point{"exec-run", "wrenn.exec-stream.1", m}.String())
		bytes, kill, ok := p.mishap.place()
		if err != nil || !ok || bytes < 0 || bytes >= 500 {
			t.Errorf("%s is read as %d, %t, error %v", m, bytes, ok, err)
		}
		if kill {
			kills++
		}
	}
	if kills == 0 || kills == len(all) {
		t.Errorf("of %v, %d kill the operator", all, kills)
	}
	for _, m := range append([]mishap{none, "cut-", "cut-x"}, mishaps...) {
		if _, _, ok := m.place(); ok {
			t.Errorf("%q has a place", m)
		}
	}
}
