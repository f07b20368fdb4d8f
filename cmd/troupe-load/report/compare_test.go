package report

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func compared(t *testing.T, a, b *Result) (text string, worse bool) {
	t.Helper()
	var out strings.Builder
	worse, err := Compare(&out, a, b)
	require.NoError(t, err)
	return out.String(), worse
}

func TestCompareAlike(t *testing.T) {
	text, worse := compared(t, sample(1, 1), sample(1, 1))
	require.False(t, worse)
	require.NotContains(t, text, "not alike")
	require.Contains(t, text, "0 better, 0 worse")
}

func TestCompareNoise(t *testing.T) {
	_, worse := compared(t, sample(1, 1), sample(2, 1)) // another seed of the same server
	require.False(t, worse)
}

func TestCompareSlower(t *testing.T) {
	a, b := sample(1, 1), sample(2, 3)
	b.Plan += "ramp: 50\n"
	b.Machine.Cores = 8
	b.Load.Saturated, b.Load.Why = true, "95 % of its cores used"
	text, worse := compared(t, a, b)
	require.True(t, worse)
	golden(t, "compare.md", text)

	_, worse = compared(t, b, a)
	require.False(t, worse, "the other way round it became better")
}

func TestCompareNothingAnsweredIsWorse(t *testing.T) {
	b := sample(1, 1)
	b.Totals.Answered = 0
	text, worse := compared(t, sample(1, 1), b)
	require.True(t, worse)
	require.Regexp(t, `answers/s +\| +200 \| +0 \| 0.00× \| \*\*worse\*\*`, text)
}

func TestCompareConnectionsOfTheMeasuredTime(t *testing.T) {
	a, b := sample(1, 1), sample(1, 1)
	text, _ := compared(t, a, b)
	require.NotContains(t, text, "connections/s", "who comes back tells nothing")
	a.Visits, b.Visits = true, true
	b.Totals.Connections = 10_000 // the ramp's
	text, worse := compared(t, a, b)
	require.False(t, worse)
	require.Regexp(t, `connections/s +\| +10 \| +10 \| 1.00× \| same`, text)
	b.Totals.Connected = 50
	text, worse = compared(t, a, b)
	require.True(t, worse, "few are left of many")
	require.Regexp(t, `connections/s .*\*\*worse\*\*`, text)
	a.Totals.Connected = 99
	text, worse = compared(t, a, b)
	require.False(t, worse)
	require.Regexp(t, `connections/s .* too few`, text)
}

func TestJudge(t *testing.T) {
	m := measure{noise: 1}
	of := func(v float64) figure { return figure{value: v, ok: true} }
	for _, c := range []struct {
		m    measure
		a, b figure
		want string
	}{
		{m, of(100), of(109), same},
		{m, of(100), of(112), lost},
		{m, of(100), of(88), won},
		{measure{more: true}, of(100), of(112), won},
		{measure{more: true}, of(100), of(88), lost},
		{m, of(1), of(1.9), same}, // within the noise
		{m, of(0), of(5), lost},
		{m, of(100), figure{value: 200, ok: true, few: true}, few},
		{measure{more: true}, of(100), figure{value: 5, ok: true, few: true}, lost},
		{measure{more: true}, figure{value: 5, ok: true, few: true}, of(100), won},
	} {
		require.Equal(t, c.want, c.m.judge(c.a, c.b), "%v → %v", c.a, c.b)
	}
}

func TestCompareChecks(t *testing.T) {
	a := &Result{Checks: []Check{{Name: "order", OK: true}, {Name: "loss"}, {Name: "old", OK: true}}}
	b := &Result{Checks: []Check{{Name: "order"}, {Name: "loss", OK: true}, {Name: "new"}}}
	var got []string
	for _, c := range checks(a, b) {
		got = append(got, strings.Join([]string{c.name, c.before, c.after, c.verdict}, " "))
	}
	require.Equal(t, []string{"check order ✓ ✗ worse", "check loss ✗ ✓ better", "check old ✓ – –", "check new – ✗ –"}, got)
}

func TestPlans(t *testing.T) {
	require.Nil(t, plans("a: 1\nb: 2", "a: 1\nb: 2"))
	require.Equal(t, []string{"plan, only before: `a: 1`", "plan, only after: `a: 2`"}, plans("a: 1\nb: 2\n", "a: 2\nb: 2\n"))
	require.Equal(t, []string{"plan: the same lines in another order"}, plans("a\nb", "b\na"))
	many := plans(strings.Repeat("x\n", 30), "")
	require.Len(t, many, 11)
	require.Equal(t, "plan: 20 other lines", many[10])
}

func TestCompareKeepsMarkdownWhole(t *testing.T) {
	text, _ := compared(t, sample(1, 1), soiled())
	require.NotContains(t, text, "\x1b")
	text = regexp.MustCompile("`[^`\\n]*`").ReplaceAllString(text, "") // code is shown as it is
	require.NotRegexp(t, `(^|[^\\])<`, text)
	b := sample(1, 1)
	b.Checks = []Check{{Name: "a|b"}}
	text, _ = compared(t, sample(1, 1), b)
	require.Contains(t, text, `| check a\|b `)
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWritersReportTheirErrors(t *testing.T) {
	_, err := Compare(full{}, sample(1, 1), sample(1, 1))
	require.ErrorContains(t, err, "disk full")
	require.ErrorContains(t, Summary(full{}, sample(1, 1)), "disk full")
}
