package actors

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// stoppingCases are the panics on the way down, of each type of actor.
func stoppingCases() (out []panicCase) {
	for _, kind := range kinds() {
		messages := []any{&actor.Stopping{}, &actor.Stopped{}}
		if slices.Contains(lifecycleOf(kind), "*actor.Terminated") {
			messages = append(messages, &actor.Terminated{})
		}
		for _, who := range typesOf(kind) {
			for _, m := range messages {
				out = append(out, panicCase{kind: kind, actor: who, message: m})
			}
		}
	}
	return out
}

// stopAmidAnswers stops while both clients are answered. Whoever panics on the
// way, each of them is told and cut, and holds nothing.
func (s *scene) stopAmidAnswers() {
	s.t.Helper()
	live := s.others()
	require.Contains(s.t, live, s.witness.session.pid.Load().Id)
	require.False(s.t, s.witnessDone())
	s.stopOver()
	for _, c := range s.clients {
		require.Equal(s.t, []protocol.Code{protocol.Internal}, c.closed())
	}
	require.Zero(s.t, s.gateway.counts.active.Load(), "connections leaked")
	require.Zero(s.t, s.worker.Active(), "run slots leaked")
}

// TestPanicWhileStopping: no panic on the way down keeps a tree from ending, be
// it empty or full of clients that are still answered.
func TestPanicWhileStopping(t *testing.T) {
	for name, end := range map[string]func(*scene){
		"after the last client": func(s *scene) { s.stop() },
		"with clients":          (*scene).stopAmidAnswers,
	} {
		for _, c := range stoppingCases() {
			t.Run(fmt.Sprintf("%s/%s %s %T", name, c.kind, c.actor, c.message), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s := newScene(t)
					s.saboteur.arm(c.aim())
					began := time.Now()
					end(s)
					require.Less(t, time.Since(began), 4*time.Second, "the tree did not end by itself")
					require.Equal(t, []string{c.actor}, s.saboteur.victims())
					require.Empty(t, s.residents(), "somebody is still there")
				})
			})
		}
	}
}
