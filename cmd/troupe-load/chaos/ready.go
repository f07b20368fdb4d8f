package chaos

import (
	"context"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

// readyEvery is how often a process that is told to end is asked whether it is
// ready.
const readyEvery = 5 * time.Millisecond

// withdrawn tells how long it takes from now until a process does not call itself
// ready any more, as a balancer would find out: by an answer that says no, or by
// none. It tells 0 where the step does not want to know.
func (r *round) withdrawn(ctx context.Context, s *Step, m *member) <-chan time.Duration {
	took := make(chan time.Duration, 1)
	if s.NotReady == 0 {
		took <- 0
		return took
	}
	began := time.Now()
	r.all.Start("readiness", func() {
		defer close(took)
		for {
			if _, err := m.Admin.Get(ctx, "/readyz"); err != nil {
				took <- time.Since(began)
				return
			}
			crew.Sleep(ctx, readyEvery)
		}
	})
	return took
}
