package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What was missed while nothing ran is explained; what was missed otherwise is not.
func TestAMachineThatStandsStillIsNobodysFault(t *testing.T) {
	for name, tt := range map[string]struct {
		stood time.Duration // before the silence; 0 = it did not
		green bool
	}{"then": {50 * time.Millisecond, true}, "long before": {time.Minute, false}, "never": {0, false}} {
		e := green()
		turn := e.Turns[0]
		from := turn.Asked.Add(20 * time.Millisecond)
		turn.Silences = append(turn.Silences, gap{from, from.Add(4 * time.Second)})
		if tt.stood > 0 {
			e.Harms = append(e.Harms, machineHarm(from.Add(-tt.stood), from.Add(-tt.stood).Add(4*time.Second)))
			e.Harms[0].ID = "f1"
		}
		require.Equal(t, tt.green, judgeRun(e, newBook(time.Second)).Green, name)
	}
}
