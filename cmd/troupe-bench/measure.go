package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// step is one side of one suite in one round.
type step struct {
	round int
	suite suite
	side  side
}

// String is how progress names it.
func (s step) String() string { return s.suite.name + ", " + s.side.name }

// steps are all of them in their order. Sides take turns, and who goes first
// changes with the round.
func steps(p plan, chosen []suite) []step {
	var out []step
	for round := range p.rounds {
		for _, s := range chosen {
			if round >= s.rounds(p) {
				continue
			}
			for i := range s.sides {
				out = append(out, step{round, s, s.sides[(round+i)%len(s.sides)]})
			}
		}
	}
	return out
}

// attempts is how often a side is measured at most in a round.
const attempts = 3

// measure runs the chosen suites and returns what they read. A side that met a
// refusal, as a machine busy with other things provokes them, is measured anew,
// and the table says so. A suite that fails otherwise, by a lost text above all,
// is left out of the rounds that follow, and the others go on.
func measure(ctx context.Context, p plan, chosen []suite, binary, socket string, progress io.Writer) (*table, error) {
	t := newTable(p)
	left := newForecast(steps(p, chosen))
	for i, s := range steps(p, chosen) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if t.failed[s.suite.name] != nil {
			continue
		}
		fmt.Fprintf(progress, "round %d/%d: %s%s\n", s.round+1, p.rounds, s, left.says(i))
		began := time.Now()
		var got readings
		var err error
		for range attempts {
			got, err = s.run(ctx, &lab{plan: p, binary: binary, socket: socket})
			var refused refusal
			if !errors.As(err, &refused) {
				break
			}
			t.repeat(s.String(), refused)
			fmt.Fprintf(progress, "%s: %v, once more\n", s, refused)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", s, err)
			t.fail(s.suite.name, err)
			fmt.Fprintln(progress, "failed:", err)
			continue
		}
		left.took(s, time.Since(began))
		t.add(s.round, got)
	}
	return t, nil
}

// run measures in a lab that ends with it.
func (s step) run(ctx context.Context, l *lab) (readings, error) {
	defer l.close()
	return s.side.run(ctx, l)
}

// trouble is the failures of a table as one error.
func (t *table) trouble() error {
	var all []error
	for _, s := range suites() {
		all = append(all, t.failed[s.name])
	}
	return errors.Join(all...)
}

// forecast guesses how long the rest takes from how long the same took before.
type forecast struct {
	steps []step
	known map[string]time.Duration
}

func newForecast(all []step) *forecast {
	return &forecast{steps: all, known: map[string]time.Duration{}}
}

func (f *forecast) took(s step, d time.Duration) { f.known[s.String()] = d }

// says what is left from step i on. A step that was never seen is guessed to be
// like those that were.
func (f *forecast) says(i int) string {
	if len(f.known) == 0 {
		return fmt.Sprintf(", step %d of %d", i+1, len(f.steps))
	}
	var all, sum time.Duration
	for _, d := range f.known {
		all += d
	}
	for _, s := range f.steps[i:] {
		d, ok := f.known[s.String()]
		if !ok {
			d = all / time.Duration(len(f.known))
		}
		sum += d
	}
	return fmt.Sprintf(", about %s left", sum.Round(time.Second))
}
