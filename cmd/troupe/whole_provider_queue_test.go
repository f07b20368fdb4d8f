package main

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/config"
)

// gate is a vendor that answers one question for each token it is given.
type gate struct {
	*providertest.Server
	t    *testing.T
	pass chan struct{}
}

func gated(t *testing.T) *gate {
	t.Helper()
	g := &gate{t: t, pass: make(chan struct{})}
	closed := make(chan struct{})
	g.Server = providertest.NewFunc(t, func(providertest.Request) providertest.Script {
		select {
		case <-g.pass:
		case <-closed:
		}
		return providertest.Say("let ", "in")
	})
	t.Cleanup(func() { close(closed) }) // before the server's own, which waits for its answers
	return g
}

// let answers one of the questions that wait at the vendor.
func (g *gate) let() {
	g.t.Helper()
	select {
	case g.pass <- struct{}{}:
	case <-time.After(5 * time.Second):
		g.t.Fatal("no question waits at the vendor")
	}
}

// contents are the questions that the vendor saw, in order.
func (g *gate) contents() (all []string) {
	for _, r := range g.Requests() {
		all = append(all, gjson.GetBytes(r.Body, "messages.@reverse.0.content").Str)
	}
	return all
}

// asked waits until the vendor saw n questions.
func (g *gate) asked(n int) {
	g.t.Helper()
	until(g.t, "the vendor is asked", func() bool { return len(g.Requests()) == n })
}

// narrow lets few calls through to g.
func narrow(g *gate, room, queue int) func(*appOptions) {
	p := vendor(g.Server, "sk-1")
	p.MaxConcurrent, p.MaxQueue = room, queue
	return entries(map[string]provider.Config{"openai": p})
}

// turns asks a named question on a session of its own.
func (w *whole) turns(session, content string) *peer {
	w.t.Helper()
	c := w.dial("/ws/chat/" + session)
	c.send(chat(map[string]any{"id": content, "provider": "openai", "content": content}))
	return c
}

// queuedAt reads to the frame that tells this place in the queue.
func (c *peer) queuedAt(place int) {
	c.t.Helper()
	f := c.next()
	for f.Type == "accepted" {
		f = c.next()
	}
	require.Equal(c.t, []any{"status", "queued", place}, []any{f.Type, f.State, f.Position})
}

// Two calls at once and two that wait: those in excess are told so, and the
// vendor never sees more.
func TestAProviderHasRoomForSoMany(t *testing.T) {
	g := gated(t)
	w := start(t, wide, narrow(g, 2, 2))
	all := map[string]*peer{}
	for i, q := range []string{"q1", "q2"} {
		all[q] = w.turns("s"+q, q)
		g.asked(i + 1)
	}
	all["q3"] = w.turns("sq3", "q3")
	all["q3"].queuedAt(1)
	all["q4"] = w.turns("sq4", "q4")
	all["q4"].queuedAt(2)
	for _, q := range []string{"q5", "q6"} { // not even in the queue: the fleet is full
		all[q] = w.turns("s"+q, q)
		all[q].queuedAt(0)
	}
	unnamed := w.dial("/ws/chat/u")
	unnamed.send(chat(map[string]any{"provider": "openai"}))
	f := unnamed.next()
	require.Equal(t, []string{"error", "OVERLOADED"}, []string{f.Type, f.Code})
	require.Positive(t, f.RetryAfter)
	status, body, header := w.post("/api/chat", chat(map[string]any{"provider": "openai"}))
	require.Equal(t, []any{http.StatusServiceUnavailable, "OVERLOADED"}, []any{status, parse(t, body).Code}, body)
	require.NotEmpty(t, header.Get("Retry-After"))
	until(t, "the operator sees the queue", func() bool { return w.metric(`troupe_provider_queued{provider="openai"}`) == "2" })
	status, body, _ = w.post("/api/chat", chat(map[string]any{"content": "others go on", "model": "echo-0s"}))
	require.Equal(t, http.StatusOK, status, body)

	require.Equal(t, 2, g.Open())
	g.let()
	g.asked(3)
	require.Equal(t, "q3", g.contents()[2], "first come, first served")
	all["q4"].queuedAt(1)
	for n := 4; n <= 6; n++ { // one by one: of two that end at once nobody knows whose place is taken first
		g.let()
		g.asked(n)
	}
	g.let()
	g.let()
	for q, c := range all {
		text, f := c.answer()
		require.Equal(t, []string{"let in", "complete"}, []string{text, f.Type}, q+": "+f.Message)
	}
	seen := g.contents()
	require.Len(t, seen, 6)
	require.Less(t, slices.Index(seen, "q3"), slices.Index(seen, "q4"))
	require.Less(t, slices.Index(seen, "q4"), slices.Index(seen, "q5"))
	require.Less(t, slices.Index(seen, "q4"), slices.Index(seen, "q6"))
	require.Equal(t, 2, g.Peak())
	until(t, "nobody waits", func() bool { return w.metric(`troupe_provider_queued{provider="openai"}`) == "0" })
}

// One session with many questions does not keep another one waiting.
func TestSessionsWaitInTurn(t *testing.T) {
	g := gated(t)
	w := start(t, wide, narrow(g, 1, 4))
	first := w.turns("busy", "a1")
	g.asked(1)
	second := w.turns("busy", "a2")
	second.queuedAt(1)
	third := w.turns("busy", "a3")
	third.queuedAt(2)
	other := w.turns("modest", "b1")
	other.queuedAt(2)
	third.queuedAt(3)
	for n := 2; n <= 4; n++ {
		g.let()
		g.asked(n)
	}
	g.let()
	require.Equal(t, []string{"a1", "a2", "b1", "a3"}, g.contents())
	for _, c := range []*peer{first, second, third, other} {
		_, f := readOn(c)
		require.Equal(t, "complete", f.Type, f.Message)
	}
	require.Equal(t, 1, g.Peak())
}

// Who waits can leave: its place goes to the next, and the vendor never hears of
// it. Nobody waits longer than runs.queue_timeout, and no clock of the vendor's
// runs meanwhile.
func TestTheQueueCanBeLeft(t *testing.T) {
	g := gated(t)
	p := vendor(g.Server, "sk-1")
	p.MaxConcurrent, p.MaxQueue, p.FirstTokenTimeout = 1, 3, 20*time.Second
	w := start(t, wide, entries(map[string]provider.Config{"openai": p}), with(func(c *config.Config) { c.Runs.QueueTimeout = 1500 * time.Millisecond }))
	inside := w.turns("s1", "inside")
	g.asked(1)
	leaves := w.turns("s2", "leaves")
	leaves.queuedAt(1)
	waits := w.turns("s3", "waits")
	waits.queuedAt(2)
	at := time.Now()
	leaves.send(`{"type":"cancel"}`)
	f := leaves.next()
	require.Equal(t, []string{"cancelled", ""}, []string{f.Type, f.FullResponse})
	require.Zero(t, f.Usage.InputTokens, "nothing was asked")
	require.Less(t, time.Since(at), time.Second)
	waits.queuedAt(1)
	gone := w.turns("s4", "gone")
	gone.queuedAt(2)
	gone.send(`{"type":"cancel"}`)
	require.Equal(t, "cancelled", gone.next().Type)

	_, f = readOn(waits)
	require.Equal(t, []string{"error", "OVERLOADED"}, []string{f.Type, f.Code}, f.Message)
	require.Positive(t, f.RetryAfter)
	g.let()
	_, f = readOn(inside)
	require.Equal(t, "complete", f.Type, f.Message)
	require.Equal(t, []string{"inside"}, g.contents())
}

// max_concurrent_per_key bounds each key by itself.
func TestAKeyHasRoomForSoMany(t *testing.T) {
	g := gated(t)
	p := vendor(g.Server, "sk-a", "sk-b")
	p.MaxConcurrentPerKey, p.MaxQueue = 1, 4
	w := start(t, wide, entries(map[string]provider.Config{"openai": p}))
	var all []*peer
	for i, q := range []string{"q1", "q2"} {
		all = append(all, w.turns("s"+q, q))
		g.asked(i + 1)
	}
	waits := w.turns("sq3", "q3")
	waits.queuedAt(1)
	require.NotEqual(t, keyOf(g.Requests()[0]), keyOf(g.Requests()[1]))
	for range 3 {
		g.let()
	}
	for _, c := range append(all, waits) {
		_, f := readOn(c)
		require.Equal(t, "complete", f.Type, f.Message)
	}
	require.Equal(t, 2, g.Peak())
}
