package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What was not tried is no proof of anything.
func TestStepsThatNeverBegan(t *testing.T) {
	asking, over := context.WithCancel(t.Context())
	over()
	plan, err := Load("f01-kill-worker")
	require.NoError(t, err)
	r := &round{plan: plan, began: time.Now()}
	for i := range plan.Steps {
		r.schedule(t.Context(), asking, &plan.Steps[i], i)
	}
	require.Len(t, r.wrong, len(plan.Steps))
	require.Contains(t, r.wrong[0], "never began")

	soak, err := Load("soak")
	require.NoError(t, err)
	r = &round{plan: soak, began: time.Now()}
	r.draw(t.Context(), asking)
	require.Len(t, r.wrong, 1)
	require.Contains(t, r.wrong[0], "random")
}

// Every step of ours begins before its run is over, in the short form too.
func TestOurStepsBegin(t *testing.T) {
	for _, name := range Names() {
		for _, short := range []bool{false, true} {
			p, err := Load(name)
			require.NoError(t, err)
			if short {
				p.Shorten()
			}
			for i, s := range p.Steps {
				require.Less(t, since(s.At), since(p.Length), "%s, step %d, short %t", name, i, short)
			}
			if p.Random.Every > 0 {
				require.Less(t, since(p.Random.First), since(p.Length), name)
			}
		}
	}
}
