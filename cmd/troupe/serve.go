package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport"
)

// serve runs one role until ctx ends, then drains it.
func serve(ctx context.Context, p serveParams) error {
	a, err := newApp(ctx, appOptions{Role: p.Role, Config: capConnections(p.Config, p.Log), Log: p.Log, Version: p.Version})
	if err != nil {
		return err
	}
	welcome(p.Stdout, a, p)
	p.Log.Info().Str("role", p.Role).Str("version", p.Version).Msg("Troupe started")
	if !collectorIsTuned() {
		a.sys.Go("spare memory", func() { newSparing(p.Log).run(ctx) })
	}
	err = live(ctx, a, p)

	timeout := p.Config.Worker.DrainTimeout
	p.Log.Info().Dur("timeout", timeout).Msg("Draining")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	a.drain(drain)
	a.flushTraces(drain)
	a.stop(ctx)
	p.Log.Info().Msg("Troupe stopped")
	return err
}

// live waits for the end and reloads on SIGHUP meanwhile.
func live(ctx context.Context, a *app, p serveParams) error {
	tree, listeners := a.failed()
	running := p.Config
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-tree:
			return err
		case err := <-listeners:
			return err
		case <-p.Hangup:
			running = reload(a, p, running)
		}
	}
}

// reload swaps what can change live, all or nothing, and says what cannot.
func reload(a *app, p serveParams, running *config.Config) *config.Config {
	wanted, err := p.Reload()
	if err != nil {
		p.Log.Error().Err(err).Msg("Reload refused: the running configuration stays")
		return running
	}
	changed, _ := config.Diff(running, wanted)
	_, fixed := config.Diff(p.Config, wanted) // what started is what a restart is needed from
	if err := a.reload(wanted); err != nil {
		p.Log.Error().Err(err).Msg("Reload refused: the running configuration stays")
		return running
	}
	if level, err := zerolog.ParseLevel(wanted.Log.Level); err == nil {
		p.SetLevel(level)
	}
	e := p.Log.Info().Strs("changed", changed)
	if len(fixed) > 0 {
		e = e.Strs("needs_restart", fixed)
	}
	e.Msg("Configuration reloaded")
	return wanted
}

// What may be taken beyond a drain's deadline, whatever clients, vendors and the
// bus do: less than a second in all. A worker ends while its gateways still pass
// on what it says. Each step has its share from its own beginning, so that none
// leaves the next one a clock that has run out.
const (
	shareWords = 200 * time.Millisecond // runs that must end say so
	shareStop  = 100 * time.Millisecond // a tree, or what listens, ends
	shareBus   = 150 * time.Millisecond // the bus takes what was said
)

// within runs one step of the end under a clock of its own.
func within(ctx context.Context, share time.Duration, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), share)
	defer cancel()
	return step(ctx)
}

// drain ends what lives here in order, until ctx ends: no new clients and jobs,
// live runs to their end, every client told. It returns at most 550 ms after.
func (a *app) drain(ctx context.Context) {
	if a.faults != nil {
		defer context.AfterFunc(ctx, a.faults.Close)() // what hangs on purpose does so until then
	}
	if server := a.server(); server != nil {
		server.Drain()
	}
	over := make(chan struct{})
	a.sys.Go("drain worker", func() {
		defer close(over)
		if a.worker != nil {
			a.drainWorker(ctx)
		}
	})
	if a.gateway != nil {
		a.gateway.actors.Drain(ctx)
	}
	<-over
}

// drainWorker lets runs go on until ctx ends. Then the whole worker ends, before
// the gateway here, which still passes on what its runs say last.
func (a *app) drainWorker(ctx context.Context) {
	over := make(chan struct{})
	a.sys.Go("drain runs", func() {
		defer close(over)
		a.worker.actors.Drain(ctx)
	})
	select {
	case <-over:
		return // early: who comes back for an answer may still find it
	case <-ctx.Done():
	}
	select {
	case <-over:
	case <-time.After(shareWords): // a vendor's call does not end: its run ends with the tree
	}
	a.leftovers(a.worker.end(ctx))
}

// end stops the tree, sends all that its runs said last, and says goodbye only
// then. A second call is nothing.
func (w *workerSide) end(ctx context.Context) error {
	if w.ended {
		return nil
	}
	w.ended = true
	if w.out == nil {
		return nil // it never had a word to say
	}
	if w.actors != nil {
		_ = within(ctx, shareStop, func(ctx context.Context) error { w.actors.Stop(ctx); return nil })
	}
	return within(ctx, shareBus, w.leave)
}

// leave is for a worker whose tree has ended.
func (w *workerSide) leave(ctx context.Context) error {
	err := w.out.Close(ctx)
	if w.actors != nil {
		w.actors.Leave()
	}
	if w.service != nil {
		err = errors.Join(err, w.service.Close(ctx))
	}
	return err
}

// stop ends what is left. Parts that were never started are skipped.
func (a *app) stop(ctx context.Context) {
	if a.faults != nil {
		a.faults.Close() // what hangs must not hold up the end
	}
	var errs []error
	if a.unwatch != nil {
		a.unwatch()
	}
	if g := a.gateway; g != nil {
		if g.server != nil {
			errs = append(errs, within(ctx, shareStop, g.server.Shutdown))
		}
		if g.actors != nil {
			_ = within(ctx, shareStop, func(ctx context.Context) error { g.actors.Stop(ctx); return nil })
		}
	}
	if w := a.worker; w != nil {
		errs = append(errs, w.end(ctx))
		if w.server != nil {
			errs = append(errs, within(ctx, shareStop, w.server.Shutdown))
		}
	}
	errs = append(errs, closeAll(a.vendors), within(ctx, shareBus, a.closeOutward))
	if a.faulty != nil {
		a.faulty.Close()
	}
	if a.nats != nil {
		a.nats.Shutdown()
	}
	a.leftovers(errors.Join(errs...))
}

// closeOutward closes every bus, and the way to the collector of traces, all at
// once: a server that does not answer costs each of them the whole of ctx.
func (a *app) closeOutward(ctx context.Context) error {
	closes := []func(context.Context) error{a.traces.Close}
	for _, b := range a.buses() {
		closes = append(closes, b.Close)
	}
	errs := make([]error, len(closes))
	var closing sync.WaitGroup
	for i, do := range closes {
		closing.Add(1)
		a.sys.Go("close", func() {
			defer closing.Done()
			errs[i] = do(ctx)
		})
	}
	closing.Wait()
	return errors.Join(errs...)
}

// flushMax is what traces may take of the time that a drain has left over.
const flushMax = time.Second

// flushTraces sends the spans of a drain that was over early. One that was not
// has no time left for it: stop sends what it can.
func (a *app) flushTraces(drain context.Context) {
	ctx, cancel := context.WithTimeout(drain, flushMax)
	defer cancel()
	a.leftovers(a.traces.Flush(ctx))
}

func (a *app) leftovers(err error) {
	if err != nil {
		a.log.Debug().Err(err).Msg("Stopped with leftovers")
	}
}

// descriptorReserve is kept for listeners, the bus, files and half-open
// handshakes, besides one descriptor for each run's provider call.
const descriptorReserve = 128

// capConnections keeps the pool below what the system can hold open. It changes
// a copy: what was configured stays what a reload is compared with.
func capConnections(c *config.Config, log zerolog.Logger) *config.Config {
	soft, _, err := transport.DescriptorLimit()
	if err != nil || soft == 0 {
		return c // a system without such a limit
	}
	room := connectionRoom(soft, c)
	if c.Pool.MaxConnections <= room {
		return c
	}
	log.Warn().Int("pool.max_connections", c.Pool.MaxConnections).Int("capped_to", room).Uint64("descriptors", soft).
		Msg("pool.max_connections is above what the descriptor limit allows; raise `ulimit -n`, or lower it or worker.max_runs")
	capped := *c
	capped.Pool.MaxConnections = room
	return &capped
}

// welcome tells a person what runs here and what to try.
func welcome(w io.Writer, a *app, p serveParams) {
	fmt.Fprintf(w, "troupe %s (%s)\n", p.Version, p.Role)
	if a.gateway != nil {
		for _, addr := range a.gateway.server.Addrs() {
			fmt.Fprintf(w, "  listening   %s\n", baseURL(p.Config, addr.String()))
		}
	}
	if server := a.server(); server != nil {
		if addr := server.AdminAddr(); addr != nil {
			fmt.Fprintf(w, "  operators   %s\n", baseURL(p.Config, addr.String()))
		}
		fmt.Fprintf(w, "  operators   %s\n", server.WhoMayOperate())
	}
	if p.Config.Bus.URL == "" {
		fmt.Fprintln(w, "  bus         embedded NATS, no listener")
	} else {
		fmt.Fprintf(w, "  bus         %s, prefix %s\n", bus.RedactURL(p.Config.Bus.URL), p.Config.Bus.Prefix)
	}
	if a.worker != nil {
		for _, name := range sortedNames(p.Config.Providers) {
			fmt.Fprintf(w, "  provider    %s\n", describe(name, p.Config))
		}
	}
	if a.gateway != nil {
		fmt.Fprintf(w, "  try         open %s in a browser, or: %s chat --url %s \"Hello Troupe\"\n",
			baseURL(p.Config, a.addr().String()), os.Args[0], baseURL(p.Config, a.addr().String()))
	}
}

func baseURL(c *config.Config, addr string) string {
	scheme := "http://"
	if c.HTTP.TLS.Cert != "" {
		scheme = "https://"
	}
	if rest, ok := strings.CutPrefix(addr, "[::]:"); ok {
		addr = "localhost:" + rest
	}
	return scheme + addr
}

func sortedNames(providers map[string]provider.Config) []string {
	names := make([]string, 0, len(providers))
	for name := range providers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// describe is one provider's line at the start.
func describe(name string, c *config.Config) string {
	p := c.Providers[name]
	var line string
	switch state := provider.State(p); {
	case p.Type == provider.TypeFaulty && !c.Faults.Enabled:
		line = name + ": off (for tests, by faults.enabled)"
	case state == provider.StateReady:
		line = name + ": ready"
	case p.UserKeys == provider.UserKeysRequire:
		line = name + ": needs the user's key (api_keys in the chat frame)"
	case state == provider.StateNeedsKey:
		line = name + ": needs the user's key (api_keys in the chat frame), or the deployment's in " + keyVariable(name, p.Type)
	default:
		line = name + ": " + state
	}
	if len(p.Fallback) > 0 {
		line += ", then " + strings.Join(p.Fallback, ", ")
	}
	if name == c.DefaultProvider {
		line += " (default)"
	}
	return line
}

// keyVariable is where an operator puts the deployment's key: the entries that
// are there by themselves have names that everybody knows.
func keyVariable(name, kind string) string {
	if variable := provider.KeyVariable(kind); variable != "" && name == kind {
		return variable
	}
	return config.EnvName("providers." + name + ".api_keys")
}
