package connection

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// Key names a Connection or ClusterConnection.
type Key struct {
	Kind v1alpha1.ConnectionKind
	// Namespace is empty for a ClusterConnection.
	Namespace string
	Name      string
}

// KeyOf returns the Key of the connection that an object in a namespace refers to by kind and name.
func KeyOf(namespace string, kind v1alpha1.ConnectionKind, name string) Key {
	if kind == v1alpha1.ConnectionKindCluster {
		namespace = ""
	}
	return Key{Kind: kind, Namespace: namespace, Name: name}
}

// String returns the kind and name, as messages show it to people who know the namespace.
func (k Key) String() string { return string(k.Kind) + "/" + k.Name }

// Change is news about one team.
type Change struct {
	// Keys are the connections that lead to the team.
	Keys []Key
	// SandboxIDs are the remote sandboxes whose state has changed.
	SandboxIDs []string
	// Health tells that the team has become usable, or has ceased to be.
	Health bool
}

// Pool holds the Teams in use. It is safe for concurrent use.
type Pool struct {
	pace      Pace
	userAgent string
	observer  func(op string, took time.Duration, err error)
	ctx       context.Context //nolint:containedctx // pollers live as long as the pool, not as the call that needs one
	cancel    context.CancelFunc

	mu          sync.Mutex
	teams       map[string]*Team
	keys        map[Key]string
	doors       doors
	subscribers []func(Change)
}

// NewPool returns an empty pool, whose pollers run until Close.
func NewPool(pace Pace, userAgent string) *Pool {
	ctx, cancel := context.WithCancel(context.Background())
	return &Pool{
		pace: pace, userAgent: userAgent, ctx: ctx, cancel: cancel,
		teams: map[string]*Team{}, keys: map[Key]string{}, doors: doors{},
	}
}

// Observe has fn told of each request to Wrenn that the teams make which are set from now on. It must not block.
func (p *Pool) Observe(fn func(op string, took time.Duration, err error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.observer = fn
}

// Subscribe has fn told of every change. It must not block, and cannot be undone.
func (p *Pool) Subscribe(fn func(Change)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subscribers = append(p.subscribers, fn)
}

// Set leads a connection to the team of its settings, which is made where it is new. A team that no connection leads to
// any more is dropped.
func (p *Pool) Set(key Key, s Settings) (*Team, error) {
	team, err := p.Candidate(s)
	if err != nil {
		return nil, err
	}
	return p.Lead(key, team, s), nil
}

// Candidate returns the team of the settings: the one that is there, or a new one that nothing leads to.
func (p *Pool) Candidate(s Settings) (*Team, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	identity := s.identity()
	if team, ok := p.teams[identity]; ok {
		return team, nil
	}
	return newTeam(s, identity, s.Fingerprint(), wrenn.WithUserAgent(p.userAgent), wrenn.WithObserver(p.observer))
}

// Lead leads a connection to a candidate, or to the team of the same settings that is there by now.
func (p *Pool) Lead(key Key, candidate *Team, s Settings) *Team {
	p.mu.Lock()
	defer p.mu.Unlock()
	identity := candidate.identity
	team, ok := p.teams[identity]
	if ok {
		team.limit(s)
	} else {
		team = candidate
		p.teams[identity] = team
	}
	if p.keys[key] == identity {
		return team
	}
	p.keys[key] = identity
	if !ok {
		team.poller = startPoller(p.ctx, team, p.pace, func(ids []string, health bool) { p.tell(identity, ids, health) })
	}
	p.drop()
	go p.tell(identity, nil, true)
	return team
}

// Remove forgets a connection, and its team with it where no other connection leads there. No object can be bound to it
// any more.
func (p *Pool) Remove(key Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.doors, key)
	delete(p.keys, key)
	p.drop()
}

// Get returns the team that a connection leads to.
func (p *Pool) Get(key Key) (*Team, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	team, ok := p.teams[p.keys[key]]
	return team, ok
}

// Teams returns the teams in use, each with the connections that lead to it.
func (p *Pool) Teams() map[*Team][]Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	teams := make(map[*Team][]Key, len(p.teams))
	for key, identity := range p.keys {
		teams[p.teams[identity]] = append(teams[p.teams[identity]], key)
	}
	return teams
}

// Close stops every poller and waits for them.
func (p *Pool) Close() {
	p.cancel()
	p.mu.Lock()
	teams := slices.Collect(maps.Values(p.teams))
	p.mu.Unlock()
	for _, team := range teams {
		<-team.poller.done
		team.Client.CloseIdleConnections()
	}
}

// drop stops the teams that nothing leads to.
func (p *Pool) drop() {
	used := map[string]bool{}
	for _, identity := range p.keys {
		used[identity] = true
	}
	for identity, team := range p.teams {
		if !used[identity] {
			team.poller.stop()
			team.Client.CloseIdleConnections()
			delete(p.teams, identity)
		}
	}
}

func (p *Pool) tell(identity string, ids []string, health bool) {
	p.mu.Lock()
	change := Change{SandboxIDs: ids, Health: health}
	for key, to := range p.keys {
		if to == identity {
			change.Keys = append(change.Keys, key)
		}
	}
	p.mu.Unlock()
	p.publish(change)
}

func (p *Pool) publish(change Change) {
	p.mu.Lock()
	subscribers := slices.Clone(p.subscribers)
	p.mu.Unlock()
	for _, fn := range subscribers {
		fn(change)
	}
}

// hash returns 16 hexadecimal digits that stand for the parts.
func hash(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
