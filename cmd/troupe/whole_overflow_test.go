package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport"
)

// lengthy lets an answer of many MiB through, and its client fall behind.
func lengthy(o *appOptions) {
	o.Config.Runs.MaxOutputBytes = 32 << 20
	o.Config.WebSocket.OutboxBytes = 64 << 20
}

// atLast waits for what takes seconds on a machine that does nothing else.
func atLast(t *testing.T, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, 45*time.Second, 10*time.Millisecond, what)
}

// word is one thing that was said to a gateway on the bus.
type word struct {
	kind          string
	to, seq, from uint64
	size          int
}

func eventWord(e *bus.Event) word { return word{e.Type, e.To, e.Seq, e.From, len(e.Text)} }

func replyWord(to uint64, r *bus.Reply) word { return word{kind: "reply " + r.Type, to: to} }

// ear stands between the subscription of a gateway and the gateway, and writes
// down what comes through. Who holds its lock holds up the subscription.
type ear struct {
	bus.GatewayHandler

	mu    sync.Mutex
	heard []word // guarded by mu
}

func (e *ear) Event(event *bus.Event) {
	e.hear(eventWord(event))
	e.GatewayHandler.Event(event)
}

func (e *ear) Reply(to uint64, r *bus.Reply) {
	e.hear(replyWord(to, r))
	e.GatewayHandler.Reply(to, r)
}

func (e *ear) hear(w word) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, w)
}

// heldUp is what happens while the subscription delivers nothing.
func (e *ear) heldUp(meanwhile func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	meanwhile()
}

// recounts is how many runs have told again what was missed.
func (e *ear) recounts() int {
	of := map[uint64]bool{}
	for _, w := range e.words() {
		if w.kind == bus.EventSnapshot {
			of[w.to] = true
		}
	}
	return len(of)
}

func (e *ear) words() []word {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.heard)
}

// overflowing is a gateway on an external bus, wired as the program wires it, but
// with an ear, and with the bounds of what may wait for a handler in limits.
func overflowing(t *testing.T, s *bustest.NATS, limits bus.Options) (*whole, *ear) {
	t.Helper()
	c, _, err := config.Load(config.Sources{Args: []string{"--http.listen=127.0.0.1:0", "--bus.url=" + s.URL()}, Env: []string{}})
	require.NoError(t, err)
	lengthy(&appOptions{Config: c})
	out := &lockedBuffer{}
	log := zerolog.New(out).Level(zerolog.DebugLevel)
	a := &app{role: roleGateway, log: log, registry: prometheus.NewRegistry(), gateway: &gatewaySide{}}
	a.sys = actors.NewSystem(actors.SystemOptions{Log: log, Metrics: actors.NewMetrics(a.registry)})
	g, tree := a.gateway, &busWatcher{}
	limits.Log, limits.OnUp, limits.OnDown = log, tree.up, tree.down
	g.bus, err = bus.Connect(c.Bus, limits)
	require.NoError(t, err)
	registerBus(a.registry, a.buses)
	g.actors = actors.NewGateway(a.sys, g.bus, log, actors.GatewayConfig{Pool: c.Pool, Chat: c.Chat, Runs: c.Runs, Live: liveConfig(c)})
	require.NoError(t, g.actors.Start())
	t.Cleanup(func() { a.stop(context.Background()) })
	tree.watch(g.actors, g.bus.Connected)
	e := &ear{GatewayHandler: g.actors}
	_, err = g.bus.ListenGateway(g.actors.ID(), e)
	require.NoError(t, err)
	_, err = g.bus.ListenBeats(g.actors.Heard)
	require.NoError(t, err)
	g.server, err = transport.New(transport.Options{HTTP: c.HTTP, WebSocket: c.WebSocket, Gateway: front{g.actors}, Log: log, Registry: a.registry})
	require.NoError(t, err)
	require.NoError(t, g.server.Start(t.Context()))
	return &whole{app: a, t: t, log: out}, e
}

// dropped is what the process says of itself.
func (w *whole) dropped() int {
	w.t.Helper()
	n, err := strconv.ParseFloat(w.metric("troupe_bus_dropped_total"), 64)
	require.NoError(w.t, err)
	return int(n)
}

// wordsTo lists the messages that went to a gateway over the bus.
func (p *tap) wordsTo(t *testing.T, gateway string) (messages [][]word) {
	t.Helper()
	for _, m := range p.heard(`\.gateway\.` + gateway + `\.`) {
		var words []word
		if _, digits, reply := strings.Cut(m.Subject, ".r."); reply {
			to, err := strconv.ParseUint(digits, 10, 64)
			require.NoError(t, err)
			r, err := bus.DecodeReply(m.Data)
			require.NoError(t, err)
			words = append(words, replyWord(to, r))
		} else {
			require.Zero(t, bus.DecodeEvents(m.Data, func(e *bus.Event) { words = append(words, eventWord(e)) }))
		}
		messages = append(messages, words)
	}
	return messages
}

// losses matches what a gateway heard with what it was sent. A message is heard
// whole or not at all. What is repeated looks alike, so that the first match
// need not be the right one.
type losses struct {
	sent   [][]word
	heard  []word
	failed map[[3]int]bool
}

// explain tells whether the messages from the i-th on are what was heard from
// the j-th word on, but for n of them.
func (l *losses) explain(i, j, n int) bool {
	at := [3]int{i, j, n}
	switch {
	case n < 0 || n > len(l.sent)-i || l.failed[at]:
		return false
	case i == len(l.sent):
		return j == len(l.heard)
	}
	m := l.sent[i]
	if len(m) <= len(l.heard)-j && slices.Equal(l.heard[j:j+len(m)], m) && l.explain(i+1, j+len(m), n) {
		return true
	}
	if l.explain(i+1, j, n-1) {
		return true
	}
	l.failed[at] = true
	return false
}

// overflow is three answers on two sockets of a gateway whose subscription can
// overflow.
type overflow struct {
	t      *testing.T
	worker *whole
	g      *whole
	ear    *ear
	p      *tap
	all    []*asked
}

// flowing begins the answers, 1 MiB each in pieces of pace, and returns when
// every client has text.
func flowing(t *testing.T, limits bus.Options, pace string) *overflow {
	t.Helper()
	s := bustest.Server(t)
	o := &overflow{t: t, worker: start(t, over(s, roleWorker), lengthy), p: tapInto(t, s.URL())}
	o.g, o.ear = overflowing(t, s, limits)
	o.g.knows(1)
	one, two := read(o.g.dial("/ws/chat/s1")), read(o.g.dial("/ws/chat/s2"))
	ask := func(r *reading, id string) *asked { return r.ask(id, 10, 499, 200, pace) }
	o.all = []*asked{ask(one, "a"), ask(one, "b"), ask(two, "c")}
	t.Cleanup(func() {
		for _, a := range o.all {
			a.report(t)
		}
	})
	o.each("text flows", func(seq uint64, _ bool) bool { return seq > 0 })
	require.Zero(t, o.g.dropped())
	return o
}

// each waits until every turn is there.
func (o *overflow) each(what string, there func(seq uint64, over bool) bool) {
	o.t.Helper()
	atLast(o.t, what, func() bool {
		return !slices.ContainsFunc(o.all, func(a *asked) bool { return !there(a.at(a.id)) })
	})
}

func (o *overflow) ended() int { return len(o.worker.logged("Run ended")) }

// healed waits for the ends and looks for any trace of a loss.
func (o *overflow) healed() {
	o.t.Helper()
	o.each("the end is there", func(_ uint64, over bool) bool { return over })
	for _, a := range o.all {
		a.settle()
		a.whole(o.t)
	}
	require.Len(o.t, o.worker.logged("Run accepted"), len(o.all), "each question was asked once")
	o.g.toldOfDrops(o.p, o.ear)
}

// The client library drops what a gateway's handler is too late for, in the
// middle of three answers. They heal while they go on.
func TestAnOverflowInTheMiddleOfAnswersHeals(t *testing.T) {
	o := flowing(t, bus.Options{PendingMsgs: 512}, "1ms") // 5 s
	o.ear.heldUp(func() { atLast(t, "the middle is dropped", func() bool { return o.g.dropped() > 20 }) })
	atLast(t, "the middle is told again", func() bool { return o.ear.recounts() == len(o.all) })
	require.Zero(t, o.ended(), "it healed while text flows")
	o.healed()
}

// With the rest of each answer its end is dropped, and nothing comes behind it
// that would show the gap. What is told again overflows once more where the
// bound is in bytes.
func TestAnOverflowOfTheEndsOfAnswersHeals(t *testing.T) {
	for name, limits := range map[string]bus.Options{
		"messages": {PendingMsgs: 512},
		"bytes":    {PendingBytes: 1 << 20}, // the largest message has to fit
	} {
		t.Run(name, func(t *testing.T) {
			o := flowing(t, limits, "500us") // 2.5 s
			o.ear.heldUp(func() {
				atLast(t, "the ends are dropped", func() bool { return o.ended() == len(o.all) && o.g.dropped() > 0 })
			})
			o.healed()
		})
	}
}

// toldOfDrops compares what the gateway says of its drops with what a second
// client of the bus heard and its own handler did not.
func (w *whole) toldOfDrops(p *tap, e *ear) {
	w.t.Helper()
	require.NoError(w.t, p.Publish("the.end", nil))
	atLast(w.t, "the witness has heard everything", func() bool { return len(p.heard(`^the\.end$`)) == 1 })
	require.NotErrorIs(w.t, p.LastError(), nats.ErrSlowConsumer, "the witness lost something itself")
	lost := 0
	require.EventuallyWithT(w.t, func(c *assert.CollectT) { // the ear may have a last word to hear
		lost = w.dropped()
		l := &losses{sent: p.wordsTo(w.t, w.gateway.actors.ID()), heard: e.words(), failed: map[[3]int]bool{}}
		require.True(c, l.explain(0, 0, lost), "%d messages were sent, %d words heard: that is not %d dropped", len(l.sent), len(l.heard), lost)
	}, 20*time.Second, 50*time.Millisecond)
	lines := w.logged("Bus messages dropped: handler too slow")
	require.NotEmpty(w.t, lines)
	for _, line := range lines {
		require.Contains(w.t, line["subject"], w.gateway.actors.ID())
		require.InDelta(w.t, 1, line["dropped_total"], float64(lost-1), "between the first and all")
	}
}

// nobody is whom no gateway knows.
const nobody = 999_999

// The server drops a gateway that reads nothing, with all that waits for it. The
// gateway's client library knows of no drop then: the new connection is what the
// gateway heals by.
func TestAGatewayThatTheBusCutOffHeals(t *testing.T) {
	s := bustest.Server(t, bustest.Config("max_pending: 2MB"))
	worker := start(t, over(s, roleWorker), lengthy)
	nc, err := nats.Connect(s.URL())
	require.NoError(t, err)
	defer nc.Close()
	g := launch(t, compiled(t), roleGateway, s, "--runs.max_output_bytes=33554432", "--websocket.outbox_bytes=67108864")
	until(t, "the worker is known", func() bool { return g.workers() == 1 })
	c := read(g.dial("/ws/chat/s1"))
	a := c.ask("a", 20, 499, 200, "400us") // 2 MiB in 4 s
	atLast(t, "text flows", func() bool { seq, _ := c.at("a"); return seq > 0 })

	require.NoError(t, g.Process.Signal(syscall.SIGSTOP))
	to, _ := worker.logged("Run accepted")[0]["gateway"].(string)
	to = "troupe.v1.gateway." + to
	flood := bus.AppendEvent(nil, &bus.Event{Type: bus.EventChunk, To: nobody, Seq: 1, Text: bytes.Repeat([]byte("x"), 512<<10)})
	atLast(t, "the server has cut it off", func() bool { // what sockets hold is not enough
		for range 8 {
			require.NoError(t, nc.Publish(to+".events", flood))
		}
		_, err := nc.Request(fmt.Sprintf("%s.r.%d", to, nobody), []byte(`{"type":"busy"}`), 100*time.Millisecond)
		return errors.Is(err, nats.ErrNoResponders)
	})
	seq, over := c.at("a")
	require.False(t, over)
	require.Less(t, seq, uint64(a.times*a.words), "the rest was not delivered yet")
	require.NoError(t, g.Process.Signal(syscall.SIGCONT))

	atLast(t, "the end is there", func() bool { _, over := c.at("a"); return over })
	c.settle()
	a.whole(t)
	require.Len(t, worker.logged("Run accepted"), 1, "it was asked once")
	require.Contains(t, g.wrote.String(), `"message":"Bus disconnected"`)
	_, metrics := g.get("/metrics")
	require.Contains(t, metrics, "\ntroupe_bus_dropped_total 0\n")
}
