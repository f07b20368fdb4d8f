package pressure

import "time"

// Stage is how hard pressed a process is. Each stage includes those below it.
type Stage uint8

// The stages, by what is refused.
const (
	Calm          Stage = iota
	NoQuestions         // no new questions; those that run go on
	NoConnections       // no new connections
	NoSlowReaders       // the slowest readers are cut
)

const stages = 3 // above Calm

// Cause is what presses.
type Cause string

// The causes.
const (
	Memory Cause = "memory"
	Lag    Cause = "lag"
)

// Reading is what one look at the process saw.
type Reading struct {
	Memory uint64        // bytes in use that no collection would free
	Limit  uint64        // GOMEMLIMIT; 0 = there is none
	Lag    time.Duration // how long what is ready to run waits until it runs
}

// MemoryShare is the part of the limit that is in use; 0 without a limit.
func (r Reading) MemoryShare() float64 {
	if r.Limit == 0 {
		return 0
	}
	return float64(r.Memory) / float64(r.Limit)
}

// Verdict is the outcome of a look.
type Verdict struct {
	Stage   Stage
	Why     Cause     // what brought the stage about, or keeps it now; empty while calm
	Since   time.Time // when the stage last changed
	Reading Reading   // the last one
	Changed bool      // by this look
}

// How long what is read has to be so before it is believed. A live heap that
// was just measured is no passing thing, so the second look is enough; one slow
// moment of a scheduler is: a neighbour's burst, a page that had to be read.
const (
	memoryHold = 200 * time.Millisecond
	lagHold    = 1500 * time.Millisecond
	// calmHold is before each stage down: from 3 to 0 in two seconds. What is
	// refused for longer than needed is lost, too.
	calmHold = 500 * time.Millisecond
)

// Below which thresholds a stage is left: lower than those of its beginning, or
// a process that stands right on one would go in and out with every look.
const (
	calmPoints  = 5  // of memory's percent, less
	calmPercent = 75 // of the lag
)

// longPause is from when looks are too far apart to belong together: the
// process stood still, and what it read says nothing about now.
const longPause = 10 * time.Second

// Judge remembers what was read. The zero value is of no use: see NewJudge. It
// is for one goroutine.
type Judge struct {
	cfg     Config
	verdict Verdict
	memory  streak
	lag     streak
	loud    time.Time // when the present stage was last still justified
	last    time.Time
}

// NewJudge returns a judge that is calm.
func NewJudge(c Config) *Judge { return &Judge{cfg: c} }

// SetConfig takes other thresholds; what was read counts by them from the next
// look on.
func (j *Judge) SetConfig(c Config) { j.cfg = c }

// Look judges one reading. Call it a few times a second; times never go back.
func (j *Judge) Look(now time.Time, r Reading) Verdict {
	if now.Sub(j.last) > longPause {
		j.memory, j.lag, j.loud = streak{}, streak{}, now
	}
	j.last = now
	j.verdict.Reading, j.verdict.Changed = r, false
	memory := j.memory.held(now, j.cfg.memoryStage(r, 0), memoryHold)
	lag := j.lag.held(now, j.cfg.lagStage(r, 100), lagHold)
	switch at := max(memory, lag); {
	case at > j.verdict.Stage:
		why := Lag
		if memory == at {
			why = Memory
		}
		j.move(now, at, why)
	case j.justified(r, memory, lag):
		j.loud = now
	case now.Sub(j.loud) >= calmHold:
		j.move(now, j.verdict.Stage-1, j.verdict.Why)
	}
	return j.verdict
}

// justified tells whether the stage stands. Only the cause that brought it has to
// fall below lower thresholds; the other one keeps it where it would have brought
// it by itself, and is the cause from then on.
func (j *Judge) justified(r Reading, memory, lag Stage) bool {
	switch j.verdict.Why {
	case Memory:
		memory = max(memory, j.cfg.memoryStage(r, calmPoints))
	case Lag:
		lag = max(lag, j.cfg.lagStage(r, calmPercent))
	default: // calm
		return true
	}
	switch stage := j.verdict.Stage; {
	case memory < stage && lag < stage:
		return false
	case lag < stage:
		j.verdict.Why = Memory
	case memory < stage:
		j.verdict.Why = Lag
	}
	return true
}

func (j *Judge) move(now time.Time, to Stage, why Cause) {
	if to == Calm {
		why = ""
	}
	j.verdict.Stage, j.verdict.Why, j.verdict.Since, j.verdict.Changed = to, why, now, true
	j.loud = now
}

// streak knows since when a reading has stood at each stage or above it.
type streak struct {
	since [stages + 1]time.Time // zero = it does not
}

// held is the highest stage that has lasted for so long. It takes two looks, at
// least.
func (s *streak) held(now time.Time, at Stage, long time.Duration) (held Stage) {
	for i := NoQuestions; i <= stages; i++ {
		switch since := s.since[i]; {
		case at < i:
			s.since[i] = time.Time{}
		case since.IsZero():
			s.since[i] = now
		case now.Sub(since) >= long:
			held = i
		}
	}
	return held
}
