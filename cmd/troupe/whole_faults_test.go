package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

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

func TestLimiterHangs(t *testing.T) {
	f := &faults{}
	w := start(t, f.install)
	c := w.dial("/ws/chat/s1").admitted()

	release := make(chan struct{})
	let := sync.OnceFunc(func() { f.clear(); close(release) })
	t.Cleanup(let)
	f.set(func(kind, _ string) {
		if kind == "limiter" {
			<-release
		}
	})
	began := time.Now()
	c.send(`{"type":"chat","content":"still here","model":"echo-0s"}`)
	text, _ := c.answer()
	require.Equal(t, "still here", text)
	require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond, "the first decision waits for the limiter")
	require.Equal(t, "1", w.metric("troupe_limiter_degraded"))
	require.Equal(t, "fallback", w.status().RateLimiter.State)
	require.Positive(t, w.status().RateLimiter.Stats.Fallback)
	code, body, _ := w.get("/api/health")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, `"status":"degraded"`)
	require.Contains(t, body, `"limiter":"fallback"`)

	other := w.dial("/ws/chat/s2").admitted()
	for range 15 { // half of 30
		other.send(`{"type":"chat","content":"x","model":"echo-0s"}`)
		_, last := other.answer()
		require.Equal(t, "complete", last.Type)
	}
	other.send(`{"type":"chat","content":"x","model":"echo-0s"}`)
	_, last := other.answer()
	require.Equal(t, "RATE_LIMIT_EXCEEDED", last.Code)
	require.Positive(t, last.RetryAfter)

	let()
	until(t, "the limiter is back", func() bool { return w.status().RateLimiter.State == "ok" })
	require.Equal(t, "0", w.metric("troupe_limiter_degraded"))
	require.Len(t, w.logged("Limiter does not answer: the fallback bucket decides until it is back"), 1)
	require.Len(t, w.logged("Limiter is back"), 1)
	for range 15 { // what the fallback admitted was charged to the window
		other.send(`{"type":"chat","content":"x","model":"echo-0s"}`)
		_, last = other.answer()
		require.Equal(t, "complete", last.Type)
	}
	other.send(`{"type":"chat","content":"x","model":"echo-0s"}`)
	_, last = other.answer()
	require.Equal(t, "RATE_LIMIT_EXCEEDED", last.Code)
}

func TestLimiterPanicsForTwoSeconds(t *testing.T) {
	f := &faults{}
	w := start(t, f.install, with(func(c *config.Config) { c.Limits.Messages.Max = 200_000 }))
	c := w.dial("/ws/chat/s1").admitted()
	f.set(func(kind, _ string) {
		if kind == "limiter" {
			panic("again")
		}
	})
	t.Cleanup(f.clear)
	over := time.After(2 * time.Second)
	for n, going := 0, true; going; n++ {
		select {
		case <-over:
			going = false
			require.Greater(t, n, 10)
		default:
		}
		c.send(`{"type":"chat","id":"` + fmt.Sprint("x", n) + `","content":"still here","model":"echo-0s"}`)
		text, last := c.answer()
		require.Equal(t, []string{"complete", "still here"}, []string{last.Type, text}, last.Message)
	}
	require.Equal(t, "1", w.metric("troupe_limiter_degraded"))
	w.dial("/ws/chat/s2").admitted()
	f.clear()
	until(t, "the limiter is back", func() bool { return w.status().RateLimiter.State == "ok" })
	require.Positive(t, w.status().Actors.Restarts["limiter"])
	require.NotEqual(t, "0", w.metric(`troupe_actor_restarts_total{kind="limiter"}`))
}

// While the limiter comes and goes, each of many pipelined questions gets
// exactly one end.
func TestPipelinedQuestionsWhileTheLimiterComesAndGoes(t *testing.T) {
	f := &faults{}
	w := start(t, f.install, with(func(c *config.Config) { c.Limits.Messages.Max, c.Runs.PerConnection = 5000, 1000 }))
	c := w.dial("/ws/chat/s1").admitted()
	var decisions atomic.Uint64
	f.set(func(kind, message string) {
		if kind == "limiter" && message == "*actors.decide" && decisions.Add(1)%5 == 0 {
			panic("now and then")
		}
	})
	t.Cleanup(f.clear)
	const questions = 300
	for n := range questions {
		c.send(fmt.Sprintf(`{"type":"chat","id":"x%d","content":"hi","model":"echo-0s"}`, n))
	}
	ends := map[string]int{}
	for len(ends) < questions {
		if frame := c.next(); frame.terminal() {
			require.Equal(t, "complete", frame.Type)
			ends[frame.ID]++
			require.Equal(t, 1, ends[frame.ID], frame.ID)
		}
	}
	f.clear()
	c.admitted() // nothing came after the last end
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
	f.once("connection", "*actors.chunkArrived")
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
		{"pool", "*actor.Terminated", ""},
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

func TestDrain(t *testing.T) {
	before := goleak.IgnoreCurrent()
	f := &faults{}
	w := start(t, f.install, with(func(c *config.Config) { c.HTTP.AdminListen = "127.0.0.1:0" }))
	f.set(func(kind, message string) {
		if kind == "run" && message == "*actors.shutDown" {
			<-time.After(150 * time.Millisecond) // the last words of a busy worker come late
		}
	})
	admin := w.gateway.server.AdminAddr().String()
	idle := w.dial("/ws/chat/idle").admitted()
	known := w.dial("/ws/chat/known")
	known.send(`{"type":"chat","id":"k","content":"hello","model":"echo-0s"}`)
	known.answer()
	short := w.dial("/ws/chat/short")
	short.send(`{"type":"chat","id":"s","content":"word","model":"echo-20ms-30w"}`)
	require.Equal(t, "accepted", short.next().Type)
	long := w.dial("/ws/chat/long")
	long.send(`{"type":"chat","id":"l","content":"word","model":"echo-20ms-5000w"}`)
	run := long.next().RunID
	unnamed := w.dial("/ws/chat/unnamed")
	unnamed.send(`{"type":"chat","content":"word","model":"echo-20ms-5000w"}`)
	require.Equal(t, "chunk", unnamed.next().Type)
	overHTTP := make(chan string, 1)
	go func() {
		resp, err := http.Post(w.http("/api/chat"), "application/json", strings.NewReader(`{"content":"word","model":"echo-20ms-5000w"}`))
		if err != nil {
			overHTTP <- err.Error()
			return
		}
		defer resp.Body.Close()
		var f said
		err = json.NewDecoder(resp.Body).Decode(&f)
		overHTTP <- fmt.Sprint(resp.StatusCode, f.Code, strings.HasPrefix(f.Partial, "word word"), err)
	}()
	until(t, "all stream", func() bool { return w.worker.actors.Active() == 4 })

	drained := make(chan time.Duration, 1)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	go func() {
		w.drain(ctx)
		drained <- time.Since(began)
	}()

	require.Equal(t, "reconnect", known.next().Type)
	require.Equal(t, websocket.StatusGoingAway, known.closed())
	_, _, err := idle.Read(t.Context())
	require.Equal(t, websocket.StatusGoingAway, websocket.CloseStatus(err), "an unnamed client is closed without a frame of its own")

	text, last := answerAfterReconnect(short, "")
	require.Equal(t, "complete", last.Type)
	require.Len(t, strings.Fields(text), 30)
	require.Equal(t, websocket.StatusGoingAway, short.closed())

	status, body := getFrom(t, "http://"+admin+"/api/health")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, `"status":"draining"`)
	status, _ = getFrom(t, "http://"+admin+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	status, _ = getFrom(t, "http://"+admin+"/livez")
	require.Equal(t, http.StatusOK, status)
	late := w.dial("/ws/chat/late")
	require.Equal(t, "SHUTTING_DOWN", late.next().Code)
	require.Equal(t, websocket.StatusGoingAway, late.closed())
	status, _, _ = w.get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	status, body, _ = w.post("/api/chat", `{"content":"late"}`)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "SHUTTING_DOWN", parse(t, body).Code)

	long.send(`{"type":"chat","id":"new","content":"one more"}`)
	text, last = answerAfterReconnect(long, "new")
	require.Equal(t, []string{"error", "SHUTTING_DOWN", "l", run}, []string{last.Type, last.Code, last.ID, last.RunID})
	require.Equal(t, text, last.Partial)
	require.Greater(t, len(strings.Fields(text)), 30)
	require.Equal(t, websocket.StatusGoingAway, long.closed())

	var raw string
	for raw = unnamed.raw(); strings.HasPrefix(raw, `{"type":"chunk"`); raw = unnamed.raw() {
	}
	require.Equal(t, "SHUTTING_DOWN", parse(t, raw).Code)
	_, _, err = unnamed.Read(t.Context())
	require.Equal(t, websocket.StatusGoingAway, websocket.CloseStatus(err), "one error, then the end")
	require.Equal(t, "503SHUTTING_DOWNtrue<nil>", strings.ReplaceAll(<-overHTTP, " ", ""))

	took := <-drained
	require.GreaterOrEqual(t, took, 1500*time.Millisecond)
	require.Less(t, took, 2500*time.Millisecond, "the deadline and a second")
	require.Zero(t, w.status().ConnectionPool.Active)
	w.stop(t.Context())
	for _, c := range []*peer{idle, known, short, long, unnamed} {
		c.CloseNow()
	}
	http.DefaultClient.CloseIdleConnections()
	until(t, "no goroutine is left", func() bool { return goleak.Find(before) == nil }) // protoactor's throttle ends by itself within a second
}

// answerAfterReconnect reads one turn to its end. The server says reconnect
// exactly once on the way, and refuses the turn of this id.
func answerAfterReconnect(c *peer, refused string) (text string, last said) {
	c.t.Helper()
	var b strings.Builder
	reconnects, refusals := 0, 0
	for {
		f := c.next()
		switch {
		case f.Type == "chunk":
			b.WriteString(f.Content)
		case f.Type == "reconnect":
			reconnects++
		case refused != "" && f.ID == refused:
			require.Equal(c.t, "SHUTTING_DOWN", f.Code)
			refusals++
		case f.terminal():
			require.Equal(c.t, 1, reconnects)
			require.Equal(c.t, refused != "", refusals == 1)
			return b.String(), f
		}
	}
}

func getFrom(t *testing.T, url string) (int, string) {
	t.Helper()
	w := &whole{t: t}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	status, body, _ := w.do(r)
	return status, body
}

// A drain without live turns does not wait for its deadline.
func TestDrainOfNobody(t *testing.T) {
	w := start(t)
	reading := w.dial("/ws/chat/s1").admitted().CloseRead(t.Context()) // answers the close
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	began := time.Now()
	w.drain(ctx)
	require.Less(t, time.Since(began), 3*time.Second)
	<-reading.Done()
}
