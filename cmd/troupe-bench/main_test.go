package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBadUsage(t *testing.T) {
	for _, args := range [][]string{{"-only", "nothing like it"}, {"extra"}, {"-unknown"}, {"-reader", "both"}, {"run-nothing"}} {
		require.Error(t, run(t.Context(), args, io.Discard, io.Discard), args)
	}
}

func TestParseSeries(t *testing.T) {
	got, err := parseSeries(strings.NewReader("# HELP a b\na 1.5e+06\nb{x=\"y\"} 2\nc 3\n"))
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"a": 1.5e6, "c": 3}, got)
	_, err = parseSeries(strings.NewReader("a x\n"))
	require.ErrorContains(t, err, "metric a")
}

// TestSteps: sides take turns, who goes first changes, and suites that want
// fewer rounds get them.
func TestSteps(t *testing.T) {
	p := plan{rounds: 3}
	pair := suite{name: "pair", sides: []side{{name: "a"}, {name: "b"}}}
	single := suite{name: "single", sides: []side{{name: "c"}}, times: once}
	var got []string
	for _, s := range steps(p, []suite{pair, single}) {
		got = append(got, s.side.name)
	}
	require.Equal(t, []string{"a", "b", "c", "b", "a", "a", "b"}, got)
	require.Equal(t, 1, suite{times: fewer}.rounds(plan{rounds: 1}))
	require.Equal(t, 3, suite{times: fewer}.rounds(plan{rounds: 5}))
}

func TestForecast(t *testing.T) {
	all := steps(plan{rounds: 2}, []suite{{name: "s", sides: []side{{name: "a"}, {name: "b"}}}})
	f := newForecast(all)
	require.Equal(t, ", step 1 of 4", f.says(0))
	f.took(all[0], 3*time.Second)
	require.Equal(t, ", about 9s left", f.says(1), "b was never seen, it may be like a")
	f.took(all[1], 5*time.Second)
	require.Equal(t, ", about 8s left", f.says(2))
	require.Equal(t, ", about 3s left", f.says(3), "a comes last in the second round")
}

// TestMeasureRepeatsRefusals: a refusal is another try, anything else the end of
// the suite, and the others go on.
func TestMeasureRepeatsRefusals(t *testing.T) {
	var tries, calls, losses int
	chosen := []suite{
		{name: "delay", sides: []side{{"now and then", func(context.Context, *lab) (readings, error) {
			if tries++; tries%2 == 1 {
				return nil, fmt.Errorf("wrapped: %w", refusal{"OVERLOADED"})
			}
			return readings{serveEcho: float64(tries)}, nil
		}}}},
		{name: "churn", sides: []side{{"always", func(context.Context, *lab) (readings, error) {
			calls++
			return nil, refusal{"WORKER_LOST"}
		}}}},
		{name: "growth", sides: []side{{"loss", func(context.Context, *lab) (readings, error) {
			losses++
			return nil, errors.New("a word is lost")
		}}}},
	}
	var progress, out strings.Builder
	tb, err := measure(t.Context(), plan{rounds: 2}, chosen, "", "", &progress)
	require.NoError(t, err)
	require.Equal(t, []float64{2, 4}, tb.of(serveEcho))
	require.Equal(t, attempts, calls)
	require.Equal(t, 1, losses)
	require.ErrorContains(t, tb.trouble(), "churn, always: the server answered with WORKER_LOST")
	require.ErrorContains(t, tb.trouble(), "growth, loss: a word is lost")
	require.NoError(t, tb.print(&out))
	require.Contains(t, out.String(), "Measured anew because questions were refused: delay, now and then (OVERLOADED), churn, always (WORKER_LOST)")
	require.Contains(t, progress.String(), "round 2/2: delay, now and then")

	over, stop := context.WithCancel(t.Context())
	stop()
	_, err = measure(over, plan{rounds: 1}, chosen, "", "", &progress)
	require.ErrorIs(t, err, context.Canceled)
}

// TestEachHidesNoLoss: a loss among refusals is what is told.
func TestEachHidesNoLoss(t *testing.T) {
	lost := errors.New("a word is lost")
	var all sync.WaitGroup
	all.Add(8)
	err := each(8, 8, func(i int) error {
		all.Done()
		all.Wait() // nobody begins after an error: all begin before one
		if i == 7 {
			return lost
		}
		return refusal{"OVERLOADED"}
	})
	require.ErrorIs(t, err, lost)
	require.False(t, errors.As(err, new(refusal)))
	require.ErrorAs(t, each(2, 1, func(int) error { return refusal{"OVERLOADED"} }), new(refusal))
	require.NoError(t, each(2, 1, func(int) error { return nil }))
}
