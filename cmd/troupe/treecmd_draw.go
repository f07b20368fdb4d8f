package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// drawTree draws what servers said, one below the other, in lines of at most so
// many columns; 0 is no bound. before is the picture before, for what happened
// since; nil leaves that out. Pure.
func drawTree(answers, before []treeAnswer, columns int, colour bool) (lines []string) {
	for i, a := range answers {
		if i > 0 {
			lines = append(lines, "")
		}
		for _, l := range drawAnswer(a, before, columns) {
			lines = append(lines, l.styled(columns, colour))
		}
	}
	return lines
}

func drawAnswer(a treeAnswer, before []treeAnswer, columns int) []drawn {
	head := oneLine(a.base)
	if a.err != nil {
		out := []drawn{{text: head}, {text: "  " + oneLine(a.err.Error()), tone: toneBad}}
		var t *trouble
		if errors.As(a.err, &t) && t.Remedy != "" {
			out = append(out, drawn{text: "  " + oneLine(t.Remedy)})
		}
		return out
	}
	head += "  " + oneLine(a.Role) + "  " + a.At.UTC().Format("15:04:05Z")
	switch {
	case a.Actor != nil:
		return append([]drawn{{text: head}}, drawAlone(a.Actor)...)
	case a.Kind != "":
		total := len(a.List)
		if a.Count != nil {
			total = *a.Count
		}
		head += fmt.Sprintf("  %s: %d live, %d listed", oneLine(a.Kind), total, len(a.List))
		return append([]drawn{{text: head}}, drawActors(a.List, columns)...)
	}
	total := 0
	for _, k := range a.Kinds {
		total += k.Actors
	}
	out := append([]drawn{{text: fmt.Sprintf("%s  %d actors", head, total)}}, drawNodes(a, earlier(a, before), columns)...)
	if len(a.Largest) > 0 {
		out = append(out, drawn{}, drawn{text: "Largest mailboxes"})
		out = append(out, drawActors(a.Largest, columns)...)
	}
	if others := besides(a.Largest, a.Oldest); len(others) > 0 {
		out = append(out, drawn{}, drawn{text: "Oldest messages in smaller mailboxes"})
		out = append(out, drawActors(others, columns)...)
	}
	return out
}

// besides are those that are not shown already: a screen is short.
func besides(shown, list []protocol.Actor) (others []protocol.Actor) {
	for _, a := range list {
		if !slices.ContainsFunc(shown, func(s protocol.Actor) bool { return s.Actor == a.Actor }) {
			others = append(others, a)
		}
	}
	return others
}

// earlier finds what the same server said in the picture before.
func earlier(a treeAnswer, before []treeAnswer) *treeAnswer {
	for i := range before {
		if before[i].base == a.base && before[i].err == nil && a.At.After(before[i].At) {
			return &before[i]
		}
	}
	return nil
}

// treeColumns are those of the tree. Where they do not fit, those with the
// highest rank go first; 0 stays.
func treeColumns() []column {
	return []column{
		{head: "ACTOR", left: true},
		{head: "ALIVE"},
		{head: "STARTED", rank: 3},
		{head: "/s", rank: 2},
		{head: "PANICS"},
		{head: "/s", rank: 4},
		{head: "RESTARTS"},
		{head: "/s", rank: 5},
		{head: "WAITING"},
		{head: "OLDEST"},
		{head: "BUSY", rank: 1},
	}
}

func drawNodes(a treeAnswer, before *treeAnswer, columns int) []drawn {
	t := table{columns: treeColumns()}
	past := map[string]protocol.ActorNode{}
	if before != nil {
		remember(past, "", before.Tree)
	} else {
		t.without("/s")
	}
	for _, n := range a.Tree {
		t.branch(n, "", "", "", func(path string, n protocol.ActorNode) rates {
			then, ok := past[path]
			if !ok || then.Started > n.Started { // it was not there, or in another process
				return rates{}
			}
			return rates{then: then, over: a.At.Sub(before.At)}
		})
	}
	return t.draw(columns)
}

// remember keeps the lines of a tree by their place in it.
func remember(past map[string]protocol.ActorNode, above string, nodes []protocol.ActorNode) {
	for _, n := range nodes {
		path := placeOf(above, n)
		past[path] = n
		remember(past, path, n.Children)
	}
}

func placeOf(above string, n protocol.ActorNode) string { return above + " " + n.Kind + " " + n.Actor }

// rates tell what happened since the picture before.
type rates struct {
	then protocol.ActorNode
	over time.Duration // 0 = there is nothing to compare with
}

// of is a count per second, or nothing.
func (r rates) of(now, then uint64) string {
	if r.over <= 0 {
		return ""
	}
	if now <= then {
		return "0"
	}
	return strconv.FormatFloat(float64(now-then)/r.over.Seconds(), 'f', 1, 64)
}

// branch adds a line of the tree and what is below. stem is what is drawn before
// its name, under before those of its children.
func (t *table) branch(n protocol.ActorNode, above, stem, under string, since func(path string, n protocol.ActorNode) rates) {
	path := placeOf(above, n)
	r := since(path, n)
	restarts := strconv.FormatUint(n.Restarts, 10)
	if n.Actor == "" {
		restarts = "-" // a panic is their end
	}
	tone := toneOf(n.Waiting, n.Oldest, n.Busy)
	if tone == tonePlain && r.over > 0 && (n.Panics > r.then.Panics || n.Restarts > r.then.Restarts) {
		tone = toneWarn
	}
	t.add(tone,
		stem+nameOf(n), strconv.Itoa(n.Actors),
		strconv.FormatUint(n.Started, 10), r.of(n.Started, r.then.Started),
		strconv.FormatUint(n.Panics, 10), r.of(n.Panics, r.then.Panics),
		restarts, r.of(n.Restarts, r.then.Restarts),
		strconv.Itoa(n.Waiting), age(n.Oldest), age(n.Busy))
	for i, child := range n.Children {
		if i == len(n.Children)-1 {
			t.branch(child, path, under+"└─ ", under+"   ", since)
		} else {
			t.branch(child, path, under+"├─ ", under+"│  ", since)
		}
	}
}

// nameOf is the last part of an actor's id, or the kind of many.
func nameOf(n protocol.ActorNode) string {
	if n.Actor == "" {
		return n.Kind
	}
	return n.Actor[strings.LastIndexByte(n.Actor, '/')+1:]
}

// drawActors lists actors. Their ids come last: they are long.
func drawActors(list []protocol.Actor, columns int) []drawn {
	t := table{columns: []column{
		{head: "WAITING"},
		{head: "OLDEST"},
		{head: "BUSY"},
		{head: "STATE", left: true},
		{head: "ACTOR", left: true},
		{head: "", left: true},
	}}
	for _, a := range list {
		about := ""
		if a.Connection != "" && a.Turns != nil {
			about = fmt.Sprintf("connection %s, %s, turns %d", a.Connection, a.Client, *a.Turns)
		}
		t.add(toneOf(a.Waiting, a.Oldest, a.Busy), strconv.Itoa(a.Waiting), age(a.Oldest), age(a.Busy), a.State, a.Actor, about)
	}
	return t.draw(columns)
}

// drawAlone shows one actor, a line for each thing.
func drawAlone(a *protocol.ActorAlone) (out []drawn) {
	say := func(name, value string) {
		if value != "" {
			out = append(out, drawn{text: fmt.Sprintf("  %-11s %s", name, oneLine(value))})
		}
	}
	say("actor", a.Actor.Actor)
	say("kind", a.Kind)
	say("parent", a.Parent)
	say("children", strconv.Itoa(a.Children))
	say("state", a.State)
	say("waiting", strconv.Itoa(a.Waiting))
	say("oldest", age(a.Oldest))
	say("busy", age(a.Busy))
	say("restarts", strconv.FormatUint(a.Restarts, 10))
	say("panics", strconv.FormatUint(a.Panics, 10))
	say("run", a.RunID)
	say("provider", a.Provider)
	say("connection", a.Connection)
	say("client", a.Client)
	if a.Turns != nil {
		say("turns", strconv.Itoa(*a.Turns))
	}
	return out
}

// age is short: nobody reads four digits behind the point.
func age(d protocol.Duration) string {
	switch t := time.Duration(d); {
	case t <= 0:
		return "-"
	case t < time.Second:
		return t.Round(time.Millisecond).String()
	case t < time.Minute:
		return strconv.FormatFloat(t.Seconds(), 'f', 1, 64) + "s"
	default:
		return t.Round(time.Second).String()
	}
}

// width counts columns as all of ours are drawn: one for each rune.
func width(text string) int { return utf8.RuneCountInString(text) }
