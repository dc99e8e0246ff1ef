package controller

import (
	"context"
	"maps"
	"sync"
	"time"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// OrphanTiming is how patient an OrphanSweeper is.
type OrphanTiming struct {
	// Grace is how long a remote must have belonged to no object before anything is said or done about it.
	Grace time.Duration
	// Look is how often the latest lists are looked at.
	Look time.Duration
	// Call bounds the calls of one look at one team.
	Call time.Duration
}

// DefaultOrphanTiming is for the real service.
var DefaultOrphanTiming = OrphanTiming{Grace: 10 * time.Minute, Look: 30 * time.Second, Call: time.Minute}

// What is done about the orphans of a team in one look. The rest has its turn in the next.
const (
	orphansDestroyedAtOnce = 5
	orphansConfirmedAtOnce = 20
)

// OrphanSweeper finds the remotes of the teams in use that no Sandbox claims, tells of them, and destroys them where the
// connections ask for that. It looks at the lists that are read anyway. What it remembers is memory only: a restart begins
// anew, which is right.
type OrphanSweeper struct {
	client.Client
	// Direct reads from the API server itself.
	Direct client.Reader
	// Pool holds the teams.
	Pool *connection.Pool
	// Sandboxes has the remotes whose ids are not stored yet.
	Sandboxes *SandboxReconciler
	// Recorder records events.
	Recorder events.EventRecorder
	// ClusterUID is the identity of this cluster, as the SandboxReconciler has it.
	ClusterUID string
	// Metrics counts what is found and done; nil has nobody see it.
	Metrics *Metrics
	// Timing is DefaultOrphanTiming where zero.
	Timing OrphanTiming

	sweeps map[*connection.Team]*sweep
}

// sweep is what is remembered of one team.
type sweep struct {
	team *connection.Team
	keys []connection.Key
	seen teamSight
	// told are the orphans that the latest event told of, and toldAt is when.
	told   map[string]bool
	toldAt time.Time
}

// +kubebuilder:rbac:groups=wrenn.dev,resources=connections;clusterconnections,verbs=get;list;watch
// +kubebuilder:rbac:groups=wrenn.dev,resources=sandboxes,verbs=get;list;watch

// SetupWithManager has a manager run the sweeper while it leads.
func (s *OrphanSweeper) SetupWithManager(mgr ctrl.Manager) error {
	if s.Timing == (OrphanTiming{}) {
		s.Timing = DefaultOrphanTiming
	}
	if s.Metrics == nil {
		s.Metrics = NewMetrics()
	}
	s.sweeps = map[*connection.Team]*sweep{}
	return mgr.Add(s)
}

// NeedLeaderElection tells that two must not sweep at a time.
func (s *OrphanSweeper) NeedLeaderElection() bool { return true }

// Start looks again and again until the context ends.
func (s *OrphanSweeper) Start(ctx context.Context) error {
	ctx = logf.IntoContext(ctx, logf.FromContext(ctx).WithName("orphans"))
	ticker := time.NewTicker(s.Timing.Look)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.round(ctx)
		}
	}
}

// round looks at every team once. Teams do not wait for each other's endpoints.
func (s *OrphanSweeper) round(ctx context.Context) {
	rights := s.takeStock(ctx)
	claims, err := cachedClaims(ctx, s.Client)
	if err != nil {
		logf.FromContext(ctx).Error(err, "could not read the Sandboxes")
		return
	}
	s.claimUnsaved(claims)
	var group sync.WaitGroup
	for _, each := range s.sweeps {
		group.Go(func() { s.look(ctx, each, claims, rights) })
	}
	group.Wait()
	s.count()
}

// count tells the metrics how many orphans there are. One that two teams list is one.
func (s *OrphanSweeper) count() {
	own := map[string]bool{}
	for _, each := range s.sweeps {
		for id, seen := range each.seen.sightings {
			if seen.confirmed {
				own[id] = marked(each.seen.unclaimed[id], clusterBits(s.ClusterUID))
			}
		}
	}
	all := len(own)
	maps.DeleteFunc(own, func(_ string, marked bool) bool { return !marked })
	s.Metrics.orphaned(all, len(own))
}

// takeStock brings the sweeps up to date with the pool, and returns what the connections of each team grant.
func (s *OrphanSweeper) takeStock(ctx context.Context) map[*connection.Team]orphanRights {
	teams := s.Pool.Teams()
	for team := range s.sweeps {
		if teams[team] == nil {
			delete(s.sweeps, team)
		}
	}
	rights := make(map[*connection.Team]orphanRights, len(teams))
	for team, keys := range teams {
		if s.sweeps[team] == nil {
			s.sweeps[team] = &sweep{team: team}
		}
		s.sweeps[team].keys = keys
		rights[team] = rightsOf(specsOf(ctx, s.Client, keys))
	}
	return rights
}

// claimUnsaved adds the remotes that were made but whose ids are not stored yet.
func (s *OrphanSweeper) claimUnsaved(claims *remoteClaims) {
	for _, landed := range s.Sandboxes.flights.all() {
		if landed.result.ID != "" {
			claims.ids[landed.result.ID] = true
		}
	}
}

// look takes in the latest list of a team and does what is due about its orphans.
func (s *OrphanSweeper) look(ctx context.Context, of *sweep, claims *remoteClaims, rights map[*connection.Team]orphanRights) {
	list, listed := of.team.Sandboxes()
	if of.team.Health().State != connection.StateConnected {
		return
	}
	of.seen = orphans(of.seen, orphanLook{list: list, listed: listed, now: time.Now(), claims: claims})
	var due, doomed []wrenn.Sandbox
	for _, remote := range of.seen.ripe(s.Timing.Grace) {
		condemned := of.seen.inhabited(s.Timing.Grace) && rightsOver(remote.ID, rights).allow(remote, clusterBits(s.ClusterUID))
		switch known := of.seen.sightings[remote.ID]; {
		case condemned && of.seen.listed.Sub(known.tried) >= s.Timing.Grace && len(doomed) < orphansDestroyedAtOnce:
			doomed = append(doomed, remote)
		case !known.confirmed && len(due) < orphansConfirmedAtOnce:
			due = append(due, remote)
		}
	}
	if len(due)+len(doomed) > 0 {
		s.lookAgain(ctx, of, due, doomed)
	}
	s.report(ctx, of)
}

// specsOf returns the specs of connections, nil for each that cannot be read.
func specsOf(ctx context.Context, reader client.Reader, keys []connection.Key) []*v1alpha1.ConnectionSpec {
	specs := make([]*v1alpha1.ConnectionSpec, 0, len(keys))
	for _, key := range keys {
		found, err := readConnection(ctx, reader, key)
		if err != nil {
			found.spec = nil
		}
		specs = append(specs, found.spec)
	}
	return specs
}
