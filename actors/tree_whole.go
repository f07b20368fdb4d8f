package actors

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// whole counts every living actor, once round.
func (t *Tree) whole(out *protocol.Actors, now time.Time) {
	byKind := map[string]*protocol.ActorKind{}
	for _, kind := range t.kinds() {
		byKind[kind] = &protocol.ActorKind{Kind: kind}
	}
	nodes := map[line]*protocol.ActorNode{}
	t.sys.tallies.each(func(l line, n *tally) {
		node := protocol.ActorNode{
			Actor: l.id, Kind: l.kind, Started: n.started.Load(), Restarts: n.restarts.Load(), Panics: n.panics.Load(),
		}
		nodes[l] = &node
		if k := byKind[l.kind]; k != nil {
			k.Started += node.Started
			k.Restarts += node.Restarts
			k.Panics += node.Panics
		}
	})
	largest, oldest := foremost{order: larger}, foremost{order: older}
	t.sys.living(now, func(a protocol.Actor) {
		enter(nodes, byKind[a.Kind], a)
		largest.see(a, a.Waiting > 0 || a.Busy > 0)
		oldest.see(a, kept(a) > 0)
	})
	for _, kind := range t.kinds() {
		out.Kinds = append(out.Kinds, *byKind[kind])
	}
	out.Tree = below("", nodes)
	out.Largest, out.Oldest = t.described(largest.list()), t.described(oldest.list())
}

// enter counts an actor in its line of the tree, and in its kind.
func enter(nodes map[line]*protocol.ActorNode, k *protocol.ActorKind, a protocol.Actor) {
	l := lineOf(a.Actor)
	n := nodes[l]
	if n == nil { // it is so new that it was not counted yet
		n = &protocol.ActorNode{Actor: l.id, Kind: l.kind}
		nodes[l] = n
	}
	n.Actors++
	n.Waiting += a.Waiting
	n.Oldest, n.Busy = max(n.Oldest, a.Oldest), max(n.Busy, a.Busy)
	if k != nil {
		k.Actors++
		k.Waiting += a.Waiting
		k.Oldest, k.Busy = max(k.Oldest, a.Oldest), max(k.Busy, a.Busy)
	}
}

// kinds are those that live in a process of this role.
func (t *Tree) kinds() []string {
	switch t.role {
	case kindGateway:
		return []string{kindGateway, kindLimiter, kindPool, kindRoster, kindConnections, kindConnection}
	case kindWorker:
		return []string{kindWorker, kindRoster, kindProvider, kindRun}
	}
	return kinds()
}

// below hangs the lines of a parent's children together, in the order of kinds.
func below(parent string, nodes map[line]*protocol.ActorNode) []protocol.ActorNode {
	var out []protocol.ActorNode
	for l, n := range nodes {
		if l.parent != parent {
			continue
		}
		if l.id != "" {
			n.Children = below(l.id, nodes)
		}
		out = append(out, *n)
	}
	order := kinds()
	slices.SortFunc(out, func(a, b protocol.ActorNode) int {
		return cmp.Or(slices.Index(order, a.Kind)-slices.Index(order, b.Kind), strings.Compare(a.Actor, b.Actor))
	})
	return out
}

// foremost keeps those that come first in an order, of all that were seen.
type foremost struct {
	order func(a, b protocol.Actor) int
	kept  []protocol.Actor
}

// see takes an actor in where it is worth a line: one that has nothing to do is
// not, however few there are.
func (f *foremost) see(a protocol.Actor, worth bool) {
	if !worth {
		return
	}
	f.kept = append(f.kept, a)
	if len(f.kept) >= 2*protocol.ForemostActors {
		f.kept = f.list()
	}
}

func (f *foremost) list() []protocol.Actor {
	slices.SortFunc(f.kept, f.order)
	return f.kept[:min(len(f.kept), protocol.ForemostActors)]
}
