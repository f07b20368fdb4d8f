package chaos

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSummaryShowsARedMarkOnce(t *testing.T) {
	r := &Result{
		Scenario: "x", Controls: ControlResult{Tried: 9, Red: 9},
		Bounds:   []BoundResult{{Name: "recovery", Want: "≤ 1s", Got: "2s", Visible: true}},
		Breaches: []Breach{{Rule: ruleBound, What: "recovery: 2s, wanted ≤ 1s"}, {Rule: "I2", Stream: 7, What: "chunk 3 is missing"}},
	}
	var b strings.Builder
	require.NoError(t, Summary(&b, r))
	require.Equal(t, 1, strings.Count(b.String(), "recovery: 2s"), b.String())
	require.Contains(t, b.String(), "✗ I2: stream 7: chunk 3 is missing\n")
	require.Contains(t, b.String(), "RED: 2 breaches,")
}
