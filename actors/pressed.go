package actors

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/actors/pressure"
)

const (
	// pressureLook is how often a process looks how hard pressed it is.
	pressureLook = 250 * time.Millisecond
	// reliefPause is the time between two rounds of cutting slow readers: what
	// they held has to be seen to be gone first.
	reliefPause = time.Second
)

// What is shed, as the metric names it.
const (
	shedQuestion   = "question"
	shedConnection = "connection"
	shedReader     = "reader"
	shedJob        = "job"
	shedOffender   = "offender" // a connection or question of an address that broke rules again and again
)

func shedKinds() []string {
	return []string{shedQuestion, shedConnection, shedReader, shedJob, shedOffender}
}

// pressed is how hard pressed this process is, for all that lives in it. The
// zero value is calm, and stays so until something watches.
type pressed struct {
	stage   atomic.Uint32
	verdict atomic.Pointer[pressure.Verdict]
	wanted  atomic.Pointer[pressure.Config] // thresholds to take over at the next look

	mu       sync.Mutex
	changed  []func()     // guarded by mu: called after each change of stage
	relieve  []func() int // guarded by mu: cut some slow readers, and tell how many
	relieved time.Time    // of the watch alone
}

// Pressed is the last verdict about this process. It never blocks.
func (s *System) Pressed() pressure.Verdict {
	if v := s.pressed.verdict.Load(); v != nil {
		return *v
	}
	return pressure.Verdict{}
}

// pressedTo tells whether the process is at a stage or above it: one atomic
// load.
func (s *System) pressedTo(stage pressure.Stage) bool {
	return pressure.Stage(s.pressed.stage.Load()) >= stage
}

// OnPressure has do called after each change of stage, on the goroutine that
// watches; do must not block.
func (s *System) OnPressure(do func()) {
	s.pressed.mu.Lock()
	defer s.pressed.mu.Unlock()
	s.pressed.changed = append(s.pressed.changed, do)
}

// OnRelief has cut called once a second while the stage is the last one. It
// cuts some of the slowest readers and tells how many.
func (s *System) OnRelief(cut func() int) {
	s.pressed.mu.Lock()
	defer s.pressed.mu.Unlock()
	s.pressed.relieve = append(s.pressed.relieve, cut)
}

// SetPressure takes other thresholds. Nothing watches where nothing did before.
func (s *System) SetPressure(c pressure.Config) { s.pressed.wanted.Store(&c) }

// WatchPressure looks at the readings of source until ctx ends. Called once.
func (s *System) WatchPressure(ctx context.Context, c pressure.Config, source pressure.Source) {
	s.pressed.wanted.Store(&c)
	w := &pressureWatch{sys: s, source: source, judge: pressure.NewJudge(c)}
	s.every(ctx, "pressure", pressureLook, w.look)
}

// pressureWatch is what looks. Its fields are of that one goroutine.
type pressureWatch struct {
	sys    *System
	source pressure.Source
	judge  *pressure.Judge
	probe  *crewProbe // the one that is out
}

// look judges the present and carries out what follows.
func (w *pressureWatch) look(now time.Time) {
	s := w.sys
	c, r := *s.pressed.wanted.Load(), pressure.Reading{}
	if c.Enabled {
		r = w.source.Read()
		r.Lag = max(r.Lag, w.crewLag(now))
	} else {
		c = pressure.Config{} // no threshold: what stage there is ends
	}
	w.judge.SetConfig(c)
	v := w.judge.Look(now, r)
	s.pressed.verdict.Store(&v)
	s.pressed.stage.Store(uint32(v.Stage))
	s.metrics.underPressure(v)
	if v.Changed {
		s.logPressure(v)
		s.tellPressure()
	}
	if v.Stage == pressure.NoSlowReaders {
		s.relieve(now)
	}
	if v.Why == pressure.Memory {
		w.source.Freshen()
	}
}

// crewProbe is an empty part that goes through the crew's queue.
type crewProbe struct {
	out  time.Time
	took atomic.Int64 // nanoseconds; 0 = it waits
}

func (p *crewProbe) run() { p.took.Store(max(1, int64(time.Since(p.out)))) }

// crewLag is how long an actor that has something to do waits for a member of
// the crew. The scheduler knows nothing of that queue: actors are no goroutines.
func (w *pressureWatch) crewLag(now time.Time) time.Duration {
	if w.probe != nil && w.probe.took.Load() == 0 {
		return now.Sub(w.probe.out) // it still waits, and is the measure
	}
	lag := time.Duration(0)
	if w.probe != nil {
		lag = time.Duration(w.probe.took.Load())
	}
	w.probe = &crewProbe{out: now}
	w.sys.crew.enqueue(w.probe)
	return lag
}

// tellPressure calls whoever asked to hear of changes.
func (s *System) tellPressure() {
	s.pressed.mu.Lock()
	changed := s.pressed.changed
	s.pressed.mu.Unlock()
	for _, do := range changed {
		do()
	}
}

// relieve has some of the slowest readers cut, at most once in reliefPause.
func (s *System) relieve(now time.Time) {
	if now.Sub(s.pressed.relieved) < reliefPause {
		return
	}
	s.pressed.relieved = now
	s.pressed.mu.Lock()
	all := s.pressed.relieve
	s.pressed.mu.Unlock()
	for _, cut := range all {
		if n := cut(); n > 0 {
			s.shed(shedReader, n)
			s.log.Warn().Int("readers", n).Msg("Under pressure: the slowest readers are cut; they can resume")
		}
	}
}

// shed counts what was not taken, or cut.
func (s *System) shed(what string, n int) {
	s.metrics.shed.WithLabelValues(what).Add(float64(n))
}

// logPressure writes one line for a change, with the figures and what helps.
func (s *System) logPressure(v pressure.Verdict) {
	level, message, remedy := zerolog.WarnLevel, "", ""
	switch v.Stage {
	case pressure.Calm:
		level, message = zerolog.InfoLevel, "Pressure is over: everything is taken again"
	case pressure.NoQuestions:
		message = "Under pressure: no new questions"
	case pressure.NoConnections:
		message = "Under pressure: no new questions and connections"
	default:
		message = "Under pressure: no new questions and connections, and the slowest readers are cut"
	}
	switch v.Why {
	case pressure.Memory:
		remedy = "more memory and a higher GOMEMLIMIT, or less of pool.max_connections, websocket.outbox_bytes, worker.max_runs, runs.keep_bytes"
	case pressure.Lag:
		remedy = "more processors or more instances; less beside this process"
	}
	e := s.log.WithLevel(level).Int("stage", int(v.Stage)).Str("why", string(v.Why)).
		Uint64("memory", v.Reading.Memory).Uint64("memory_limit", v.Reading.Limit).
		Str("lag", v.Reading.Lag.Round(time.Millisecond).String())
	if remedy != "" {
		e = e.Str("remedy", remedy)
	}
	e.Msg(message)
}

// shedRetry is the advice to whoever is refused under pressure, in seconds. It
// grows with the stage, and not all are told the same: they would come back
// together.
func (s *System) shedRetry() int {
	stage := int(s.pressed.stage.Load())
	return 1 + stage + rand.N(stage+2)
}
