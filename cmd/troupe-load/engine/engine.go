package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// Options are what Run needs besides the scenario.
type Options struct {
	URL     string // ws:// or wss://
	Metrics string // address of the server's metrics; "" = /metrics on the same host, "off" = none
	Tool    string // version, for the report
	Live    func(report.Live)
}

// liveEvery is how often Options.Live is called.
const liveEvery = 250 * time.Millisecond

// Phases of a run, as the picture names them.
const (
	phaseRamp    = "connecting"
	phaseWarm    = "warming up"
	phaseMeasure = "measuring"
	phaseFinish  = "finishing"
)

// UsageError is an address, a header or a source that cannot be: the caller's
// mistake, whatever the server does.
type UsageError struct{ error }

func (e UsageError) Unwrap() error { return e.error }

// Run plays a scenario and returns what came of it. When ctx ends early, the
// result is that of what has been measured until then. An error is a UsageError,
// too many connections, a server that let nobody in, or an end before anything was
// measured.
func Run(ctx context.Context, s *scenario.Scenario, o Options) (*report.Result, error) {
	if err := raiseLimit(s.Connections); err != nil {
		return nil, err
	}
	t, err := newTarget(ctx, o.URL, s)
	if err != nil {
		return nil, err
	}
	r, err := newRun(t, s)
	if err != nil {
		return nil, err
	}
	if o.Metrics == "" {
		o.Metrics = t.http("/metrics")
	}
	p := &play{run: r, o: o, watch: newWatch(o.Metrics, s.InsecureTLS)}
	p.collector = newCollector(r, p.watch)
	return p.perform(ctx)
}

// play is one run from its first connection to its report.
type play struct {
	*run
	o         Options
	watch     *watch
	collector *collector
	before    map[string]float64
	after     map[string]float64
	phase     phaseName
	cutShort  bool // somebody ended it early
}

func (p *play) perform(ctx context.Context) (*report.Result, error) {
	if p.watch != nil {
		if _, err := p.watch.read(ctx); err != nil {
			p.collector.watch = nil
		}
	}
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	defer disconnect()
	defer context.AfterFunc(ctx, disconnect)() // whoever still connects

	background := p.lookAfter(watching)
	err := p.acts(ctx, connected)
	p.cutShort = ctx.Err() != nil
	disconnect()
	p.hangUp()
	stopWatching()
	background()
	p.collector.tick()
	if err != nil {
		return nil, err
	}
	r := p.result()
	if p.cutShort && r.Seconds == 0 {
		return nil, errors.New("nothing was measured: the run was ended before the ramp and warm_up were over; let it run longer, or shorten them")
	}
	return r, nil
}

// acts are the phases up to the last answer.
func (p *play) acts(ctx, connected context.Context) error {
	p.phase.set(phaseRamp)
	if !p.visits() {
		p.connectAll(connected)
		if err := p.anybody(); err != nil && ctx.Err() == nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	p.phase.set(phaseWarm)
	told := func() {}
	if p.plan.WarmUp == 0 { // nothing may be missed
		p.phase.set(phaseMeasure)
		p.before = p.series(ctx)
		p.collector.begin()
	}
	p.load(connected, p.clock())
	if p.waitUntil(ctx, p.from.Load()) {
		if p.plan.WarmUp > 0 {
			told = p.measure(ctx)
		}
		p.waitUntil(ctx, p.to.Load())
		p.asking.Store(false)
		p.collector.end()
		told()
		p.after = p.series(context.WithoutCancel(ctx))
	}
	p.asking.Store(false)
	p.phase.set(phaseFinish)
	p.finish(ctx)
	if p.visits() && ctx.Err() == nil {
		return p.anyVisitor()
	}
	return nil
}

// measure is where measuring begins under load: at once. The server is asked for its
// figures meanwhile, which may take longer than what is measured. told waits for
// them no longer: from then on they would be those of another time.
func (p *play) measure(ctx context.Context) (told func()) {
	p.phase.set(phaseMeasure)
	p.collector.begin()
	ctx, cancel := context.WithCancel(ctx)
	var asked group
	asked.start(func() { p.before = p.series(ctx) })
	return func() {
		cancel()
		asked.wait()
	}
}

// series reads the server's figures, where it tells them.
func (p *play) series(ctx context.Context) map[string]float64 {
	if p.collector.watch == nil {
		return nil
	}
	all, _ := p.watch.read(ctx) // the note tells why not
	return all
}

// anybody fails where no connection came to be, or none is left and none will
// come back.
func (p *play) anybody() error {
	all := p.collector.sum(nil)
	if all.connections > 0 && (all.open > 0 || p.living.Load() > 0) {
		return nil
	}
	return fmt.Errorf("none of %d connections to %s is open after the ramp: %s", p.plan.Connections, p.target.url.Redacted(), p.whyNot())
}

// anyVisitor fails where nobody came in.
func (p *play) anyVisitor() error {
	if p.collector.sum(nil).connections > 0 {
		return nil
	}
	return fmt.Errorf("none of %d visits to %s came in: %s", p.visitN.Load(), p.target.url.Redacted(), p.whyNot())
}

// whyNot is the most frequent error, where there was one.
func (p *play) whyNot() string {
	if errs := p.collector.errors(); len(errs) > 0 {
		return errs[0].Code + ": " + errs[0].Example
	}
	return "the run was too short"
}

// finish waits for what is under way.
func (p *play) finish(ctx context.Context) {
	patience := time.NewTimer(time.Duration(p.plan.Timeouts.Finish))
	defer patience.Stop()
	for p.pending.Load() > 0 {
		select {
		case <-p.idle: // perhaps of an earlier moment: the loop looks again
		case <-patience.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// lookAfter starts what happens by the clock. The function that it returns waits
// for the end of that, after ctx ended.
func (p *play) lookAfter(ctx context.Context) (wait func()) {
	var g group
	if p.collector.watch != nil {
		g.start(func() { p.watch.follow(ctx) })
	}
	g.start(func() { p.every(ctx, time.Second, func() { p.collector.tick(); p.expire() }) })
	if p.o.Live != nil {
		g.start(func() { p.every(ctx, liveEvery, p.tell) })
	}
	return g.wait
}

func (p *play) every(ctx context.Context, d time.Duration, f func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f()
		}
	}
}

// tell shows how the run stands.
func (p *play) tell() {
	totals, latencies, errs, last := p.collector.live()
	ramp := time.Duration(0)
	if p.plan.Ramp > 0 && !p.visits() {
		ramp = time.Duration(float64(p.plan.Connections) / p.plan.Ramp * float64(time.Second))
	}
	p.o.Live(report.Live{
		Scenario: p.plan.Name, URL: p.target.url.Redacted(),
		Elapsed: time.Since(p.base), Total: ramp + time.Duration(p.plan.WarmUp+p.plan.Duration),
		Phase: p.phase.get(), Last: last, Totals: totals, Latencies: latencies, Errors: errs,
		LoadBusy: last.LoadCPU / float64(cores()),
	})
}
