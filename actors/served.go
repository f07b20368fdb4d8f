package actors

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/upstream"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// served is one provider's place in the worker.
type served struct {
	name   string
	pid    *actor.PID
	queue  *bus.JobQueue
	setup  atomic.Pointer[ProviderSetup]
	line   *upstream.Line // keys, rests, room: survives reloads
	room   atomic.Pointer[upstream.Settings]
	coming atomic.Int64 // questions that were taken and do not stand in the queue yet
	full   bool         // out of the queue group for want of room here; guarded by the worker's lock of queues
	jobs   jobCounts
	found  atomic.Pointer[listing]
}

func newServed(name string, setup *ProviderSetup, runs RunsConfig, changed func()) *served {
	settings := lineSettings(setup, runs)
	s := &served{name: name, line: upstream.New(settings, changed)}
	s.setup.Store(setup)
	s.room.Store(&settings)
	return s
}

// lineSettings reads a provider's way out off its configuration.
func lineSettings(setup *ProviderSetup, runs RunsConfig) upstream.Settings {
	c := &setup.Config
	s := upstream.Settings{
		Keyless: c.UserKeys != provider.UserKeysRequire, // the provider itself says what it needs
		Tag:     setup,
		Room:    c.MaxConcurrent, RoomPerKey: c.MaxConcurrentPerKey, Queue: c.MaxQueue, Patience: runs.QueueTimeout,
	}
	for i, key := range c.APIKeys {
		if !key.Empty() && c.UserKeys != provider.UserKeysRequire {
			s.Keys = append(s.Keys, upstream.Key{Secret: key, Weight: c.Weight(i)})
		}
	}
	switch {
	case runs.QueueTimeout <= 0:
		s.Queue = 0 // nobody waits; to the line, no patience would be endless patience
	case s.Queue == 0:
		s.Queue = max(s.Room, s.RoomPerKey*len(s.Keys))
	}
	return s
}

// swap takes a new configuration.
func (s *served) swap(setup *ProviderSetup, runs RunsConfig) {
	settings := lineSettings(setup, runs)
	s.setup.Store(setup)
	s.line.Configure(settings)
	s.room.Store(&settings)
}

// refusal is why a job is not taken here, or nil.
func (s *served) refusal(job *bus.Job) *protocol.Error {
	c := &s.setup.Load().Config
	switch {
	case job.NeedsKey && c.UserKeys == provider.UserKeysRefuse:
		return &protocol.Error{Code: protocol.ProviderUnauthorized, Message: fmt.Sprintf(
			"Provider %s takes no keys of users here: ask without api_keys.%s.", s.name, s.name)}
	case !job.NeedsKey && c.UserKeys == provider.UserKeysRequire:
		return s.needsKey()
	}
	return nil
}

func (s *served) needsKey() *protocol.Error {
	return &protocol.Error{Code: protocol.ProviderUnauthorized, Message: fmt.Sprintf(
		"Provider %s needs your own key here: send it as api_keys.%s.", s.name, s.name)}
}

// keyed tells whether the deployment has a key here.
func (s *served) keyed() bool { return len(s.room.Load().Keys) > 0 }

// chained tells whether a question without a user's key may go on to somebody
// else where this provider is full.
func (s *served) chained() bool { return len(s.setup.Load().Config.Fallback) > 0 }

// spare is how many more questions find a place here, in the room or in the
// queue in front of it. Those that were taken and have not come so far yet have
// theirs.
func (s *served) spare() (places int, bounded bool) {
	c := s.room.Load()
	room := c.Room
	if room == 0 {
		room = c.RoomPerKey * len(c.Keys)
	}
	if room == 0 {
		return 0, false
	}
	load := s.line.Load()
	if c.Room == 0 {
		load.InFlight = load.OnKeys // users' own keys take no room here
	}
	return c.Queue + max(0, room-load.InFlight) - load.Queued - int(s.coming.Load()), true
}

// crowded tells whether a job would find no place here, not even in the queue.
// Room that is counted per key is none of a job's that brings its own.
func (s *served) crowded(userKey bool) bool {
	if userKey && s.room.Load().Room == 0 {
		return false
	}
	places, bounded := s.spare()
	return bounded && places <= 0
}

// roomy tells whether there is place again, and some to spare: a tenth of the
// queue.
func (s *served) roomy() bool {
	places, bounded := s.spare()
	return !bounded || places > s.room.Load().Queue/10
}

// expect keeps a place for a question that was taken, until it stands in the
// queue or is asked, or its run is over.
func (s *served) expect() *coming {
	s.coming.Add(1)
	return &coming{to: s}
}

// coming is one kept place.
type coming struct {
	to   *served
	over atomic.Bool
}

// end lets go of the place; only the first time counts.
func (c *coming) end() {
	if c.over.CompareAndSwap(false, true) {
		c.to.coming.Add(-1)
	}
}

// balance leaves the provider's queue group where the worker is full or this
// provider is, and returns to it. It tells whether it came back because this
// provider has room again. The caller holds the lock of all queues.
func (s *served) balance(full bool, log zerolog.Logger) (back bool) {
	switch {
	case s.queue == nil: // it was never joined
		return false
	case s.full && (s.chained() || s.roomy()):
		s.full, back = false, true
	case !s.full && !s.chained() && s.room.Load().Room > 0 && s.crowded(false): // else users' own keys would have no way in
		s.full = true
	}
	if full || s.full {
		s.queue.Pause()
		return false
	}
	if err := s.queue.Resume(); err != nil && !errors.Is(err, bus.ErrClosed) {
		log.Error().Err(err).Str("provider", s.name).Msg("Queue group could not be joined again") // the next beat tries again
		return false
	}
	return back
}

// offer is this provider's part of a beat.
func (s *served) offer() bus.Offer {
	setup := s.setup.Load()
	o := bus.Offer{
		Name: s.name, Type: setup.Config.Type, State: setup.State,
		Models: setup.Config.Models, DefaultModel: setup.Config.DefaultModel,
	}
	if found := s.found.Load(); found != nil && setup.Config.Discover && found.vendor == vendorOf(&setup.Config) {
		o.Models = found.models
	}
	if after, _, resting := s.line.Resting(); resting {
		o.Resting, o.RetryAfter = true, wholeSeconds(after)
		if !s.chained() {
			o.State = provider.StateResting
		}
	}
	for _, r := range s.line.Own() {
		if len(o.Rests) == restsTold {
			break
		}
		o.Rests = append(o.Rests, bus.Rest{Key: r.Key, Model: r.Model, For: r.For.Milliseconds(), Why: string(r.Why)})
	}
	return o
}

// restsTold bounds a beat.
const restsTold = 64

// heard takes what another worker met.
func (s *served) heard(from string, rests []bus.Rest) {
	told := make([]upstream.Rest, 0, len(rests))
	for _, r := range rests {
		told = append(told, upstream.Rest{
			Key: r.Key, Model: r.Model, For: time.Duration(r.For) * time.Millisecond, Why: upstream.Reason(r.Why),
		})
	}
	s.line.Heard(from, told)
}
