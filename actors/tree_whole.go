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
	largest := largest{}
	t.sys.living(now, func(a protocol.Actor) {
		enter(nodes, byKind[a.Kind], a)
		largest.see(a)
	})
	for _, kind := range t.kinds() {
		out.Kinds = append(out.Kinds, *byKind[kind])
	}
	out.Tree = below("", nodes)
	out.Largest = t.described(largest.list())
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

// largest keeps the largest mailboxes that were seen.
type largest struct{ kept []protocol.Actor }

// see takes an actor in, or not: one that has nothing waiting and is not at work
// for a while is not worth a line.
func (l *largest) see(a protocol.Actor) {
	if a.Waiting == 0 && a.Busy == 0 {
		return
	}
	l.kept = append(l.kept, a)
	if len(l.kept) >= 2*protocol.LargestActors {
		l.kept = l.list()
	}
}

func (l *largest) list() []protocol.Actor {
	slices.SortFunc(l.kept, larger)
	return l.kept[:min(len(l.kept), protocol.LargestActors)]
}
