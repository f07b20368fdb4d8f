package actors

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/fault"
	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/trace"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// plan is what a house is built of.
type plan struct {
	limits   limit.Config
	pool     PoolConfig
	chat     ChatConfig
	runs     RunsConfig
	products map[string]Product
	types    map[string]string
	talk     provider.Provider // nil: no worker lives in this house
	setup    provider.Config
	maxRuns  int
	inject   Injector
	faults   *fault.Set
	log      io.Writer
	trace    *trace.Tracer
}

func defaultPlan() plan {
	return plan{
		limits: limit.Config{}, pool: DefaultPool(), chat: DefaultChat(), runs: DefaultRuns(),
		types: map[string]string{"echo": provider.TypeEcho, "vendor": provider.TypeOpenAI}, maxRuns: 100, log: io.Discard,
	}
}

// house is a gateway, and a worker where the plan has one, over a fake bus. It
// must be built inside a synctest bubble and is gone before the bubble ends.
type house struct {
	t       *testing.T
	sys     *System
	bus     *fakeBus
	gateway *Gateway
	worker  *Worker
	metrics *Metrics
	gather  prometheus.Gatherer
	clients []*client
	stopped bool
	unwatch func() // nil unless the house watches how hard pressed it is
}

const remote = "w1" // the worker that beats in a house without one of its own

func build(t *testing.T, p plan) *house {
	t.Helper()
	registry := prometheus.NewRegistry()
	h := &house{t: t, bus: newFakeBus(), metrics: NewMetrics(registry), gather: registry}
	log := zerolog.New(zerolog.SyncWriter(p.log))
	h.sys = NewSystem(SystemOptions{Log: log, Metrics: h.metrics, Inject: p.inject, Faults: p.faults, Trace: p.trace})
	h.gateway = NewGateway(h.sys, h.bus, log, GatewayConfig{
		Version: "test", Limits: p.limits, Pool: p.pool, Chat: p.chat, Runs: p.runs,
		Live: Live{Limits: p.limits, DefaultProvider: "echo", Providers: p.types, Products: p.products},
	})
	t.Cleanup(h.stop)
	require.NoError(t, h.gateway.Start())
	h.bus.locked(func() { h.bus.gateway = h.gateway })
	if p.talk != nil {
		h.addWorker(p)
	} else {
		h.bus.locked(func() { h.bus.beating = []*bus.Beat{remoteBeat(remote)} })
		h.gateway.Heard(remoteBeat(remote), time.Now())
	}
	h.gateway.BusUp()
	pass(2*beatEvery + settleTime) // everybody has heard everybody, and the roster is believed
	return h
}

func remoteBeat(id string) *bus.Beat {
	return &bus.Beat{Role: bus.RoleWorker, ID: id, Capacity: 10, Providers: []bus.Offer{
		{Name: "echo", Type: provider.TypeEcho, State: stateReady},
		{Name: "vendor", Type: provider.TypeOpenAI, State: "needs_key"},
	}}
}

func (h *house) addWorker(p plan) {
	setup := p.setup
	setup.Type = provider.TypeEcho
	w, err := NewWorker(h.sys, h.bus, h.bus, h.sys.log, WorkerOptions{
		Version: "test", Worker: WorkerConfig{MaxRuns: p.maxRuns, DrainTimeout: time.Second}, Runs: p.runs,
		Providers: map[string]ProviderSetup{
			"echo":   {Config: setup, Provider: p.talk, State: stateReady},
			"vendor": {Config: provider.Config{Type: provider.TypeOpenAI}, Provider: p.talk, State: "needs_key"},
		},
	})
	require.NoError(h.t, err)
	h.worker = w
	require.NoError(h.t, w.Start())
	h.bus.locked(func() { h.bus.worker = w })
}

// stop ends everything that lives in the house, once its clients have left.
func (h *house) stop() {
	if h.stopped {
		return
	}
	for _, c := range h.clients {
		c.leave(protocol.CauseClient)
	}
	synctest.Wait()
	h.stopOver()
}

// stopOver ends everything that lives in the house, over the heads of clients
// that are still there.
func (h *house) stopOver() {
	h.stopped = true
	if h.unwatch != nil {
		h.unwatch()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	h.gateway.Stop(ctx)
	if h.worker != nil {
		h.worker.Stop(ctx)
	}
	pass(2 * time.Second) // protoactor counts dead letters for a second
}

// gauge reads one figure of /metrics.
func (h *house) gauge(name string) float64 {
	h.t.Helper()
	families, err := h.gather.Gather()
	require.NoError(h.t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	require.Fail(h.t, "no such metric", name)
	return 0
}

// knock introduces a client that is not changed further.
func (h *house) knock(c protocol.Client) *client {
	h.t.Helper()
	s := &fakeSocket{}
	session := h.gateway.Open(s, c)
	s.mu.Lock()
	s.session = session
	s.mu.Unlock()
	out := &client{fakeSocket: s, t: h.t}
	h.clients = append(h.clients, out)
	synctest.Wait()
	if len(out.closed()) > 0 { // it may have been closed before the session was known
		out.leave(protocol.CauseServer)
		synctest.Wait()
	}
	return out
}

// open is knock for a WebSocket of one address and session that is let in.
func (h *house) open(session string) *client {
	h.t.Helper()
	c := h.knock(protocol.Client{Connection: "c-" + session, Address: "192.0.2.1", Session: session})
	require.Equal(h.t, 1, c.wanted(), "the client was not admitted: %v", c.take())
	return c
}

// accept plays a worker that takes the newest job.
func (h *house) accept(run string) bus.Job {
	h.t.Helper()
	job := h.bus.lastJob(h.t)
	h.reply(job.To, bus.Reply{Type: bus.ReplyAccepted, Run: run, Worker: remote})
	return job
}

func (h *house) reply(to uint64, r bus.Reply) {
	h.gateway.Reply(to, &r)
	synctest.Wait()
}

// say plays a run that says one thing.
func (h *house) say(e bus.Event) { h.batch(e) }

// batch plays a message of the bus.
func (h *house) batch(events ...bus.Event) {
	h.bus.deliver(h.gateway, events...)
	synctest.Wait()
}

func (h *house) chunk(to, seq uint64, text string) {
	h.say(bus.Event{Type: bus.EventChunk, To: to, Seq: seq, Text: []byte(text)})
}

func contextFor(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// pass lets time go by and everything happen that is due.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// empty checks that nothing is held once every client is gone.
func (h *house) empty() {
	h.t.Helper()
	for _, c := range h.clients {
		c.leave(protocol.CauseClient)
	}
	pass(2 * time.Second)
	require.Empty(h.t, h.gateway.leases.Owners(), "slots leaked")
	require.Zero(h.t, h.gateway.followers.count(), "followers leaked")
	require.Zero(h.t, h.gateway.counts.active.Load(), "connections leaked")
	require.Zero(h.t, h.gateway.counts.sockets.Load(), "sockets are still counted")
	if h.worker != nil {
		require.Zero(h.t, h.worker.Active(), "run slots leaked")
	}
}

// bubble runs fn in a synctest bubble.
func bubble(t *testing.T, fn func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, fn)
}
