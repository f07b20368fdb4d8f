package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// trap panics in the first actor of a kind that takes a message of a type,
// once it is set. Message types are the actors' own; tests know them by name.
type trap struct{ armed atomic.Pointer[string] }

func (p *trap) set(kind, message string) {
	at := kind + " *actors." + message
	p.armed.Store(&at)
}

func (p *trap) inject(kind string, message any) {
	at := p.armed.Load()
	if at != nil && *at == fmt.Sprintf("%s %T", kind, message) && p.armed.CompareAndSwap(at, nil) {
		panic("trap")
	}
}

func (p *trap) option(o *appOptions) { o.Inject = p.inject }

// A connection's actor that panics costs its own client and nobody else.
func TestACrashedConnectionIsAlone(t *testing.T) {
	p := &trap{}
	w := start(t, wide, p.option)
	const words = 200
	question := `"content":"word","model":"echo-10ms-` + fmt.Sprint(words) + `w"`
	victim := w.dial("/ws/chat/victim")
	victim.send(`{"type":"chat","id":"v",` + question + `}`)
	run := victim.next().RunID
	require.Equal(t, "chunk", victim.next().Type)
	var others []*peer
	for i := range 8 {
		c := w.dial(fmt.Sprintf("/ws/chat/s%d", i))
		id := ""
		if i%2 == 0 {
			id = `"id":"x",`
		}
		c.send(`{"type":"chat",` + id + question + `}`)
		others = append(others, c)
	}
	require.Eventually(t, func() bool { return w.worker.actors.Active() == 9 }, 5*time.Second, time.Millisecond)

	p.set("connection", "asked") // the others ask nothing
	at := time.Now()
	victim.send(`{"type":"ping"}`)
	f := victim.next()
	for ; f.Type == "chunk"; f = victim.next() {
	}
	require.Equal(t, []string{"error", "INTERNAL", ""}, []string{f.Type, f.Code, f.ID})
	require.Equal(t, websocket.StatusInternalError, victim.closed())
	require.Less(t, time.Since(at), time.Second)

	for _, c := range others {
		text, last := c.answer()
		require.Equal(t, "complete", last.Type)
		require.Len(t, strings.Fields(text), words)
		c.send(`{"type":"ping"}`)
		require.Equal(t, "pong", c.next().Type)
	}
	require.EqualValues(t, 8, w.gateway.actors.Status().ConnectionPool.Active)
	require.Len(t, w.logged("Panic caught"), 1)

	back := w.dial("/ws/chat/victim") // a crash counts as grace: nothing is lost
	back.send(`{"type":"resume","run_id":"` + run + `"}`)
	text, last := back.answer()
	require.Equal(t, "complete", last.Type)
	require.Len(t, strings.Fields(text), words)
}

// A run that panics ends with one terminal event; its neighbours stream on.
func TestACrashedRunIsAlone(t *testing.T) {
	p := &trap{}
	w := start(t, wide, p.option)
	const words = 200
	chat := `{"type":"chat","id":"x","content":"word","model":"echo-10ms-` + fmt.Sprint(words) + `w"}`
	var all []*peer
	for i := range 6 {
		c := w.dial(fmt.Sprintf("/ws/chat/s%d", i))
		c.send(chat)
		all = append(all, c)
	}
	for _, c := range all {
		for c.next().Type != "chunk" {
		}
	}
	p.set("run", "piece")
	crashed := 0
	for _, c := range all {
		text, last := readOn(c)
		switch last.Type {
		case "complete":
			require.True(t, strings.HasSuffix(last.FullResponse, text))
			require.Len(t, strings.Fields(last.FullResponse), words)
		default:
			crashed++
			require.Equal(t, "INTERNAL", last.Code)
			require.NotEmpty(t, last.Partial)
		}
		c.send(`{"type":"ping"}`) // every socket lives, the crashed run's too
		require.Equal(t, "pong", c.next().Type)
	}
	require.Equal(t, 1, crashed)
	require.Eventually(t, func() bool { return w.worker.actors.Active() == 0 }, time.Second, time.Millisecond)
}

// readOn reads from the middle of an answer to its end.
func readOn(c *peer) (text string, last said) {
	for f := c.next(); ; f = c.next() {
		if f.terminal() {
			return text, f
		}
		text += f.Content
	}
}

// Panics in the permanent actors, while chats go on: they come back, and what
// is admitted stays admitted.
func TestPermanentActorsComeBack(t *testing.T) {
	p := &trap{}
	w := start(t, wide, p.option)
	steady := w.dial("/ws/chat/steady")
	steady.send(`{"type":"chat","id":"x","content":"word","model":"echo-20ms-100w"}`)
	for _, at := range [][2]string{
		{"limiter", "decide"}, {"pool", "acquire"}, {"roster", "beatHeard"}, {"connections", "sweepIdle"}, {"provider", "startRun"},
	} {
		p.set(at[0], at[1])
		require.Eventually(t, func() bool {
			c, _, err := w.tryDial("/ws/chat/s1")
			if err != nil {
				return false
			}
			defer c.CloseNow()
			c.send(`{"type":"chat","content":"hi","model":"echo-0s"}`)
			f := c.next()
			return p.armed.Load() == nil && f.Type == "chunk"
		}, 5*time.Second, 10*time.Millisecond, at)
		require.Eventually(t, func() bool { return w.gateway.actors.Status().Actors.Restarts[at[0]] >= 1 },
			5*time.Second, time.Millisecond, at) // counted by its supervisor, which may hear of it after the next chat
	}
	text, last := steady.answer()
	require.Equal(t, "complete", last.Type)
	require.Len(t, strings.Fields(text), 100)
	steady.CloseNow()
	require.Eventually(t, func() bool { return w.gateway.actors.Status().ConnectionPool.Active == 0 }, 5*time.Second, 5*time.Millisecond)
}
