package main

import (
	"bytes"
	"fmt"
	"slices"
)

// jobFacts are those of an ExecJob, also of one that is gone.
type jobFacts struct {
	name string
	// attempts is how many its status has told of at the most.
	attempts int32
	// ended tells that the command of the last attempt is said to have ended, so that it was run.
	ended bool
	// runs are the numbers of the attempts, one for each time that the command was run.
	runs []int32
	// left is what is still there of attempts that are over.
	left []string
	// uncollected are the Sandboxes of one that is gone, which the garbage collector is to delete.
	uncollected []string
	// output is what is stored, nil where that is not to be compared.
	output *outputFacts
}

// outputFacts are what is stored of the output of an attempt.
type outputFacts struct {
	// parts are the ConfigMaps that the status names, in order.
	parts []partFacts
	// others are the ConfigMaps of the job that it does not name.
	others []string
	// bytes are the sizes that the status tells, and truncated is how much it says is not stored.
	bytes     [2]int64
	truncated int64
	// written is what the command wrote, by itself to the end.
	written [2][]byte
	// cut tells that it was ended, so that the last of it may be missing on either side.
	cut bool
}

// partFacts are those of an output ConfigMap.
type partFacts struct {
	name string
	// there tells that it is.
	there bool
	// offsets are where it says that it belongs.
	offsets [2]int64
	data    [2][]byte
}

// judgeJob tells what is wrong with a job beside its object.
func judgeJob(job jobFacts) (found []finding) {
	add := func(c class, format string, args ...any) {
		found = append(found, finding{class: c, text: job.name + " " + fmt.Sprintf(format, args...)})
	}
	times := map[int32]int{}
	for _, attempt := range job.runs {
		times[attempt]++
	}
	for attempt, n := range times {
		switch {
		case n > 1:
			add(reruns, "was run %d times in attempt %d", n, attempt)
		case attempt > job.attempts:
			add(reruns, "was run in attempt %d, and its status tells of %d", attempt, job.attempts)
		}
	}
	if job.ended && times[job.attempts] == 0 {
		add(lost, "is said to have ended in attempt %d and was not run in it", job.attempts)
	}
	if len(job.left) > 0 {
		add(leaked, "has left %v", job.left)
	}
	if len(job.uncollected) > 0 {
		found = append(found, finding{class: leaked, text: fmt.Sprintf("%s is gone, and the garbage collector has left %v", job.name, job.uncollected), collected: true})
	}
	if job.output != nil {
		if difference := job.output.difference(); difference != "" {
			add(outputsDiffer, "%s", difference)
		}
	}
	return found
}

// difference tells how what is stored differs from what was written, and is empty where it does not.
func (o *outputFacts) difference() string {
	var next [2]int64
	var stored int64
	gaps := 0
	for _, part := range o.parts {
		switch {
		case !part.there:
			return part.name + " is not there"
		case part.offsets[0] < next[0], part.offsets[1] < next[1]:
			return fmt.Sprintf("%s is at %v, and %v is stored before it", part.name, part.offsets, next)
		case part.offsets != next:
			gaps++
		}
		for i, data := range part.data {
			next[i] = part.offsets[i] + int64(len(data))
			stored += int64(len(data))
			if at := min(part.offsets[i], int64(len(o.written[i]))); !o.agree(o.written[i][at:], data) {
				return fmt.Sprintf("%s has other bytes of %s than were written from offset %d on", part.name, streams[i], part.offsets[i])
			}
		}
	}
	wrote := [2]int64{int64(len(o.written[0])), int64(len(o.written[1]))}
	switch {
	case len(o.others) > 0:
		return fmt.Sprintf("the status does not name %v", o.others)
	case o.cut:
		return ""
	case o.bytes != wrote:
		return fmt.Sprintf("the status tells of %v bytes, and %v were written", o.bytes, wrote)
	case stored+o.truncated != wrote[0]+wrote[1]:
		return fmt.Sprintf("%d bytes are stored and %d left out of %v", stored, o.truncated, wrote)
	case o.truncated > 0 && (gaps != 1 || next != wrote):
		return fmt.Sprintf("%d gaps, and the end is at %v of %v", gaps, next, wrote)
	}
	return ""
}

// agree tells whether stored bytes are those that were written, as far as both are known.
func (o *outputFacts) agree(written, stored []byte) bool {
	if o.cut {
		n := min(len(written), len(stored))
		return bytes.Equal(written[:n], stored[:n])
	}
	return bytes.HasPrefix(written, stored)
}

// missed are the attempts of a job that were not run.
func (j jobFacts) missed() (found []int32) {
	for attempt := range j.attempts {
		if !slices.Contains(j.runs, attempt+1) {
			found = append(found, attempt+1)
		}
	}
	return found
}
