package bus

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Workers answer the questions that `nats micro ls|info|stats` asks ($SRV.PING,
// $SRV.INFO, $SRV.STATS). The shapes are those of the client's micro package;
// its service is not used, for three reasons:
//
//   - an endpoint of it is a subscription of its own, and stopping one costs
//     the whole service, while a full worker has to leave its queue groups by
//     draining and join them again. So jobs stay with JobQueue, and a service
//     of micro could then not list them;
//   - it makes up its own id and counts its own requests: neither the worker's
//     id nor its figures could be shown;
//   - it takes over the connection's closed and error handlers through a table
//     that all connections of the process share, and starts a goroutine that
//     nothing guards.

// unversioned is shown for a program whose version is not a semantic one; the
// version as it is goes to the metadata.
const unversioned = "0.0.0"

// semantic is a version as semver.org spells it, without a leading v.
var semantic = regexp.MustCompile(`^(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}` +
	`(-` + preRelease + `(\.` + preRelease + `)*)?` +
	`(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)

const preRelease = `(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)`

// Announcement is what a worker tells who asks which workers there are.
type Announcement struct {
	ID      string // the worker's id on the bus
	Version string // of the program, as it calls itself
	// Load is asked at every request, from several goroutines. It must not
	// block.
	Load func() Load
}

// Load is a worker at one moment.
type Load struct {
	Active, Capacity int
	Draining         bool
	Providers        []ProviderLoad
}

// ProviderLoad counts the jobs of one provider since the worker's start.
type ProviderLoad struct {
	Name, Type, State string
	Received          uint64 // jobs that were meant for this worker
	Busy              uint64 // of them answered busy
	Failed            uint64 // of them ended with an error
}

// Service is a worker that can be discovered, until Close.
type Service struct {
	// Set once.
	bus     *Bus
	about   Announcement
	name    string
	version string
	started time.Time
	subs    []*Subscription
}

// Announce answers who asks for workers. It costs nine subscriptions and nothing
// between two questions; it lives through reconnects. Without the right to
// subscribe there nothing else suffers: the log says so, and the worker is not
// listed.
func (b *Bus) Announce(a Announcement) (*Service, error) {
	if !validToken(a.ID) {
		return nil, ErrToken
	}
	s := &Service{
		bus: b, about: a, name: b.subjects.Group(), version: semanticVersion(a.Version), started: time.Now().UTC(),
	}
	for _, verb := range []micro.Verb{micro.PingVerb, micro.InfoVerb, micro.StatsVerb} {
		for _, subject := range b.subjects.discovery(verb, a.ID) {
			sub, err := b.subscribe(subject, "", func(m *nats.Msg) { s.asked(verb, m) })
			if err != nil {
				s.leave()
				return nil, err
			}
			s.subs = append(s.subs, sub)
		}
	}
	return s, nil
}

func (s *Service) leave() {
	for _, sub := range s.subs {
		sub.drain()
	}
}

// Close stops answering and waits for answers under way, or for ctx.
func (s *Service) Close(ctx context.Context) error {
	s.leave()
	var errs []error
	for _, sub := range s.subs {
		errs = append(errs, sub.wait(ctx))
	}
	return errors.Join(errs...)
}

// asked answers one question. Where the answer goes is the asker's word, so it
// must not make this worker speak to a gateway or to the NATS server.
func (s *Service) asked(verb micro.Verb, m *nats.Msg) {
	if m.Reply == "" {
		return
	}
	if strings.HasPrefix(m.Reply, s.bus.subjects.root) || strings.HasPrefix(m.Reply, "$") {
		s.bus.skipMalformed(m.Subject, 1)
		return
	}
	data, err := json.Marshal(s.answer(verb, s.about.Load()))
	if err != nil {
		return // strings and numbers alone: cannot fail
	}
	_ = s.bus.publish(m.Reply, data) // who asks asks again
}

func (s *Service) answer(verb micro.Verb, l Load) any {
	switch verb {
	case micro.InfoVerb:
		return s.info(l)
	case micro.StatsVerb:
		return s.stats(l)
	}
	return micro.Ping{ServiceIdentity: s.identity(l), Type: micro.PingResponseType}
}

func (s *Service) identity(l Load) micro.ServiceIdentity {
	names := make([]string, 0, len(l.Providers))
	for _, p := range l.Providers {
		names = append(names, p.Name)
	}
	return micro.ServiceIdentity{
		Name: s.name, ID: s.about.ID, Version: s.version,
		Metadata: map[string]string{"role": RoleWorker, "version": s.about.Version, "providers": strings.Join(names, ",")},
	}
}

func (s *Service) info(l Load) micro.Info {
	info := micro.Info{
		ServiceIdentity: s.identity(l), Type: micro.InfoResponseType,
		Description: "Troupe worker: answers chats of its providers", Endpoints: []micro.EndpointInfo{},
	}
	for _, p := range l.Providers {
		subject, err := s.bus.subjects.Chat(p.Name)
		if err != nil {
			continue // no job can come there
		}
		info.Endpoints = append(info.Endpoints, micro.EndpointInfo{
			Name: p.Name, Subject: subject, QueueGroup: s.bus.subjects.Group(),
			Metadata: map[string]string{"type": p.Type, "state": p.State},
		})
	}
	return info
}

// loadData is what the stats of an endpoint say beyond the common figures.
// Active, capacity and draining are the worker's, whatever the provider.
type loadData struct {
	Busy     uint64 `json:"busy"`
	Failed   uint64 `json:"failed"`
	Active   int    `json:"active"`
	Capacity int    `json:"capacity"`
	Draining bool   `json:"draining"`
}

func (s *Service) stats(l Load) micro.Stats {
	stats := micro.Stats{
		ServiceIdentity: s.identity(l), Type: micro.StatsResponseType, Started: s.started,
		Endpoints: []*micro.EndpointStats{},
	}
	for _, p := range l.Providers {
		subject, err := s.bus.subjects.Chat(p.Name)
		if err != nil {
			continue // no job can come there
		}
		data, _ := json.Marshal(loadData{ // numbers alone: cannot fail
			Busy: p.Busy, Failed: p.Failed, Active: l.Active, Capacity: l.Capacity, Draining: l.Draining,
		})
		stats.Endpoints = append(stats.Endpoints, &micro.EndpointStats{
			Name: p.Name, Subject: subject, QueueGroup: s.bus.subjects.Group(),
			NumRequests: int(p.Received), NumErrors: int(p.Busy + p.Failed), Data: data,
		})
	}
	return stats
}

// semanticVersion is v as tools expect a version, or unversioned.
func semanticVersion(v string) string {
	if v = strings.TrimPrefix(v, "v"); len(v) <= 128 && semantic.MatchString(v) {
		return v
	}
	return unversioned
}
