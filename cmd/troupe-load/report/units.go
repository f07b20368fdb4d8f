package report

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// none stands where there is nothing to tell.
const none = "–"

// three writes a number that is not negative with three digits that count.
func three(v float64) string {
	switch {
	case v < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
}

// latency writes seconds in the unit that suits: 850 µs, 12.4 ms, 1.20 s.
func latency(seconds float64) string {
	switch {
	case math.IsNaN(seconds) || math.IsInf(seconds, 0) || seconds < 0:
		return none
	case seconds == 0:
		return "0 s"
	case seconds < 999.5e-6:
		return three(seconds*1e6) + " µs"
	case seconds < 999.5e-3:
		return three(seconds*1e3) + " ms"
	default:
		return three(seconds) + " s"
	}
}

// span writes how long something took or will take, to the second.
func span(d time.Duration) string {
	s := int64(max(d, 0).Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return two(s/60, "min", s%60, "s")
	default:
		return two(s/3600, "h", s/60%60, "min")
	}
}

// two writes an amount in two units, the second only where there is any.
func two(a int64, first string, b int64, second string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, first)
	}
	return fmt.Sprintf("%d %s %d %s", a, first, b, second)
}

// ofSeconds is a duration from a result's seconds.
func ofSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// count writes a whole number in groups of three.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// rate writes what happens in a second: a whole number, or with digits where it is small.
func rate(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0) || v < 0:
		return none
	case v == math.Trunc(v) || v >= 99.95:
		return count(int64(math.Round(v)))
	default:
		return three(v)
	}
}

// size writes bytes in powers of 1024.
func size(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return none
	}
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	if v < 999.5 {
		return strconv.FormatFloat(v, 'f', 0, 64) + " B"
	}
	v /= 1024
	for v >= 999.5 && len(units) > 1 {
		v /= 1024
		units = units[1:]
	}
	return three(v) + " " + units[0]
}

// percent writes a share.
func percent(share float64) string {
	if math.IsNaN(share) || math.IsInf(share, 0) {
		return none
	}
	return strconv.FormatFloat(share*100, 'f', 0, 64) + " %"
}

// some writes a number with its noun, in the plural where there is not just one.
func some(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}
