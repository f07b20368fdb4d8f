package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"github.com/troupe-chat/troupe/actors"
	"github.com/troupe-chat/troupe/actors/fault"
	"github.com/troupe-chat/troupe/actors/pressure"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/actors/trace"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/bus/natsd"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// Roles of the process.
const (
	roleServe   = "serve"
	roleGateway = "gateway"
	roleWorker  = "worker"
)

// appOptions is what a program is made of.
type appOptions struct {
	Role    string
	Config  *config.Config
	Log     zerolog.Logger
	Version string
	Inject  actors.Injector // tests only
	Nats    natsd.Options   // of the embedded server; tests only
	Strain  pressure.Source // instead of what the runtime says; tests only
}

// app is one running Troupe, in any role: built whole, started in order, ended
// in the opposite one. A test starts it on :0 like main does.
type app struct {
	role     string
	log      zerolog.Logger
	sys      *actors.System
	traces   *trace.Tracer // nil: nothing is traced
	registry *prometheus.Registry
	nats     *natsd.Server
	gateway  *gatewaySide
	worker   *workerSide
	vendors  []io.Closer        // of the providers that are asked now
	faulty   *faulty.Server     // nil unless faults are enabled
	faults   *fault.Set         // likewise
	unwatch  context.CancelFunc // no more looks how hard pressed the process is
}

// gatewaySide is the gateway's tree with its bus and its listeners.
type gatewaySide struct {
	bus    *bus.Bus
	actors *actors.Gateway
	server *transport.Server
}

// workerSide is the worker's tree with its bus, and the operators' port where a
// worker on its own has one.
type workerSide struct {
	bus     *bus.Bus
	out     *bus.Outgoing
	actors  *actors.Worker
	service *bus.Service      // what it tells who asks which workers there are
	server  *transport.Server // nil in serve, and without http.admin_listen
	ended   bool
}

// outgoingBytes bounds the events of one worker that wait for the bus.
const outgoingBytes = 64 << 20

// newApp builds and starts everything; what fails leaves nothing behind.
func newApp(ctx context.Context, o appOptions) (_ *app, err error) {
	a := &app{role: o.Role, log: o.Log, registry: prometheus.NewRegistry()}
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.traces, err = trace.New(trace.Options{Config: o.Config.Traces, Role: o.Role, Version: o.Version, Log: o.Log, Registry: a.registry})
	if err != nil {
		return nil, err
	}
	metrics := actors.NewMetrics(a.registry)
	if a.faults, err = newFaults(o, metrics); err != nil {
		return nil, err
	}
	a.sys = actors.NewSystem(actors.SystemOptions{Log: o.Log, Metrics: metrics, Inject: o.Inject, Faults: a.faults, Trace: a.traces})
	if a.traces != nil {
		a.sys.Go("trace export", a.traces.Run)
	}
	defer func() {
		if err != nil {
			a.stop(ctx)
		}
	}()
	if o.Role == roleServe && o.Config.Bus.URL == "" {
		o.Nats.Log = o.Log
		if a.nats, err = natsd.Start(o.Nats); err != nil {
			return nil, err
		}
	}
	if o.Role != roleGateway {
		if err = a.startWorker(ctx, o); err != nil {
			return nil, err
		}
	}
	if o.Role != roleWorker {
		if err = a.startGateway(ctx, o); err != nil {
			return nil, err
		}
	}
	registerBus(a.registry, a.buses)
	a.registerFleet()
	a.watchPressure(o)
	return a, nil
}

// watchPressure begins to look how hard pressed the process is, when all are
// there who want to know.
func (a *app) watchPressure(o appOptions) {
	var watch context.Context
	watch, a.unwatch = context.WithCancel(context.Background())
	if o.Strain == nil {
		o.Strain = pressure.NewRuntime()
	}
	if a.gateway != nil {
		a.sys.OnRelief(a.gateway.server.CutSlowest)
	}
	a.sys.WatchPressure(watch, o.Config.Overload, o.Strain)
}

// connect opens one connection to the bus, embedded or external.
func (a *app) connect(o appOptions, name string, up, down func()) (*bus.Bus, error) {
	options := bus.Options{Name: "troupe-" + name, Log: o.Log.With().Str("role", name).Logger(), OnUp: up, OnDown: down, Saboteur: saboteurOf(a.faults, name)}
	if a.nats != nil {
		options.InProcess = a.nats
	}
	return bus.Connect(o.Config.Bus, options)
}

func (a *app) startWorker(ctx context.Context, o appOptions) error {
	if o.Config.Faults.Enabled {
		server, err := faulty.New(faulty.Options{Keyless: true, Go: a.sys.Go})
		if err != nil {
			return err
		}
		a.faulty = server
		a.log.Warn().Msg("Faults are enabled: providers of type faulty fail as their models' names say; this is for tests")
	}
	setups, vendors, err := a.providers(o.Config)
	if err != nil {
		return err
	}
	a.vendors = vendors
	w := &workerSide{}
	a.worker = w
	tree := &busWatcher{}
	if w.bus, err = a.connect(o, roleWorker, tree.up, tree.down); err != nil {
		return err
	}
	w.out = bus.NewOutgoing(w.bus, outgoingBytes)
	w.actors, err = actors.NewWorker(a.sys, w.bus, w.out, o.Log, actors.WorkerOptions{
		Version: o.Version, Worker: o.Config.Worker, Runs: o.Config.Runs, Providers: setups,
	})
	if err != nil {
		return err
	}
	if _, err = w.bus.ListenControl(w.actors.ID(), w.actors.OnControl); err != nil {
		return err
	}
	if err = w.actors.Start(); err != nil {
		return err
	}
	tree.watch(w.actors, w.bus.Connected)
	if _, err = w.bus.ListenBeats(w.actors.Heard); err != nil {
		return err
	}
	if w.service, err = w.bus.Announce(bus.Announcement{ID: w.actors.ID(), Version: o.Version, Load: w.actors.Load}); err != nil {
		return err
	}
	if o.Role != roleWorker || o.Config.HTTP.AdminListen == "" {
		return nil
	}
	w.server, err = transport.NewOperator(transport.OperatorOptions{
		HTTP: o.Config.HTTP, WebSocket: o.Config.WebSocket, Worker: w.actors, Log: o.Log, Tree: actors.NewTree(a.sys, a.role, nil), Registry: a.registry, Version: o.Version, Faults: faultDesk(a.faults),
	})
	if err != nil {
		return err
	}
	return w.server.Start(ctx)
}

func (a *app) startGateway(ctx context.Context, o appOptions) error {
	g := &gatewaySide{}
	a.gateway = g
	tree := &busWatcher{} // the bus may come up before the tree that wants to know
	var err error
	if g.bus, err = a.connect(o, roleGateway, tree.up, tree.down); err != nil {
		return err
	}
	c := o.Config
	g.actors = actors.NewGateway(a.sys, g.bus, o.Log, actors.GatewayConfig{
		Version: o.Version, Pool: c.Pool, Chat: c.Chat, Runs: c.Runs, Live: liveConfig(c),
	})
	if err = g.actors.Start(); err != nil {
		return err
	}
	tree.watch(g.actors, g.bus.Connected)
	if _, err = g.bus.ListenGateway(g.actors.ID(), g.actors); err != nil {
		return err
	}
	if _, err = g.bus.ListenBeats(g.actors.Heard); err != nil {
		return err
	}
	if a.nats == nil {
		g.actors.Meet(ctx)
	}
	g.server, err = transport.New(transport.Options{
		HTTP: c.HTTP, WebSocket: c.WebSocket, Gateway: front{g.actors}, Tree: actors.NewTree(a.sys, a.role, g.actors), Log: o.Log, Registry: a.registry, Version: o.Version, Faults: faultDesk(a.faults),
	})
	if err != nil {
		return err
	}
	return g.server.Start(ctx)
}

// front joins transport and actors, which do not know each other.
type front struct{ *actors.Gateway }

// Open implements transport.Gateway.
func (f front) Open(s transport.Socket, c protocol.Client) transport.Session {
	return f.Gateway.Open(s, c)
}

// liveConfig is the part of the configuration that a gateway can swap.
func liveConfig(c *config.Config) actors.Live {
	types := make(map[string]string, len(c.Providers))
	for name, p := range c.Providers {
		if p.Type != provider.TypeFaulty || c.Faults.Enabled {
			types[name] = p.Type
		}
	}
	return actors.Live{Limits: c.Limits, DefaultProvider: c.DefaultProvider, Providers: types, Products: c.Products}
}

// providers builds every provider of a configuration, or none.
func (a *app) providers(c *config.Config) (_ map[string]actors.ProviderSetup, vendors []io.Closer, err error) {
	defer func() {
		if err != nil {
			_ = closeAll(vendors)
		}
	}()
	setups := make(map[string]actors.ProviderSetup, len(c.Providers))
	deps := provider.Deps{Log: a.log}
	if a.faulty != nil {
		deps.FaultyURL = a.faultyURL
	}
	for name, p := range c.Providers {
		if p.Type == provider.TypeFaulty {
			if a.faulty == nil {
				continue
			}
			p.Discover = true // it lists how it can fail
		}
		made, err := provider.New(name, p, deps)
		if err != nil {
			return nil, vendors, fmt.Errorf("providers.%s: %w", name, err)
		}
		if vendor, ok := made.(io.Closer); ok {
			vendors = append(vendors, vendor)
		}
		setups[name] = actors.ProviderSetup{Config: p, Provider: made, State: provider.State(p)}
	}
	return setups, vendors, nil
}

// faultyURL is where a client of this wire asks the faulty vendor.
func (a *app) faultyURL(wire string) string {
	switch wire {
	case provider.TypeAnthropic:
		return a.faulty.BaseURL(faulty.Anthropic)
	case provider.TypeGemini:
		return a.faulty.BaseURL(faulty.Gemini)
	}
	return a.faulty.BaseURL(faulty.OpenAI)
}

// closeAll lets go of the idle connections of providers; answers that stream go
// on.
func closeAll(vendors []io.Closer) error {
	var errs []error
	for _, v := range vendors {
		errs = append(errs, v.Close())
	}
	return errors.Join(errs...)
}

// reload swaps what can change live. Everything is checked before anything is
// swapped. What is replaced is forgotten, its keys too.
func (a *app) reload(c *config.Config) error {
	setups, vendors, err := a.providers(c)
	if err != nil {
		return err
	}
	if server := a.server(); server != nil {
		if _, err := server.Reload(c.HTTP); err != nil {
			_ = closeAll(vendors) // nothing was asked of them
			return err
		}
	}
	a.sys.SetPressure(c.Overload)
	if a.gateway != nil {
		a.gateway.actors.Reload(liveConfig(c))
	}
	if a.worker != nil {
		a.worker.actors.Reload(setups)
	}
	_ = closeAll(a.vendors)
	a.vendors = vendors
	return nil
}

// failed delivers the error that ends the process.
func (a *app) failed() (tree <-chan error, listeners <-chan error) {
	if server := a.server(); server != nil {
		listeners = server.Failed()
	}
	return a.sys.Fatal(), listeners
}

// server is the one that listens in this process, or nil: a worker needs none.
func (a *app) server() *transport.Server {
	if a.gateway != nil {
		return a.gateway.server
	}
	return a.worker.server
}

// addr is where clients connect.
func (a *app) addr() net.Addr { return a.gateway.server.Addrs()[0] }

func (a *app) buses() []*bus.Bus {
	var all []*bus.Bus
	if a.gateway != nil && a.gateway.bus != nil {
		all = append(all, a.gateway.bus)
	}
	if a.worker != nil && a.worker.bus != nil {
		all = append(all, a.worker.bus)
	}
	return all
}
