package actors

import (
	"context"
	crand "crypto/rand"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// Jobs is what a gateway needs of the bus. No method blocks; while the bus is
// down they fail at once and nothing is kept for later.
type Jobs interface {
	Ask(job *bus.Job) error
	Control(worker string, c *bus.Control) error
	Beat(b *bus.Beat) error
	Connected() bool
	MaxPayload() int
}

// GatewayConfig is what a gateway obeys.
type GatewayConfig struct {
	Version string
	Limits  limit.Config
	Pool    PoolConfig
	Chat    ChatConfig
	Runs    RunsConfig
	Live    Live
}

// Live is what can change while the gateway runs. It is swapped whole.
type Live struct {
	Limits          limit.Config
	DefaultProvider string
	Providers       map[string]string // configured here: name → type
	Products        map[string]Product
}

// Gateway is the gateway's tree and its front door. Its tables (leases,
// windows, followers) live here, outside the actors that use them, and survive
// every crash below.
type Gateway struct {
	// Set once.
	id        string
	cfg       GatewayConfig
	sys       *System
	jobs      Jobs
	log       zerolog.Logger
	metrics   *Metrics
	traces    *connectionTraces // nil where nothing is traced
	gate      *gate
	misses    *limit.Windows // runs that were named and are not there, by address
	searches  *limit.Windows // of client_keys, by address
	asks      ration         // of jobs that are taken back
	offenders *limit.Offenders
	leases    *limit.Leases[*Session]
	followers *followers
	words     *recent[attempt, lastWord] // the last one about each follower that is gone
	seed      maphash.Seed               // of their keys
	buried    *recent[string, struct{}]  // workers that are gone
	root      *actor.PID
	pool      *actor.PID
	rosterPID *actor.PID
	children  *actor.PID // connections

	ofConnections guard // shared by all of them

	live     atomic.Pointer[Live]
	roster   atomic.Pointer[rosterView]
	draining atomic.Bool
	everUp   atomic.Bool  // the bus was there at least once
	busDown  atomic.Int64 // the moment since when; 0 = up
	gather   gather
	counts   counts
	folded   fold
	settled  atomic.Int64 // the moment from which the roster is believed; 0 = not heard ourselves yet
	ownBeat  atomic.Int64 // the moment when it last heard its own beat
	stopTick context.CancelFunc
	lookedAt time.Time // of tick alone: when it last looked for silent turns
	tickedAt time.Time // of tick alone: its last one

	limiting sync.Mutex
	factor   limit.Factor // guarded by limiting

	owing sync.Mutex
	owed  []leaving // guarded by owing: goodbyes that wait for the bus
}

// counts are the totals of the status page.
type counts struct {
	active, sockets              atomic.Int64
	accepted, rejected           atomic.Uint64
	completed, cancelled, failed atomic.Uint64
}

// newToken makes a server-made name: unguessable, and safe as a subject token.
func newToken() string { return crand.Text() }

// What newToken makes, and how much of it names a process.
const (
	tokenLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	tokenLong    = 26
	tokenShort   = 12
)

// NewGateway builds the tree. Start must follow before the first Open.
func NewGateway(sys *System, jobs Jobs, log zerolog.Logger, cfg GatewayConfig) *Gateway {
	g := &Gateway{
		id: newToken()[:tokenShort], cfg: cfg, sys: sys, jobs: jobs, metrics: sys.metrics, traces: newConnectionTraces(sys.trace),
		leases: limit.NewLeases[*Session](cfg.Pool.MaxConnections, cfg.Pool.MaxPerIP), followers: newFollowers(),
		misses: limit.NewWindows(limit.Config{Messages: limit.Rule{Max: missesMax, Window: missesWindow}}),
		words:  newRecent[attempt, lastWord](wordsKept), seed: maphash.MakeSeed(), buried: newRecent[string, struct{}](workersKept),
		offenders: limit.NewOffenders(cfg.Live.Limits.Offenders),
		searches:  limit.NewWindows(limit.Config{Messages: limit.Rule{Max: searchesMax, Window: missesWindow}}),
	}
	g.gather.gateway = g
	g.ofConnections = guard{sys: sys, kind: kindConnection}
	g.log = log.With().Str("gateway", g.id).Logger()
	g.gate = &gate{
		sys: sys, windows: limit.NewWindows(cfg.Live.Limits), fallback: limit.NewFallback(cfg.Live.Limits),
		leases: g.leases, log: g.log, metrics: sys.metrics,
	}
	g.live.Store(&cfg.Live)
	g.metrics.poolLimit.Set(float64(cfg.Pool.MaxConnections))
	for name := range cfg.Live.Providers {
		g.metrics.touchProvider(name)
	}
	return g
}

// ID names this gateway on the bus; new at every start.
func (g *Gateway) ID() string { return g.id }

// Start spawns the tree and begins to beat.
func (g *Gateway) Start() (err error) {
	if g.root, err = g.sys.plant(kindGateway, g.id, gatewayRules, g.grow); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.stopTick = cancel
	g.sys.every(ctx, "gateway beat", beatEvery, g.tick)
	g.sys.every(ctx, "roster", lookEvery, func(now time.Time) { g.sys.root.Send(g.rosterPID, &rosterTick{now: now}) })
	return nil
}

func gatewayRules(kind string) directive {
	if kind == kindConnections {
		return resumeChild
	}
	return restartChild
}

// grow spawns the children of the root.
func (g *Gateway) grow(child spawner) {
	of := func(kind string) guard { return guard{sys: g.sys, kind: kind} }
	g.gate.limiter.Store(child(kindLimiter, func() actor.Actor { return &limiter{guard: of(kindLimiter), gate: g.gate} }))
	g.pool = child(kindPool, func() actor.Actor {
		return &pool{guard: of(kindPool), leases: g.leases, windows: g.gate.windows, metrics: g.metrics}
	})
	g.rosterPID = child(kindRoster, func() actor.Actor {
		return &roster{
			guard: of(kindRoster), gateway: g, log: g.log,
			workers: map[string]*bus.Beat{}, gateways: map[string]*bus.Beat{},
		}
	})
	g.children = child(kindConnections, func() actor.Actor { return g.sys.newConnections(g) }, g.sys.temporary())
}

// Open introduces a client and its socket.
func (g *Gateway) Open(socket Socket, c protocol.Client) *Session {
	if why := g.atTheDoor(&c); why != nil {
		return g.turnAway(socket, c, why)
	}
	if g.traces == nil {
		c.Trace = nil // nothing to hold on to
	}
	k := &connection{guard: &g.ofConnections, Session: Session{gateway: g, socket: socket, client: c}}
	g.sys.root.Send(g.children, &open{connection: k})
	return &k.Session
}

// tick is the gateway's pulse.
func (g *Gateway) tick(now time.Time) {
	_ = g.jobs.Beat(&bus.Beat{
		Role: bus.RoleGateway, ID: g.id, Version: g.cfg.Version, Sent: now.UnixMilli(),
		Active: g.followers.count(), Draining: g.draining.Load(),
	}) // without a bus nobody would hear it anyway
	if !g.tickedAt.IsZero() && now.Sub(g.tickedAt) >= beatsLost {
		g.log.Warn().Dur("for", now.Sub(g.tickedAt)).Msg("This process stood still, live turns ask for what they missed")
		g.catchUp() // runs have given us up meanwhile, and would not speak before they are asked
	}
	g.tickedAt = now
	root := g.sys.root
	root.Send(g.children, &sweepIdle{now: now})
	g.watchBus(now)
	g.gate.sweep(now)
	g.misses.Sweep(now)
	g.searches.Sweep(now)
	g.offenders.Sweep(now)
	g.adapt(now)
	if now.Sub(g.lookedAt) >= silenceCheck {
		g.lookedAt = now
		for _, pid := range g.followers.live() {
			root.Send(pid, &checkSilence{now: now})
		}
	}
}

// watchBus ends turns that waited for the bus longer than runs.grace.
func (g *Gateway) watchBus(now time.Time) {
	if down, since := g.busAway(); !down || now.Sub(since) < g.cfg.Runs.Grace {
		return
	}
	for _, pid := range g.followers.live() {
		g.sys.root.Send(pid, &busLost{})
	}
}

// BusDown and BusUp are called by whoever holds the bus, from any goroutine.
func (g *Gateway) BusDown() { g.busDown.CompareAndSwap(0, int64(g.sys.moment(time.Now()))) }

// busAway tells whether the bus is away, and since when.
func (g *Gateway) busAway() (away bool, since time.Time) {
	m := moment(g.busDown.Load())
	return m != 0, g.sys.at(m)
}

// BusUp makes every live turn ask for what it missed.
func (g *Gateway) BusUp() {
	g.everUp.Store(true)
	if g.busDown.Swap(0) == 0 {
		return
	}
	g.pay()
	g.catchUp()
}

// catchUp makes every live turn ask for what it missed.
func (g *Gateway) catchUp() {
	for _, pid := range g.followers.live() {
		g.sys.root.Send(pid, &busBack{})
	}
}

// Heard takes every beat on the bus, our own too.
func (g *Gateway) Heard(b *bus.Beat, received time.Time) {
	g.sys.root.Send(g.rosterPID, &beatHeard{beat: b, received: received})
}

// Reload swaps what can change live.
func (g *Gateway) Reload(l Live) {
	g.limiting.Lock()
	defer g.limiting.Unlock()
	g.live.Store(&l)
	g.obey()
}

func (g *Gateway) publicKey(worker string) []byte {
	if b := viewOf(&g.roster).workers[worker]; b != nil {
		return b.PublicKey
	}
	return nil
}

// offered tells whether a live worker serves the provider.
func (g *Gateway) offered(name string) bool {
	_, ok := viewOf(&g.roster).offers[name]
	return ok
}

// providerType tells the type of a provider that is configured here or served
// by a live worker.
func (g *Gateway) providerType(name string) (string, bool) {
	if t, ok := g.live.Load().Providers[name]; ok {
		return t, true
	}
	o, ok := viewOf(&g.roster).offers[name]
	return o.Type, ok
}

// answerRoom bounds the text of one answer in the gateway's memory: what a run
// that keeps to runs.max_output_bytes can say, each byte escaped.
func (g *Gateway) answerRoom() int {
	const escaped = 6 // \u0000
	return escaped*g.cfg.Runs.MaxOutputBytes + utf8Slack
}

func (g *Gateway) knowsProduct(id string) bool {
	_, ok := g.Product(id)
	return ok
}

// Product tells the name of a product. An empty table knows every id.
func (g *Gateway) Product(id string) (string, bool) {
	products := g.live.Load().Products
	if len(products) == 0 {
		return "", true
	}
	p, ok := products[id]
	return p.Name, ok
}

// drainSpread picks a client's own moment to leave: the more clients, the wider
// they are spread, at most over half the time that is left.
func (g *Gateway) drainSpread(until time.Time) time.Duration {
	span := min(time.Until(until)/2, time.Duration(g.counts.active.Load())*5*time.Millisecond)
	if span <= 0 {
		return 0
	}
	return rand.N(span)
}

// Drain stops admitting, lets live turns end until ctx ends, then closes every
// connection. It returns when all are closed, or soon after ctx ended (drainRest).
func (g *Gateway) Drain(ctx context.Context) {
	g.draining.Store(true)
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now().Add(time.Minute)
	}
	g.sys.root.Send(g.children, &drainAll{until: until})
	poll(ctx, func() bool { return g.counts.active.Load() == 0 })
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainRest)
	defer cancel()
	words, enough := context.WithTimeout(last, drainWords)
	defer enough()
	poll(words, func() bool { return g.followers.count() == 0 })
	g.sys.root.Send(g.children, &closeAll{})
	poll(last, func() bool { return g.counts.active.Load() == 0 })
}

// What a drain may take beyond its deadline. It is about half of the second in
// which a process has to be gone: there is a tree to stop and a bus to flush.
const (
	drainWords = 300 * time.Millisecond // for the workers' last words
	drainRest  = 550 * time.Millisecond // and then for the clients' last frames
)

// poll waits for done or the end of ctx: a drain is rare, and nothing has to be
// told about it.
func poll(ctx context.Context, done func() bool) {
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Stop ends the tree.
func (g *Gateway) Stop(ctx context.Context) {
	g.draining.Store(true)
	if g.stopTick != nil {
		g.stopTick()
	}
	_ = g.jobs.Beat(&bus.Beat{Role: bus.RoleGateway, ID: g.id, Sent: time.Now().UnixMilli(), Leaving: true})
	g.sys.stop(ctx, g.root)
}
