package pressure

import (
	"errors"
	"fmt"
	"time"
)

// Config holds the thresholds of one process.
type Config struct {
	Enabled bool          `koanf:"enabled" doc:"refuse work in stages before memory or time runs out; off: nothing is measured"`
	Memory  []int         `koanf:"memory" doc:"percent of GOMEMLIMIT that live memory takes at the beginning of stages 1, 2 and 3; [] = memory plays no part, as without GOMEMLIMIT"`
	Lag     time.Duration `koanf:"lag" doc:"scheduling lag at the beginning of stage 1; stage 2 begins at twice, stage 3 at four times of it; 0 = lag plays no part"`
}

// Default returns the thresholds of a deployment that says nothing.
func Default() Config {
	return Config{Enabled: true, Memory: []int{80, 90, 95}, Lag: 50 * time.Millisecond}
}

// Validate reports every problem at once, each under its configuration key.
func (c Config) Validate() error {
	var problems []error
	if n := len(c.Memory); n != 0 && n != stages {
		problems = append(problems, fmt.Errorf("overload.memory: %v is not allowed: give three percentages, as in [80, 90, 95], or []", c.Memory))
	} else if n == stages && !(0 < c.Memory[0] && c.Memory[0] < c.Memory[1] && c.Memory[1] < c.Memory[2] && c.Memory[2] <= 100) {
		problems = append(problems, fmt.Errorf("overload.memory: %v is not allowed: each stage begins above the one before, between 1 and 100", c.Memory))
	}
	if c.Lag < 0 || c.Lag > 0 && c.Lag < leastLag || c.Lag > mostLag {
		problems = append(problems, fmt.Errorf("overload.lag: %v is not allowed: give %v to %v, or 0 to leave it aside", c.Lag, leastLag, mostLag))
	}
	return errors.Join(problems...)
}

// Bounds of Config.Lag. Below the least the ordinary work of a processor is
// pressure; beyond the most clients have gone before anything happens.
const (
	leastLag = 5 * time.Millisecond
	mostLag  = 5 * time.Second
)

// memoryStage is where a reading stands, with thresholds that are lower by so
// many points, though by half at most: none is so low that nothing is below it.
func (c Config) memoryStage(r Reading, points int) (at Stage) {
	if r.Limit == 0 {
		return Calm
	}
	used := r.MemoryShare() * 100
	for i, threshold := range c.Memory {
		if used >= float64(threshold-min(points, threshold/2)) {
			at = Stage(i + 1)
		}
	}
	return at
}

// lagStage is the same of the lag; part is of how many hundredths of the
// thresholds.
func (c Config) lagStage(r Reading, part int) Stage {
	if c.Lag == 0 {
		return Calm
	}
	first := c.Lag * time.Duration(part) / 100
	switch {
	case r.Lag >= 4*first:
		return NoSlowReaders
	case r.Lag >= 2*first:
		return NoConnections
	case r.Lag >= first:
		return NoQuestions
	}
	return Calm
}
