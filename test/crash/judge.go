package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// class is a way to be wrong.
type class string

const (
	// leaked: a remote is alive that no object has, or a process of an attempt that is over.
	leaked class = "leaked"
	// doubled: a Sandbox had two remotes at a time, or two Sandboxes have one.
	doubled class = "doubled"
	// lost: a Sandbox is without the remote that it should have, or one was destroyed that nobody wanted destroyed, or a
	// command was not run.
	lost class = "lost"
	// stuck: an object does not come to rest.
	stuck class = "stuck"
	// diverged: an object came to rest elsewhere than in the undisturbed run, or than its spec asks, or its conditions
	// contradicted each other on the way.
	diverged class = "diverged"
	// reruns: a command was run more than once in an attempt, or in one that was not recorded.
	reruns class = "reruns"
	// outputsDiffer: what is stored of an output is not what the command wrote.
	outputsDiffer class = "outputs_differ"
)

// classes are all of them, in the order of the report.
var classes = []class{leaked, doubled, lost, stuck, diverged, reruns, outputsDiffer}

// finding is something that is wrong.
type finding struct {
	class class
	text  string
	// collected tells that the garbage collector of the cluster is to mend it, which has its own pace.
	collected bool
}

func (f finding) String() string { return string(f.class) + ": " + f.text }

// facts are what is known of a case when it has ended.
type facts struct {
	remotes []remoteFacts
	objects []objectFacts
	jobs    []jobFacts
	// took are remotes that were destroyed although nobody had asked for that; broken what was wrong with an object on
	// its way.
	took, broken []string
}

// remoteFacts are those of a remote sandbox.
type remoteFacts struct {
	id string
	// owner is the Sandbox that it was made for; empty for one that somebody has made by hand.
	owner string
	// made and ended bound its life; ended is zero where it was never seen to end.
	made, ended time.Time
	// alive tells that it is still there, and state as what.
	alive bool
	state string
	// kept tells that it is to be there although no object has it.
	kept bool
}

// objectFacts are those of an object.
type objectFacts struct {
	name string
	// remote is the id that its status names.
	remote string
	// reason and message are those of its Ready condition, resting tells that its status is up to date and no work is
	// under way.
	reason, message string
	resting         bool
	wants           want
	// shape is all of it that is the same in every run, line by line.
	shape []string
}

// want is where an object should come to rest.
type want struct {
	// reasons are those that its Ready condition may have; any where there are none.
	reasons []string
	// state is that of its remote; empty where it is to have none, or none that is alive.
	state string
}

// judge tells what is wrong. Reference are the shapes of the objects in the undisturbed run by name, nil where there
// was none.
func judge(f facts, reference map[string][]string) []finding {
	var found []finding
	add := func(c class, format string, args ...any) {
		found = append(found, finding{class: c, text: fmt.Sprintf(format, args...)})
	}
	having := map[string][]string{}
	for _, object := range f.objects {
		if object.remote != "" {
			having[object.remote] = append(having[object.remote], object.name)
		}
	}
	remotes := map[string]remoteFacts{}
	for _, remote := range f.remotes {
		remotes[remote.id] = remote
		if remote.alive && !remote.kept && len(having[remote.id]) == 0 {
			add(leaked, "%s, made for %q, is %s and no object has it", remote.id, remote.owner, remote.state)
		}
		if len(having[remote.id]) > 1 {
			add(doubled, "%s is had by %v", remote.id, having[remote.id])
		}
	}
	for _, text := range overlaps(f.remotes) {
		add(doubled, "%s", text)
	}
	for _, object := range f.objects {
		found = append(found, judgeObject(object, remotes[object.remote])...)
	}
	for _, job := range f.jobs {
		found = append(found, judgeJob(job)...)
	}
	for _, text := range f.took {
		add(lost, "%s", text)
	}
	for _, text := range f.broken {
		add(diverged, "%s", text)
	}
	if reference != nil {
		found = append(found, compare(f.objects, reference)...)
	}
	return found
}

// overlaps tells which Sandboxes had more than one remote at a time.
func overlaps(remotes []remoteFacts) (found []string) {
	byOwner := map[string][]remoteFacts{}
	for _, remote := range remotes {
		if remote.owner != "" {
			byOwner[remote.owner] = append(byOwner[remote.owner], remote)
		}
	}
	for owner, lives := range byOwner {
		slices.SortFunc(lives, func(a, b remoteFacts) int { return cmp.Or(a.made.Compare(b.made), cmp.Compare(a.id, b.id)) })
		for i := 1; i < len(lives); i++ {
			if before := lives[i-1]; before.ended.IsZero() && before.alive || before.ended.After(lives[i].made) {
				found = append(found, fmt.Sprintf("%s was made for %q while %s was there", lives[i].id, owner, before.id))
			}
		}
	}
	return found
}

// judgeObject holds an object to what it wants.
func judgeObject(object objectFacts, remote remoteFacts) (found []finding) {
	switch {
	case object.wants.state == "":
	case object.remote == "" || !remote.alive:
		found = append(found, finding{class: lost, text: object.name + " has no remote that is alive"})
	case remote.state != object.wants.state:
		found = append(found, finding{class: diverged, text: fmt.Sprintf("the remote of %s is %s and should be %s", object.name, remote.state, object.wants.state)})
	}
	switch {
	case !object.resting:
		found = append(found, finding{class: stuck, text: fmt.Sprintf("%s does not rest: it is %s (%s)", object.name, object.reason, object.message)})
	case len(object.wants.reasons) > 0 && !slices.Contains(object.wants.reasons, object.reason):
		found = append(found, finding{class: diverged, text: fmt.Sprintf("%s is %s and should be one of %v", object.name, object.reason, object.wants.reasons)})
	}
	return found
}

// compare compares objects with those of the undisturbed run.
func compare(objects []objectFacts, reference map[string][]string) (found []finding) {
	there := map[string]bool{}
	for _, object := range objects {
		there[object.name] = true
		expected, ok := reference[object.name]
		if !ok {
			found = append(found, finding{class: diverged, text: object.name + " is there, and is not in the undisturbed run"})
			continue
		}
		for _, line := range object.shape {
			if !slices.Contains(expected, line) {
				found = append(found, finding{class: diverged, text: object.name + " has " + line})
			}
		}
		for _, line := range expected {
			if !slices.Contains(object.shape, line) {
				found = append(found, finding{class: diverged, text: object.name + " lacks " + line})
			}
		}
	}
	for name := range reference {
		if !there[name] {
			found = append(found, finding{class: diverged, text: name + " is gone, and is not in the undisturbed run"})
		}
	}
	return found
}
