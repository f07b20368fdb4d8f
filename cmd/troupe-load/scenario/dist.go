package scenario

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Kinds of distributions.
const (
	distUniform   = iota // from a to b; a fixed value where they are equal
	distExp              // mean a
	distLogNormal        // median a, sigma b
)

// spreadMost is how many means or medians a drawn value may reach: no single draw
// shall outlast a run.
const spreadMost = 50

const distHelp = `%q is no distribution; write a value (%[2]s), a range (%[2]s..%[3]s), exp(%[2]s) by its mean, or lognormal(%[2]s, 0.8) by its median and sigma`

// dist is a distribution of durations, in seconds, or of counts.
type dist struct {
	kind  int
	a, b  float64
	timed bool
}

// Durations are drawn from a distribution.
type Durations struct{ dist }

// Counts are drawn from a distribution.
type Counts struct{ dist }

// FixedCount always draws n.
func FixedCount(n int) Counts { return Counts{uniform(float64(n), float64(n), false)} }

func uniform(a, b float64, timed bool) dist { return dist{kind: distUniform, a: a, b: b, timed: timed} }

// Draw returns one value. It is never negative.
func (d Durations) Draw(r *rand.Rand) time.Duration {
	return time.Duration(d.draw(r) * float64(time.Second))
}

// Draw returns one value, rounded. It is never negative.
func (c Counts) Draw(r *rand.Rand) int { return int(math.Round(c.draw(r))) }

func (d dist) draw(r *rand.Rand) float64 {
	switch d.kind {
	case distExp:
		return min(d.a*r.ExpFloat64(), d.a*spreadMost)
	case distLogNormal:
		return min(d.a*math.Exp(d.b*r.NormFloat64()), d.a*spreadMost)
	default:
		return d.a + (d.b-d.a)*r.Float64()
	}
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *Durations) UnmarshalYAML(n *yaml.Node) error { return d.read(n, true) }

// UnmarshalYAML implements yaml.Unmarshaler.
func (c *Counts) UnmarshalYAML(n *yaml.Node) error { return c.read(n, false) }

// MarshalYAML implements yaml.Marshaler.
func (d dist) MarshalYAML() (any, error) { return d.String(), nil }

// String is how it is written in YAML.
func (d dist) String() string {
	switch {
	case d.kind == distExp:
		return "exp(" + d.one(d.a) + ")"
	case d.kind == distLogNormal:
		return "lognormal(" + d.one(d.a) + ", " + strconv.FormatFloat(d.b, 'g', -1, 64) + ")"
	case d.a == d.b:
		return d.one(d.a)
	}
	return d.one(d.a) + ".." + d.one(d.b)
}

func (d dist) one(v float64) string {
	if d.timed {
		return time.Duration(math.Round(v * float64(time.Second))).String()
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func (d *dist) read(n *yaml.Node, timed bool) error {
	parsed, ok := parseDist(n.Value, timed)
	if n.Kind != yaml.ScalarNode || !ok {
		if timed {
			return fmt.Errorf(distHelp, n.Value, "500ms", "2s")
		}
		return fmt.Errorf(distHelp, n.Value, "20", "60")
	}
	*d = parsed
	return nil
}

func parseDist(text string, timed bool) (d dist, ok bool) {
	d.timed = timed
	text = strings.TrimSpace(text)
	if inside, found := call(text, "exp"); found {
		d.kind = distExp
		d.a, ok = parseOne(inside, timed)
		return d, ok
	}
	if inside, found := call(text, "lognormal"); found {
		d.kind = distLogNormal
		median, sigma, two := strings.Cut(inside, ",")
		var err error
		d.b, err = strconv.ParseFloat(strings.TrimSpace(sigma), 64)
		d.a, ok = parseOne(median, timed)
		return d, ok && two && err == nil && d.b >= 0 && d.b <= 5
	}
	low, high, two := strings.Cut(text, "..")
	if !two {
		high = low
	}
	var ok2 bool
	d.a, ok = parseOne(low, timed)
	d.b, ok2 = parseOne(high, timed)
	return d, ok && ok2 && d.a <= d.b
}

// call returns what stands between the parentheses of name(…).
func call(text, name string) (inside string, ok bool) {
	inside, ok = strings.CutPrefix(text, name+"(")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(inside, ")")
}

func parseOne(text string, timed bool) (float64, bool) {
	text = strings.TrimSpace(text)
	if timed {
		d, err := parseDuration(text)
		return d.Seconds(), err == nil
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && n >= 0 && n <= 1e6
}
