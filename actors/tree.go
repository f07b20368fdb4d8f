package actors

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// Tree shows the living actors of a process to its operator. It reads tables and
// mailboxes and asks no actor anything, so one that hangs is seen and holds
// nobody up. Safe for concurrent use.
type Tree struct {
	sys     *System
	role    string
	gateway *Gateway // nil at a worker
}

// NewTree makes the view of a process. gateway is nil at a worker.
func NewTree(sys *System, role string, gateway *Gateway) *Tree {
	return &Tree{sys: sys, role: role, gateway: gateway}
}

// Actors answers GET /api/debug/actors. Its errors are in the words of whoever
// asked; protocol.ErrNoActor is one of them.
func (t *Tree) Actors(q protocol.ActorsQuery) (protocol.Actors, error) {
	now := time.Now()
	t.sys.clock.watch(now)
	out := protocol.Actors{Role: t.role, At: now}
	switch {
	case q.ID != "":
		one, ok := t.alone(q.ID, now)
		if !ok {
			return out, protocol.ErrNoActor
		}
		out.Actor = &one
	case q.Kind != "":
		if !slices.Contains(kinds(), q.Kind) {
			return out, fmt.Errorf("there is no such kind of actor; there are %s", strings.Join(kinds(), ", "))
		}
		list := t.ofKind(q.Kind, now)
		count := len(list)
		out.Kind, out.Count = q.Kind, &count
		out.List = t.described(list[:min(len(list), cmp.Or(q.Limit, protocol.ActorsListed))])
	default:
		t.whole(&out, now)
	}
	return out, nil
}

// ofKind lists the living actors of a kind, the largest mailbox first.
func (t *Tree) ofKind(kind string, now time.Time) []protocol.Actor {
	var all []protocol.Actor
	t.sys.living(now, func(a protocol.Actor) {
		if a.Kind == kind {
			all = append(all, a)
		}
	})
	slices.SortFunc(all, larger)
	return all
}

// alone tells everything of one actor.
func (t *Tree) alone(id string, now time.Time) (protocol.ActorAlone, bool) {
	process, ok := t.sys.actors.ProcessRegistry.GetLocal(id)
	if !ok {
		return protocol.ActorAlone{}, false
	}
	a, ok := t.sys.seen(id, process, now)
	if !ok {
		return protocol.ActorAlone{}, false
	}
	one := protocol.ActorAlone{Actor: t.described([]protocol.Actor{a})[0], Parent: parentOf(id)}
	if !temporary(a.Kind) {
		n := t.sys.tallies.of(id)
		one.Restarts, one.Panics = n.restarts.Load(), n.panics.Load()
		t.sys.living(now, func(a protocol.Actor) {
			if parentOf(a.Actor) == id {
				one.Children++
			}
		})
	}
	return one, true
}

// described adds to connections what the log calls them and what they do. The
// others say it in their ids.
func (t *Tree) described(list []protocol.Actor) []protocol.Actor {
	if t.gateway == nil || !slices.ContainsFunc(list, func(a protocol.Actor) bool { return a.Kind == kindConnection }) {
		return list
	}
	owners := map[string]*Session{}
	for _, s := range t.gateway.leases.Owners() {
		owners[s.pid.Load().GetId()] = s
	}
	for i := range list {
		if s := owners[list[i].Actor]; s != nil {
			turns := t.gateway.followers.followedBy(s)
			list[i].Connection, list[i].Client, list[i].Turns = s.client.Connection, s.client.Kind.String(), &turns
		}
	}
	return list
}

// larger orders by how much waits, then by how long one message takes.
func larger(a, b protocol.Actor) int {
	return cmp.Or(
		cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(b.Oldest, a.Oldest), cmp.Compare(b.Busy, a.Busy),
		cmp.Compare(len(a.Actor), len(b.Actor)), cmp.Compare(a.Actor, b.Actor), // c9 before c10
	)
}

// older orders by how long a message is kept, then as larger does: one message
// that nobody takes stands behind twenty busy mailboxes there.
func older(a, b protocol.Actor) int { return cmp.Or(cmp.Compare(kept(b), kept(a)), larger(a, b)) }

// kept is how long an actor has had its oldest message, waiting or in its hand.
func kept(a protocol.Actor) protocol.Duration { return max(a.Oldest, a.Busy) }

// living shows each actor of both trees.
func (s *System) living(now time.Time, show func(protocol.Actor)) {
	for _, bucket := range s.actors.ProcessRegistry.LocalPIDs.LocalPIDs {
		bucket.IterCb(func(id string, process any) {
			if a, ok := s.seen(id, process, now); ok {
				show(a)
			}
		})
	}
}

// seen tells how an actor of ours stands. What else is registered, as answers
// that are awaited, is none.
func (s *System) seen(id string, process any, now time.Time) (a protocol.Actor, ok bool) {
	p, ok := process.(*actor.ActorProcess)
	if root, _, _ := strings.Cut(id, "/"); !ok || !strings.HasPrefix(root, kindGateway+"-") && !strings.HasPrefix(root, kindWorker+"-") {
		return a, false
	}
	var l look
	p.SendSystemMessage(nil, &l)
	a = protocol.Actor{
		Actor: id, Kind: kindOfID(id), State: l.state(), Waiting: l.waiting,
		Oldest: protocol.Duration(s.clock.since(l.oldest, now)), Busy: protocol.Duration(s.clock.since(l.began, now)),
	}
	switch a.Kind {
	case kindRun:
		parent := parentOf(id)
		a.RunID, a.Provider = id[len(parent)+1:], providerOf(parent)
	case kindProvider:
		a.Provider = providerOf(id)
	}
	return a, true
}

// state is one word for how a mailbox stands.
func (l *look) state() string {
	switch {
	case l.suspended:
		return "suspended"
	case !l.running:
		return "idle"
	case l.began == 0:
		return "due"
	}
	return "busy"
}

// temporary tells whether a panic is the end of such an actor.
func temporary(kind string) bool { return kind == kindConnection || kind == kindRun }

// parentOf cuts the last part off an actor's path; a root has no parent.
func parentOf(id string) string { return id[:max(0, strings.LastIndexByte(id, '/'))] }

// providerOf reads the name of a provider off its supervisor's path.
func providerOf(id string) string {
	_, name, _ := strings.Cut(id[strings.LastIndexByte(id, '/')+1:], "-")
	return name
}
