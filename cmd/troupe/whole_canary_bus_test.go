package main

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/bus"
)

// controls are the words of one type to runs that crossed the bus.
func (p *tap) controls(t *testing.T, kind string) (out []bus.Control) {
	t.Helper()
	for _, m := range p.heard(`\.control$`) {
		var c bus.Control
		require.NoError(t, json.Unmarshal(m.Data, &c))
		if c.Type == kind {
			out = append(out, c)
		}
	}
	return out
}

// asked starts a question with the user's key, and returns its socket and run.
func (s *sinks) asked(wire string) (*peer, string) {
	s.t.Helper()
	c := s.front.dial("/ws/chat/s1")
	c.send(chat(own(wire, map[string]any{"id": "n"})))
	raw := c.raw()
	s.received(raw)
	f := parse(s.t, raw)
	require.Equal(s.t, "accepted", f.Type, raw)
	return c, f.RunID
}

// moves is how often a question is tried that starts at a worker which cannot
// ask its vendor: the offers of a second attempt may all meet the same worker.
const moves = 8

// birds has v behind providers of each type, so many that none need be asked
// again once it failed, and another vendor behind one more.
func birds(v, late *providertest.Server) map[string]provider.Config {
	all := map[string]provider.Config{}
	for _, wire := range wires() {
		for i := range moves {
			all[fmt.Sprint(wire, "-", i)] = speaking(v, wire, finch)
		}
		all["late-"+wire] = speaking(late, wire, finch)
	}
	return all
}

// moved asks until a run went from one worker to another.
func (s *sinks) moved(wire, from, to string) {
	s.t.Helper()
	fresh := 0
	for range 100 {
		c, run := s.asked(fmt.Sprint(wire, "-", fresh))
		last := s.ends(c)
		c.CloseNow()
		if last.Type == "complete" && last.RunID != run {
			require.Equal(s.t, []string{from, to}, []string{workerOf(run), workerOf(last.RunID)})
			return
		}
		if last.Type == "error" {
			fresh++
			require.Less(s.t, fresh, moves, last.Message)
		}
	}
	s.t.Error("one worker gets all questions")
}

// A user's key crosses an external server to one worker, to another one where
// the first cannot use it, and to another one where the first dies: each time
// sealed, to that worker alone, and who hears everything on the bus hears no key.
func TestCanaryOnTheBus(t *testing.T) {
	b := newGuardedBus(t)
	p := b.spied("troupe.v1.usage", "troupe.v1.beat.>")
	sound, silent := providertest.New(t, providertest.Say("fine")), providertest.New(t, mute())
	gone := providertest.New(t, providertest.Script{})
	gone.Close() // nobody listens where it was
	good, bad := start(t, b.role(roleWorker), entries(birds(sound, sound))), start(t, b.role(roleWorker), entries(birds(gone, silent)))
	g := start(t, b.role(roleGateway))
	g.knows(2)
	s := newSinks(g, p, []string{b.store}, good, bad)
	require.NoError(t, os.WriteFile(b.store+"/beside", nil, 0o600))
	require.Equal(t, 2, len(good.logged("Bus connected"))+len(bad.logged("Bus connected")))

	for _, wire := range wires() {
		s.moved(wire, bad.worker.actors.ID(), good.worker.actors.ID())
	}
	s.clean("after a move")

	orphans := map[string]*peer{}
	for _, wire := range wires() {
		for i := 0; orphans[wire] == nil; i++ {
			require.Less(t, i, 100, "one worker gets all questions")
			c, run := s.asked("late-" + wire)
			if workerOf(run) == bad.worker.actors.ID() {
				orphans[wire] = c
				continue
			}
			s.ends(c)
			c.CloseNow()
		}
	}
	silent.WaitOpen(t, len(wires()), 5*time.Second)
	bad.kill()
	for wire, c := range orphans {
		last := s.ends(c)
		require.Equal(t, []string{"complete", good.worker.actors.ID()}, []string{last.Type, workerOf(last.RunID)}, wire)
	}
	s.says("/ws/chat/s1", chat(map[string]any{"provider": "late-gemini"}))
	s.clean("after a loss")

	for _, v := range []*providertest.Server{sound, silent} {
		got := map[string]bool{}
		for _, r := range v.Requests() {
			got[string(r.Wire)] = got[string(r.Wire)] || keyOf(r) == canary
		}
		require.Equal(t, map[string]bool{"openai": true, "anthropic": true, "gemini": true}, got, "each vendor got the key from each worker")
	}
	keys := p.controls(t, bus.ControlKey)
	require.GreaterOrEqual(t, len(keys), 4*len(wires()))
	sealed := map[string]bool{}
	for _, c := range keys {
		require.Greater(t, len(c.Sealed), len(canary)+1000)
		require.Empty(t, leaks(string(c.Sealed)))
		sealed[string(c.Sealed)] = true
	}
	require.Len(t, sealed, len(keys), "no two are alike")
	require.NotContains(t, s.onTheBus(), printOf(canary))
	require.Equal(t, map[string]string{"user": "", "deployment": printOf(finch)}, p.billed(t), "a user's key has no fingerprint")
}

// billed maps whose keys paid to the fingerprints of those.
func (p *tap) billed(t *testing.T) map[string]string {
	t.Helper()
	of := map[string]string{}
	for _, m := range p.heard(`^troupe\.v1\.usage$`) {
		var u bus.UsageRecord
		require.NoError(t, json.Unmarshal(m.Data, &u))
		of[u.Key] = u.KeyID
	}
	return of
}
