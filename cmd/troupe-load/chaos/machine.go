package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

const (
	machineLook  = 100 * time.Millisecond
	machineStood = time.Second // this tool was not run for so long: nor was anybody beside it
)

// watchMachine notes when the whole machine stood still, as virtual ones do: what
// clients missed then is nobody's fault, and is listed as what it is.
func (r *round) watchMachine(ctx context.Context) {
	for last := time.Now(); crew.Sleep(ctx, machineLook); last = time.Now() {
		if now := time.Now(); now.Sub(last) >= machineStood {
			r.note(machineHarm(last, now))
		}
	}
}

func machineHarm(from, to time.Time) *harm {
	s := &Step{Touches: TouchesAll}
	s.fill()
	return &harm{
		Step: s, Index: -1, Verb: "machine", Target: "machine", Label: fmt.Sprintf("the machine stood still for %s", to.Sub(from).Round(machineLook)),
		Who: TouchesAll, Hits: 1, From: from, To: to,
	}
}
