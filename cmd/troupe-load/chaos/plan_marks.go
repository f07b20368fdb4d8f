package chaos

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

var (
	sizeText = regexp.MustCompile(`^([1-9][0-9]{0,6})(KiB|MiB|GiB)$`)
	testName = regexp.MustCompile(`^Test[A-Z][A-Za-z0-9]*$`)
)

// sizeOf reads a size like 100MiB, in bytes.
func sizeOf(text string) (float64, error) {
	m := sizeText.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q is no size; write it like 16KiB, 100MiB or 2GiB", text)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	return n * map[string]float64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[m[2]], err
}

// graceKey is the setting of troupe that clears_grace is held to.
const graceKey = "runs.grace"

// grace is how long runs of the plan wait for their clients; 0 = the plan does not
// say.
func (p *Plan) grace() time.Duration {
	d, err := time.ParseDuration(p.Config[graceKey])
	if err != nil {
		return 0
	}
	return d
}

// checkMarks says what is wrong with what the plan asks for.
func (p *Plan) checkMarks() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if p.Memory != "" {
		if _, err := sizeOf(p.Memory); err != nil {
			bad("memory: %w", err)
		}
	}
	for i, name := range p.Tests {
		if !testName.MatchString(name) {
			bad("tests[%d]: %q is not the name of a Go test, like TestMemoryCeiling", i, name)
		}
	}
	if w := since(p.Expect.ClearsGrace); w > 0 && (p.grace() == 0 || w < p.grace()) {
		bad("expect.clears_grace: give config.%s, and a bound that is not below it", graceKey)
	}
	for i, m := range p.Expect.Metrics {
		if m.Name == "" || m.Step < 0 || m.Step >= len(p.Steps) {
			bad("expect.metrics[%d]: needs a name, and a step from 0 to %d", i, len(p.Steps)-1)
		}
		for _, bound := range []scenario.Duration{m.Within, m.Back} {
			if least := 3 * markEvery; bound != 0 && since(bound) < least {
				bad("expect.metrics[%d]: %s is finer than can be told: figures are read every %s, so give %s at least", i, bound, markEvery, least)
			}
		}
	}
	for i, f := range p.Expect.Figures {
		if f.Name == "" || f.Least == nil && f.Most == nil {
			bad("expect.figures[%d]: needs a name, and least or most", i)
		}
	}
	for i, l := range p.Expect.Log {
		if l.Says == "" || l.Least == 0 && l.Most == 0 {
			bad("expect.log[%d]: needs says, and least or most", i)
		}
	}
	return errors.Join(append(errs, checkEnds("expect.retry_after", p.Expect.RetryAfter))...)
}

// checkMarks says what is wrong with what the step asks for by itself.
func (s *Step) checkMarks(path string) error {
	switch {
	case (s.Ends > 0 || s.NotReady > 0) && s.Terminate == "":
		return fmt.Errorf("%s: ends and not_ready are of terminate alone", path)
	case s.Hits > 0 && s.Inject == "":
		return fmt.Errorf("%s.hits: only an injection hits", path)
	case (s.Memory != "" || s.Recovers) && s.Clients == "":
		return fmt.Errorf("%s: memory and recovers are of clients alone", path)
	case s.Memory != "":
		if _, err := sizeOf(s.Memory); err != nil {
			return fmt.Errorf("%s.memory: %w", path, err)
		}
	}
	return nil
}
