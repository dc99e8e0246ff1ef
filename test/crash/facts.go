package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// facts gathers what is known of the world now.
func (w *world) facts(ctx context.Context) (facts, error) {
	var f facts
	var sandboxes v1alpha1.SandboxList
	if err := w.list(ctx, &sandboxes); err != nil {
		return f, err
	}
	here := map[types.UID]bool{}
	for i := range sandboxes.Items {
		sandbox := &sandboxes.Items[i]
		here[sandbox.UID] = true
		f.objects = append(f.objects, w.object(sandbox, sandbox.Status.SandboxID, wanted(sandbox, w.history.fateOf(sandbox.Status.SandboxID))))
	}
	var snapshots v1alpha1.SnapshotList
	if err := w.list(ctx, &snapshots); err != nil {
		return f, err
	}
	for i := range snapshots.Items {
		f.objects = append(f.objects, w.object(&snapshots.Items[i], "", want{}))
	}
	var connections v1alpha1.ConnectionList
	if err := w.list(ctx, &connections); err != nil {
		return f, err
	}
	for i := range connections.Items {
		f.objects = append(f.objects, w.object(&connections.Items[i], "", want{}))
	}
	f.remotes = w.remotes(here)
	var jobs v1alpha1.ExecJobList
	if err := w.list(ctx, &jobs); err != nil {
		return f, err
	}
	for i := range jobs.Items {
		f.objects = append(f.objects, w.jobObject(&jobs.Items[i], sandboxes.Items))
	}
	var err error
	if f.jobs, err = w.jobFacts(ctx, jobs.Items, sandboxes.Items, f.remotes); err != nil {
		return f, err
	}
	w.history.mu.Lock()
	defer w.history.mu.Unlock()
	f.took, f.broken = slices.Clone(w.history.took), slices.Clone(w.history.broken)
	return f, nil
}

// remotes gathers what is known of every remote there ever was. Here are the Sandboxes that are there.
func (w *world) remotes(here map[types.UID]bool) (found []remoteFacts) {
	rows := w.wrenn.Sandboxes()
	h := w.history
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, row := range rows {
		over := row.Status == wrenndev.StatusStopped || row.Status == wrenndev.StatusError
		maker, made := h.maker(row)
		owner, had := h.had[row.ID]
		if !had {
			owner = maker
		}
		remote := remoteFacts{
			id: row.ID, made: row.Created, ended: h.ends[row.ID], state: row.Status,
			// The machine of one that the service calls stopped is to be freed too, unless its id was never learned.
			alive: !over || row.Machine && had,
			kept:  !made && !had || h.orphaned[owner] && !here[owner] || h.forgotten(owner),
		}
		if had || made {
			remote.owner = h.names[owner] + " " + string(owner)
		}
		if !remote.alive && remote.ended.IsZero() {
			remote.ended = row.Created
		}
		found = append(found, remote)
	}
	return found
}

// object gathers what is known of an object.
func (w *world) object(obj client.Object, remote string, wants want) objectFacts {
	conditions, observed := v1alpha1.ConditionsOf(obj)
	object := objectFacts{
		name: nameOf(obj), remote: remote, wants: wants,
		resting: observed == obj.GetGeneration() && obj.GetDeletionTimestamp() == nil && !meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReconciling),
		shape:   w.shape(obj, remote),
	}
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready != nil {
		object.reason, object.message = ready.Reason, ready.Message
	}
	return object
}

// jobObject gathers what is known of an ExecJob.
func (w *world) jobObject(job *v1alpha1.ExecJob, sandboxes []v1alpha1.Sandbox) objectFacts {
	object := w.object(job, "", want{})
	at := slices.IndexFunc(sandboxes, func(s v1alpha1.Sandbox) bool { return s.Name == job.Status.SandboxName })
	var sandbox *v1alpha1.Sandbox
	if at >= 0 {
		sandbox = &sandboxes[at]
	}
	// One that waits is at work by its conditions, and may be at rest all the same.
	wants, rests := wantedJob(job, sandbox)
	_, observed := v1alpha1.ConditionsOf(job)
	object.wants, object.resting = wants, rests && observed == job.Generation && job.DeletionTimestamp.IsZero()
	return object
}

// nameOf is how an object is told from others, the same in every run.
func nameOf(obj client.Object) string {
	return fmt.Sprintf("%s/%s", strings.TrimPrefix(fmt.Sprintf("%T", obj), "*v1alpha1."), anyHash.ReplaceAllString(obj.GetName(), "<a hash>"))
}

// What differs from run to run.
var (
	anyID      = regexp.MustCompile(`cl-[0-9a-z]{25}`)
	anyTime    = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	anyAddress = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+(:\d+)?`)
	anyHash    = regexp.MustCompile(`[0-9a-f]{8,}`)
	// Into how many ConfigMaps an output is cut depends on how much of it was left for the end. A tail with the mark of what
	// is no UTF-8 in it is one of random bytes.
	ofOneRun = regexp.MustCompile(`^\.status\.(pid: |duration(Millis)?: |outputConfigMaps\[|pausedSeconds: |std(out|err)Tail: (?s:.*)\x{FFFD})`)
)

// shape returns what of an object is the same in every run, a line for each field.
func (w *world) shape(obj client.Object, remote string) []string {
	text, _ := json.Marshal(obj) // an API object
	var fields map[string]any
	_ = json.Unmarshal(text, &fields)
	metadata, _ := fields["metadata"].(map[string]any)
	maps.DeleteFunc(metadata, func(field string, _ any) bool {
		return !slices.Contains([]string{"annotations", "finalizers", "generation", "deletionTimestamp"}, field)
	})
	var lines []string
	flatten("", fields, func(line string) {
		if ofOneRun.MatchString(line) {
			return
		}
		if remote != "" {
			line = strings.ReplaceAll(line, remote, "<its remote>")
		}
		line = anyID.ReplaceAllString(line, "<a remote>")
		line = anyTime.ReplaceAllString(line, "<a time>")
		line = anyAddress.ReplaceAllString(line, "<an address>")
		line = strings.ReplaceAll(line, w.namespace, "<the namespace>")
		line = strings.ReplaceAll(line, w.ledger.dir, "<the ledger>")
		lines = append(lines, anyHash.ReplaceAllString(line, "<a hash>"))
	})
	slices.Sort(lines)
	return lines
}

// flatten tells of every field of a JSON value. Items of a list are told apart by their own name, so that their order
// does not matter.
func flatten(path string, value any, tell func(line string)) {
	switch v := value.(type) {
	case map[string]any:
		for field, inner := range v {
			flatten(path+"."+field, inner, tell)
		}
	case []any:
		for i, inner := range v {
			at := fmt.Sprint(i)
			if item, ok := inner.(map[string]any); ok {
				for _, key := range []string{"type", "name", "path"} {
					if name, ok := item[key].(string); ok {
						at = name
						break
					}
				}
			}
			flatten(path+"["+at+"]", inner, tell)
		}
	default:
		tell(fmt.Sprintf("%s: %v", path, v))
	}
}
