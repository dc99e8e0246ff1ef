package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// orphansNamed is how many ids an event names. Its text is bounded; the log names all.
const orphansNamed = 10

// lookAgain asks the service about each remote, and then the API server about all Sandboxes, before anything is said or
// done. What it does not confirm begins anew. The doomed that it does confirm are destroyed.
func (s *OrphanSweeper) lookAgain(ctx context.Context, of *sweep, due, doomed []wrenn.Sandbox) {
	ctx, cancel := context.WithTimeout(ctx, s.Timing.Call)
	defer cancel()
	log := logf.FromContext(ctx)
	alive := map[string]wrenn.Sandbox{}
	for _, remote := range slices.Concat(doomed, due) {
		now, err := of.team.Client.Sandbox(remote.ID).Get(ctx)
		if err == nil && !now.Status.Final() {
			alive[remote.ID] = *now
		}
	}
	// The Sandboxes come last: whatever claims a remote in time is heard.
	claims, err := storedClaims(ctx, s.Direct)
	if err != nil {
		log.Error(err, "could not read the Sandboxes from the API server; nothing is done about orphans")
		return
	}
	s.claimUnsaved(claims)
	list, _ := of.team.Sandboxes()
	rights, inhabited := rightsOf(specsOf(ctx, s.Direct, of.keys)), claims.coverAny(list)
	var destroyed []string
	for i, remote := range slices.Concat(doomed, due) {
		now, ok := alive[remote.ID]
		if !ok || claims.cover(now) {
			of.seen.forget(remote.ID)
			continue
		}
		of.seen.confirm(remote.ID, of.seen.sightings[remote.ID].tried)
		if i >= len(doomed) || !inhabited || !rights.allow(now, clusterBits(s.ClusterUID)) {
			continue
		}
		of.seen.confirm(remote.ID, time.Now())
		if _, err := destroyRemote(ctx, of.team, remote.ID); err != nil {
			log.Error(err, "could not destroy an orphan", "remote", remote.ID)
			continue
		}
		of.seen.forget(remote.ID)
		of.team.Forget(remote.ID)
		s.Metrics.destroyed.Inc()
		log.Info("destroyed an orphan", "remote", remote.ID)
		destroyed = append(destroyed, remote.ID)
	}
	if len(destroyed) > 0 {
		s.tell(ctx, of, corev1.EventTypeNormal, v1alpha1.ReasonOrphanDestroyed, "Destroy",
			fmt.Sprintf("destroyed %s, which belonged to no Sandbox of this cluster for %s", named(destroyed), s.Timing.Grace))
	}
}

// report tells of the orphans of a team when there are others than it told of before, and at most once in a grace time:
// in a team that others use, somebody's sandboxes come and go.
func (s *OrphanSweeper) report(ctx context.Context, of *sweep) {
	orphans, own := map[string]bool{}, 0
	for id, seen := range of.seen.sightings {
		if !seen.confirmed {
			continue
		}
		orphans[id] = true
		if marked(of.seen.unclaimed[id], clusterBits(s.ClusterUID)) {
			own++
		}
	}
	maps.DeleteFunc(of.told, func(id string, _ bool) bool { return !orphans[id] })
	ids := slices.Sorted(maps.Keys(orphans))
	news := slices.ContainsFunc(ids, func(id string) bool { return !of.told[id] })
	if !news || time.Since(of.toldAt) < s.Timing.Grace {
		return
	}
	of.told, of.toldAt = orphans, time.Now()
	logf.FromContext(ctx).Info("sandboxes belong to no Sandbox of this cluster", "remotes", ids, "connections", of.keys)
	s.tell(ctx, of, corev1.EventTypeWarning, v1alpha1.ReasonOrphansFound, "Sweep", fmt.Sprintf(
		"sandboxes of the team that belong to no Sandbox of this cluster: %d, of which this cluster has made %d: %s. Destroy them at Wrenn, take them "+
			"over by spec.adoptID of a Sandbox, or set spec.orphanPolicy: Delete: the operator then destroys those that it has made, and with "+
			"spec.ownership: Exclusive the others too. How to list them is in docs/operations.md, under Orphans",
		len(ids), own, named(ids)))
}

// tell records an event on each connection that leads to the team.
func (s *OrphanSweeper) tell(ctx context.Context, of *sweep, severity, reason, action, note string) {
	for _, key := range of.keys {
		if found, err := readConnection(ctx, s.Client, key); err == nil {
			s.Recorder.Eventf(found.object, nil, severity, reason, action, "%s", note)
		}
	}
}

// named lists ids, the first of them if they are many.
func named(ids []string) string {
	if len(ids) <= orphansNamed {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:orphansNamed], ", "), len(ids)-orphansNamed)
}
