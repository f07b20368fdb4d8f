package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/flood"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/proc"
)

// evidence is all that one round saw from outside. The oracle reads nothing
// else, so a verdict can be repeated from its JSON.
type evidence struct {
	Scenario  string         `json:"scenario"`
	Seeds     []uint64       `json:"seeds"`
	Rules     rules          `json:"rules"`
	Turns     []*turn        `json:"turns"`
	Calls     []mimic.Call   `json:"calls"`
	Harms     []harm         `json:"harms"`
	Floods    []flood.Flood  `json:"floods"`
	Crowds    []crowd        `json:"crowds,omitempty"`
	Loads     []load         `json:"loads,omitempty"`
	Samples   []sample       `json:"samples"`
	Baselines []proc.Reading `json:"baselines"`
	Settled   []proc.Reading `json:"settled"`
	Sinks     []proc.Sink    `json:"sinks"`
	Strange   []string       `json:"strange,omitempty"` // requests at the vendor that no worker should make
	Tampered  []tampering    `json:"tampered,omitempty"`
}

// rules are the bounds that the fleet was started with.
type rules struct {
	Messages int           `json:"messages"` // admitted per session, window and gateway
	Window   time.Duration `json:"window"`
	Slots    int           `json:"slots"` // pool.max_connections of a gateway
	Grace    time.Duration `json:"grace"`
	Keys     []string      `json:"-"` // canary keys; never written down
}

// turn is one client's view of one question, from its first socket to its last.
type turn struct {
	follow.Turn
	Ask      answer.Question `json:"ask"`
	Again    int             `json:"again,omitempty"`  // the question that this one was asked in place of
	Second   bool            `json:"second,omitempty"` // follows somebody else's run from a socket of its own
	Policy   string          `json:"policy"`           // on_disconnect
	Cancel   bool            `json:"cancel,omitempty"` // it meant to cancel
	Frames   []frame         `json:"frames"`
	Replaced bool            `json:"replaced,omitempty"`
}

// frame is one message as it came.
type frame struct {
	At     time.Time       `json:"at"`
	Socket int             `json:"socket"`
	Raw    json.RawMessage `json:"raw"`
}

// harm is what was done to whom.
type harm struct {
	Kind   string    `json:"kind"`
	Target string    `json:"target"` // a process, or nats
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
}

// Kinds of harm.
const (
	harmKill      = "kill"
	harmPause     = "pause"
	harmCut       = "cut"
	harmBlackHole = "black hole"
	harmOutage    = "outage"
	harmDrain     = "drain"
	harmTamper    = "tamper"
)

// targetBus stands for every process at once.
const targetBus = "nats"

// load is what was burned on the machine beside the fleet.
type load struct {
	From    time.Time     `json:"from"`
	To      time.Time     `json:"to"`
	Burners int           `json:"burners"` // processes that never rest
	CPUs    int           `json:"cpus"`    // of the machine, or of what it may use
	Burned  time.Duration `json:"burned"`  // CPU time that the burners got
}

// share is the part of all CPU time that the burners got, 0 to 1.
func (l load) share() float64 {
	all := l.To.Sub(l.From) * time.Duration(l.CPUs)
	if all <= 0 {
		return 0
	}
	return float64(l.Burned) / float64(all)
}

// String sums it up.
func (l load) String() string {
	return fmt.Sprintf("%d burners got %.0f %% of %d CPUs for %s", l.Burners, 100*l.share(), l.CPUs, l.To.Sub(l.From).Round(100*time.Millisecond))
}

// sample is what was true at one moment under load. Only a quiet one, in which
// nothing opened or closed at the harness, is compared exactly.
type sample struct {
	At      time.Time      `json:"at"`
	Slots   map[string]int `json:"slots"`   // by gateway, as it says
	Sockets map[string]int `json:"sockets"` // by gateway, as the harness holds them
	Quiet   bool           `json:"quiet"`   // no socket opened or closed for a while
	Runs    int            `json:"runs"`    // live ones, all workers together
	Calls   int            `json:"calls"`   // open ones at the vendor
	Known   bool           `json:"known"`   // every worker was asked, and no call began or ended meanwhile
}

// tampering is what one wire did to the messages on it.
type tampering struct {
	Process string   `json:"process"`
	Counts  tampered `json:"counts"`
}

// clone copies what a control changes; texts and rules are shared.
func (e *evidence) clone() *evidence {
	c := *e
	c.Turns = make([]*turn, len(e.Turns))
	for i, t := range e.Turns {
		copied := *t
		copied.Frames = slices.Clone(t.Frames)
		c.Turns[i] = &copied
	}
	c.Calls = slices.Clone(e.Calls)
	c.Floods = flood.Clone(e.Floods)
	c.Settled = slices.Clone(e.Settled)
	c.Sinks = slices.Clone(e.Sinks)
	return &c
}

// disturbed tells whether one of the targets, or the bus under all of them, was
// hit by one of the kinds between two moments, or had just recovered.
func (e *evidence) disturbed(from, to time.Time, kinds []string, targets ...string) bool {
	for _, f := range e.Harms {
		if slices.Contains(kinds, f.Kind) && (f.Target == targetBus || slices.Contains(targets, f.Target)) &&
			f.From.Before(to) && f.To.Add(recovery).After(from) {
			return true
		}
	}
	return false
}

// recovery is how long after a harm its traces may still be seen.
const recovery = 2 * time.Second

// separating are the harms that part a worker from its gateways.
func separating() []string {
	return []string{harmKill, harmPause, harmCut, harmBlackHole, harmOutage}
}
