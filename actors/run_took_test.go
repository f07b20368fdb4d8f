package actors

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
)

// endedLine is the one `Run ended` of a log.
func endedLine(t *testing.T, log []byte) (line struct {
	Message string
	Outcome string
	Took    float64 // milliseconds
},
) {
	t.Helper()
	found := 0
	for _, raw := range bytes.Split(bytes.TrimSpace(log), []byte{'\n'}) {
		next := line
		require.NoError(t, json.Unmarshal(raw, &next))
		if next.Message == "Run ended" {
			line, found = next, found+1
		}
	}
	require.Equal(t, 1, found, "in %s", log)
	return line
}

// TestRunTook: what the log says about how long a run took, counted from its
// accept, also of one that never called its vendor.
func TestRunTook(t *testing.T) {
	wait := 2 * time.Second
	for name, tt := range map[string]struct {
		needsKey bool
		end      func(b *bench, run string)
		outcome  string
		took     time.Duration
	}{
		"the key never came": {true, func(*bench, string) { pass(keyPatience) }, bus.EventError, keyPatience},
		"cancelled before its key": {true, func(b *bench, run string) {
			pass(wait)
			b.control(bus.Control{Type: bus.ControlCancel, Run: run, To: 1})
		}, bus.EventCancelled, wait},
		"left before its key": {true, func(b *bench, run string) {
			pass(wait)
			b.control(bus.Control{Type: bus.ControlRelease, Run: run, To: 1})
		}, bus.EventCancelled, wait},
		"shut down before its key": {true, func(b *bench, _ string) {
			pass(wait)
			b.sys.root.Send(b.worker.runs.live()[0], &shutDown{})
			pass(0)
		}, bus.EventError, wait},
		"complete": {false, func(*bench, string) { pass(wait) }, bus.EventComplete, pace},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var log bytes.Buffer
				b := newBench(t, talker("a"), func(p *plan) { p.log = &log })
				provider := "echo"
				if tt.needsKey {
					provider = "vendor"
				}
				run := b.job(bus.Job{Name: "1", NeedsKey: tt.needsKey, Provider: provider})
				tt.end(b, run)
				line := endedLine(t, log.Bytes())
				require.Equal(t, tt.outcome, line.Outcome)
				require.InDelta(t, tt.took.Milliseconds(), line.Took, 1)
			})
		})
	}
}
