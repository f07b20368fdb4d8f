package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// faults is an injector whose rule a test changes while the program runs. The
// rule gets the kind of actor and the type of the message.
type faults struct {
	rule atomic.Pointer[func(kind, message string)]
}

func (f *faults) install(o *appOptions) {
	o.Inject = func(kind string, message any) {
		if rule := f.rule.Load(); rule != nil {
			(*rule)(kind, fmt.Sprintf("%T", message))
		}
	}
}

func (f *faults) set(rule func(kind, message string)) { f.rule.Store(&rule) }

func (f *faults) clear() { f.rule.Store(nil) }

// once panics at the first such message, and tells whether it came.
func (f *faults) once(kind, message string) *atomic.Bool {
	hit := &atomic.Bool{}
	f.set(func(k, m string) {
		if k == kind && m == message && hit.CompareAndSwap(false, true) {
			panic("canary-panic-value")
		}
	})
	return hit
}

func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, 10*time.Second, 5*time.Millisecond, what)
}

func (w *whole) status() protocol.Status { return w.gateway.actors.Status() }

// quiet waits until nothing is held any more.
func (w *whole) quiet(connections int) {
	w.t.Helper()
	until(w.t, "slots, connections and runs are given back", func() bool {
		s := w.status()
		return s.ConnectionPool.Active == connections && s.Actors.Connection == connections &&
			s.WebSocketManager.ActiveConnections == connections && w.worker.actors.Active() == 0
	})
}

func TestConnectionActorPanics(t *testing.T) {
	f := &faults{}
	w := start(t, f.install)
	victim := w.dial("/ws/chat/s1").admitted()
	others := []*peer{w.dial("/ws/chat/s1").admitted(), w.dial("/ws/chat/s2").admitted()}
	for _, o := range others {
		o.send(`{"type":"chat","id":"o","content":"word","model":"echo-20ms-30w"}`)
		require.Equal(t, "accepted", o.next().Type)
	}
	hit := f.once("connection", "*actors.asked")
	began := time.Now()
	victim.send(`{"type":"chat","content":"canary-question"}`)
	told := victim.next()
	require.Less(t, time.Since(began), time.Second)
	require.True(t, hit.Load())
	require.Equal(t, []string{"error", "INTERNAL"}, []string{told.Type, told.Code})
	require.Equal(t, websocket.StatusInternalError, victim.closed())
	for _, o := range others {
		text, last := o.answer()
		require.Equal(t, "complete", last.Type)
		require.Len(t, strings.Fields(text), 30)
	}
	w.quiet(2)
	require.Equal(t, "1", w.metric(`troupe_panics_total{kind="connection"}`))
	failed := w.logged("WebSocket connection error")
	require.Len(t, failed, 1)
	require.Equal(t, "s1", failed[0]["session"])
	require.NotContains(t, w.log.String(), "canary", "neither what was asked nor what the panic held")
}

func TestConnectionActorPanicsOnItsWayIn(t *testing.T) {
	f := &faults{}
	w := start(t, f.install, with(func(c *config.Config) { c.Limits.Connections.Max = 0 }))
	for _, message := range []string{"*actor.Started", "*actors.decided", "*actors.granted"} {
		hit := f.once("connection", message)
		began := time.Now()
		c := w.dial("/ws/chat/s1")
		require.Equal(t, "INTERNAL", c.next().Code, message)
		require.Equal(t, websocket.StatusInternalError, c.closed(), message)
		require.Less(t, time.Since(began), 2*time.Second, message)
		require.True(t, hit.Load(), message)
		w.quiet(0)
	}
	for _, message := range []string{"*actor.Stopping", "*actor.Stopped", "*actors.socketClosed"} {
		hit := f.once("connection", message)
		c := w.dial("/ws/chat/s1").admitted()
		require.NoError(t, c.Close(websocket.StatusNormalClosure, ""), message)
		until(t, message, hit.Load)
		w.quiet(0)
	}
	w.dial("/ws/chat/s1").admitted()
}

// The socket dies with its actor; its named run does not.
func TestConnectionActorPanicsMidStream(t *testing.T) {
	f := &faults{}
	w := start(t, f.install)
	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"r","on_disconnect":"cancel","content":"word","model":"echo-20ms-40w"}`)
	run := c.next().RunID
	require.Equal(t, "chunk", c.next().Type)
	f.once("connection", "*actors.chunksArrived")
	var last said
	for last = c.next(); last.Type == "chunk"; last = c.next() {
	}
	require.Equal(t, "INTERNAL", last.Code)
	require.Equal(t, websocket.StatusInternalError, c.closed())
	back := w.dial("/ws/chat/s1")
	back.send(`{"type":"resume","run_id":"` + run + `"}`)
	text, end := back.answer()
	require.Equal(t, "complete", end.Type)
	require.Len(t, strings.Fields(text), 40)
}

func TestRunPanics(t *testing.T) {
	t.Parallel()
	f := &faults{}
	w := start(t, f.install, with(func(c *config.Config) { c.Limits.Messages.Max = 0 }))
	c, other := w.dial("/ws/chat/s1").admitted(), w.dial("/ws/chat/s2").admitted()
	other.send(`{"type":"chat","content":"before after","model":"echo-4s"}`)
	require.Equal(t, "before ", other.next().Content) // silent from here until all panics are over
	for _, message := range []string{"*actor.Started", "*actors.piece", "*actors.streamEnded"} {
		for _, id := range []string{"", "r" + message} {
			named := ""
			if id != "" {
				named = `"id":"` + id + `",`
			}
			hit := f.once("run", message)
			c.send(`{"type":"chat",` + named + `"content":"one two","model":"echo-0s"}`)
			text, last := c.answer()
			require.Equal(t, []string{"error", "INTERNAL", id}, []string{last.Type, last.Code, last.ID}, message)
			if id != "" {
				require.Equal(t, text, last.Partial, message)
			}
			require.True(t, hit.Load())
			c.admitted() // exactly one end came
			c.send(`{"type":"chat","content":"again","model":"echo-0s"}`)
			text, _ = c.answer()
			require.Equal(t, "again", text)
		}
	}
	require.Equal(t, "6", w.metric(`troupe_runs_total{outcome="error",provider="echo"}`))
	require.Equal(t, "after", other.next().Content)
	require.Equal(t, "before after", other.next().FullResponse)
	w.quiet(2)
}

func TestSupervisorsPanicAndComeBack(t *testing.T) {
	for _, tt := range []struct {
		kind, message string
		lost          string // what the client that came just then is told
	}{
		{"connections", "*actors.open", "INTERNAL"},
		{"connections", "*actors.sweepIdle", ""},
		{"connections", "*actor.Terminated", ""},
		{"pool", "*actors.acquire", "INTERNAL"},
		{"pool", "*actors.vacated", ""},
		{"roster", "*actors.beatHeard", ""},
		{"roster", "*actors.rosterTick", ""},
		{"provider", "*actors.startRun", ""},
		{"provider", "*actor.Terminated", ""},
	} {
		t.Run(tt.kind+" "+tt.message, func(t *testing.T) {
			t.Parallel()
			f := &faults{}
			w := start(t, f.install)
			c := w.dial("/ws/chat/s1").admitted()
			c.send(`{"type":"chat","id":"live","content":"word","model":"echo-20ms-60w"}`)
			require.Equal(t, "accepted", c.next().Type)

			hit := f.once(tt.kind, tt.message)
			guest := w.dial("/ws/chat/s2")
			came := time.Now()
			if tt.lost == "" {
				guest.send(`{"type":"chat","content":"hello","model":"echo-0s"}`)
				text, _ := guest.answer()
				require.Equal(t, "hello", text)
				guest.CloseNow()
			} else {
				require.Equal(t, tt.lost, guest.next().Code)
				require.Less(t, time.Since(came), 800*time.Millisecond, "told at once, not by a timeout")
				require.Equal(t, websocket.StatusInternalError, guest.closed())
			}
			until(t, "the fault came", hit.Load)
			until(t, "it came back", func() bool { return w.status().Actors.Restarts[tt.kind] == 1 || tt.message == "*actor.Terminated" })
			require.Equal(t, 1, w.gateway.actors.Health().Workers)
			next := w.dial("/ws/chat/s3").admitted()
			next.send(`{"type":"chat","content":"after","model":"echo-0s"}`)
			text, _ := next.answer()
			require.Equal(t, "after", text)

			text, last := c.answer()
			require.Equal(t, "complete", last.Type, "the stream lived on")
			require.Len(t, strings.Fields(text), 60)
			w.quiet(2)
			require.NotContains(t, w.log.String(), "canary")
		})
	}
}

func TestRootsPanicAtTheirStart(t *testing.T) {
	for _, kind := range []string{"gateway", "worker"} {
		t.Run(kind, func(t *testing.T) {
			f := &faults{}
			hit := f.once(kind, "*actor.Started")
			w := start(t, f.install)
			require.True(t, hit.Load())
			c := w.dial("/ws/chat/s1")
			c.send(`{"type":"chat","content":"hello","model":"echo-0s"}`)
			text, _ := c.answer()
			require.Equal(t, "hello", text)
		})
	}
}
