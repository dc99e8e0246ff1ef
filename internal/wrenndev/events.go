package wrenndev

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// The events that a channel can be told of.
const (
	eventSandboxCreated   = "capsule.created"
	eventSandboxRunning   = "capsule.running"
	eventSandboxPaused    = "capsule.paused"
	eventSandboxDestroyed = "capsule.destroyed"
	eventSnapshotCreated  = "template.snapshot.created"
	eventSnapshotDeleted  = "template.snapshot.deleted"
	eventHostUp           = "host.up"
	eventHostDown         = "host.down"
)

var eventNames = []string{
	eventSandboxCreated, eventSandboxRunning, eventSandboxPaused, eventSandboxDestroyed,
	eventSnapshotCreated, eventSnapshotDeleted, eventHostUp, eventHostDown,
}

// channelEvent is what a webhook is posted.
type channelEvent struct {
	Event     string        `json:"event"`
	Timestamp string        `json:"timestamp"`
	TeamID    string        `json:"team_id"`
	Actor     eventActor    `json:"actor"`
	Resource  eventResource `json:"resource"`
}

type eventActor struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

type eventResource struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

const (
	// laneLimit is how many events may wait for one channel.
	laneLimit = 256
	// retryLimit is how many failed deliveries may wait for their next attempt.
	retryLimit = 256
)

// outbox is what waits to be delivered. It is in memory only: what is in it when the
// server closes is not delivered.
type outbox struct {
	mu sync.Mutex
	// lanes hold the events of a channel in their order, while something works on them.
	lanes   map[string][]channelEvent
	retries int
}

// openEvents opens what is kept of deeds, of hosts, and of who wants to know.
func (s *Server) openEvents() error {
	var err error
	if s.audit, err = openAuditLog(filepath.Join(s.dir, "audit.jsonl")); err != nil {
		return err
	}
	if s.channels.table, err = openTable[channelRow](filepath.Join(s.dir, "channels.jsonl")); err != nil {
		return err
	}
	if s.hosts, err = openTable[hostRow](filepath.Join(s.dir, "hosts.jsonl")); err != nil {
		return err
	}
	s.outbox.lanes = map[string][]channelEvent{}
	return nil
}

// push adds an event to a channel's lane. started is true when the lane is new and
// somebody has to work on it.
func (o *outbox) push(channel string, e channelEvent) (started, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	lane, works := o.lanes[channel]
	if len(lane) >= laneLimit {
		return false, false
	}
	o.lanes[channel] = append(lane, e)
	return !works, true
}

// next takes an event from a lane; an empty lane ends.
func (o *outbox) next(channel string) (channelEvent, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	lane := o.lanes[channel]
	if len(lane) == 0 {
		delete(o.lanes, channel)
		return channelEvent{}, false
	}
	o.lanes[channel] = lane[1:]
	return lane[0], true
}

// retry takes one of the places for deliveries that wait, and leave gives it back.
func (o *outbox) retry() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.retries >= retryLimit {
		return false
	}
	o.retries++
	return true
}

func (o *outbox) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.retries--
}

// publish lets every channel of a team know that asked for the event. It waits for
// nothing: each channel is delivered to in the background, in order, and a slow one
// holds up no other.
func (s *Server) publish(team string, e channelEvent) {
	for _, ch := range s.channels.list(func(r channelRow) bool { return r.Team == team && slices.Contains(r.Events, e.Event) }) {
		started, ok := s.outbox.push(ch.ID, e)
		if !ok {
			s.cfg.Logger.Warn("event dropped: too many wait for the channel", "channel", ch.ID, "event", e.Event)
		}
		if started {
			s.background.Go(func() { s.carry(ch.ID) })
		}
	}
}

// carry delivers what is in a lane.
func (s *Server) carry(channel string) {
	for {
		e, ok := s.outbox.next(channel)
		if !ok || s.life.Err() != nil {
			return
		}
		if err := s.deliver(channel, e); err != nil {
			s.tryAgain(channel, e, err)
		}
	}
}

// tryAgain repeats a failed delivery after each of the configured delays, beside
// what else there is to deliver.
func (s *Server) tryAgain(channel string, e channelEvent, err error) {
	log := s.cfg.Logger.With("channel", channel, "event", e.Event)
	if !s.outbox.retry() {
		log.Warn("event dropped: too many deliveries failed", "error", err)
		return
	}
	s.background.Go(func() {
		defer s.outbox.leave()
		for _, delay := range s.cfg.DeliveryRetries {
			log.Info("delivery failed", "error", err, "next", delay)
			if sleep(s.life, delay) != nil {
				return
			}
			if err = s.deliver(channel, e); err == nil {
				return
			}
		}
		if s.life.Err() == nil {
			log.Warn("event dropped: every delivery failed", "error", err)
		}
	})
}

// deliver makes one attempt with the channel as it is now. A channel that was deleted
// meanwhile wants nothing more.
func (s *Server) deliver(channel string, e channelEvent) error {
	ch, ok := s.channels.get(channel)
	if !ok {
		return nil
	}
	return s.send(s.life, ch.Provider, ch.Config, e)
}

// send makes one attempt to deliver an event, bounded in time.
func (s *Server) send(ctx context.Context, provider string, config map[string]string, e channelEvent) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.DeliveryLimit)
	defer cancel()
	req, err := letter(ctx, provider, config, e, time.Now())
	if err != nil {
		return err
	}
	return post(req)
}
