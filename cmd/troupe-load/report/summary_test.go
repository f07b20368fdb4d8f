package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func summed(t *testing.T, r *Result) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, Summary(&out, r))
	return out.String()
}

func TestSummary(t *testing.T) {
	golden(t, "summary_passed.txt", summed(t, sample(1, 1)))

	r := sample(1, 3)
	r.Load.Saturated, r.Load.Why = true, "95 % of its cores used"
	r.Server.Note = "memory is missing: the server does not tell it"
	for i := range 5 {
		r.Errors = append(r.Errors, ErrorCount{Code: strings.Repeat("x", i+1), Count: 1})
	}
	text := summed(t, r)
	golden(t, "summary_failed.txt", text)
	require.LessOrEqual(t, strings.Count(text, "\n"), 24, "it fits a screen")
}

func TestSummaryOfNothing(t *testing.T) {
	require.Contains(t, summed(t, &Result{}), "✓ DONE, with no checks")
}

func TestSummaryIsFreeOfControls(t *testing.T) {
	text := summed(t, soiled())
	require.NotContains(t, text, "\x1b")
	require.NotContains(t, text, "\u202e")
}
