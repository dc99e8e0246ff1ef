package controller

import (
	"cmp"
	"slices"
	"time"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// leastToken is the smallest token that counts as this cluster's mark. Below it are the numbers that people choose, were
// they to choose negative ones, and for one cluster in 128 those would look like tokens of its own.
const leastToken = 1 << 20

// marked tells whether a remote carries the mark of a cluster: a token with its bits.
func marked(remote wrenn.Sandbox, cluster uint8) bool {
	token := -int64(remote.TimeoutSec)
	return token >= leastToken && token>>24 == int64(cluster)
}

// sighting is what is remembered of a remote that no object claims.
type sighting struct {
	// since is when it was first seen so, without a break until now.
	since time.Time
	// confirmed tells that a second look has come to the same.
	confirmed bool
	// tried is when it was last tried to destroy it; zero where it was not. It is tried once in a grace time.
	tried time.Time
}

// teamSight is what is remembered of a team from one look at its list to the next.
type teamSight struct {
	// listed is when the latest list that was looked at was asked for.
	listed time.Time
	// peopled is since when the lists have shown remotes of Sandboxes, without a break; zero while they show none.
	peopled time.Time
	// unclaimed are the remotes of the latest list that no object claims, by id, and sightings what is remembered of them.
	unclaimed map[string]wrenn.Sandbox
	sightings map[string]sighting
}

// orphanLook is one look at the list of a team.
type orphanLook struct {
	// list of the team, and when it was asked for.
	list   []wrenn.Sandbox
	listed time.Time
	// now is when it is looked at.
	now time.Time
	// claims are what the objects of the cluster claim.
	claims *remoteClaims
}

// orphans takes in one more look. A remote that is claimed, or not listed, even once begins anew. A list that was looked
// at before tells nothing new.
func orphans(before teamSight, look orphanLook) teamSight {
	if !look.listed.After(before.listed) {
		return before
	}
	after := teamSight{listed: look.listed, unclaimed: map[string]wrenn.Sandbox{}, sightings: map[string]sighting{}}
	for _, remote := range look.list {
		switch seen, known := before.sightings[remote.ID]; {
		case remote.Status.Final() || !wrenn.ValidSandboxID(remote.ID):
		case look.claims.cover(remote):
			after.peopled = cmp.Or(before.peopled, look.now)
		case known:
			after.unclaimed[remote.ID], after.sightings[remote.ID] = remote, seen
		default:
			after.unclaimed[remote.ID], after.sightings[remote.ID] = remote, sighting{since: look.now}
		}
	}
	return after
}

// ripe are the remotes whose latest list was asked for a grace time after they were first seen unclaimed, longest first.
func (s teamSight) ripe(grace time.Duration) []wrenn.Sandbox {
	var found []wrenn.Sandbox
	for id, remote := range s.unclaimed {
		if s.listed.Sub(s.sightings[id].since) >= grace {
			found = append(found, remote)
		}
	}
	slices.SortFunc(found, func(a, b wrenn.Sandbox) int {
		return cmp.Or(s.sightings[a.ID].since.Compare(s.sightings[b.ID].since), cmp.Compare(a.ID, b.ID))
	})
	return found
}

// inhabited tells whether the lists have shown remotes of Sandboxes for a grace time. Where they do not, the objects may
// be what is missing: a cluster that is being restored, or a connection that leads elsewhere than it did.
func (s teamSight) inhabited(grace time.Duration) bool {
	return !s.peopled.IsZero() && s.listed.Sub(s.peopled) >= grace
}

// confirm remembers of a remote that a second look has come to the same, and when it was tried to destroy it.
func (s teamSight) confirm(id string, tried time.Time) {
	s.sightings[id] = sighting{since: s.sightings[id].since, confirmed: true, tried: tried}
}

// forget has a remote begin anew.
func (s teamSight) forget(id string) {
	delete(s.sightings, id)
	delete(s.unclaimed, id)
}

// orphanRights are what the connections that lead to a team have the sweeper do.
type orphanRights struct {
	// destroy tells that orphans may be destroyed, and exclusive that whatever is in the team is this operator's.
	destroy, exclusive bool
}

// rightsOf returns what all of the connections agree on. None, or one that is not there, agrees to nothing.
func rightsOf(specs []*v1alpha1.ConnectionSpec) orphanRights {
	if len(specs) == 0 || slices.Contains(specs, nil) {
		return orphanRights{}
	}
	return orphanRights{
		destroy: !slices.ContainsFunc(specs, func(s *v1alpha1.ConnectionSpec) bool { return s.OrphanPolicy != v1alpha1.OrphanPolicyDelete }),
		exclusive: !slices.ContainsFunc(specs, func(s *v1alpha1.ConnectionSpec) bool {
			return s.Ownership != v1alpha1.OwnershipExclusive
		}),
	}
}

// and returns what both grant.
func (r orphanRights) and(other orphanRights) orphanRights {
	return orphanRights{destroy: r.destroy && other.destroy, exclusive: r.exclusive && other.exclusive}
}

// allow tells whether an orphan may be destroyed. One whose host is out of touch, or whose state this version does not
// know, is left until more is known of it.
func (r orphanRights) allow(remote wrenn.Sandbox, cluster uint8) bool {
	switch stateOfRemote(remote.Status) {
	case remoteRunning, remotePaused, remotePending:
		return r.destroy && (r.exclusive || marked(remote, cluster))
	default:
		return false
	}
}

// rightsOver returns what all connections grant that lead to a remote. Two credentials of one team make two Teams: that
// they are the same shows in their lists.
func rightsOver(id string, rights map[*connection.Team]orphanRights) orphanRights {
	granted := orphanRights{destroy: true, exclusive: true}
	for team, of := range rights {
		if team.Lookup(id).Sandbox != nil {
			granted = granted.and(of)
		}
	}
	return granted
}
