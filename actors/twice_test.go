package actors

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// twin is a second worker of a house. What is said to it waits until the test
// delivers it.
type twin struct {
	*Worker
	house *house
	taken int // of the house's words
	ended chan error
}

func (h *house) twin() *twin {
	h.t.Helper()
	w := &twin{house: h, ended: make(chan error, 1)}
	talk := func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
		result, err := talker("v", "w", "x", "y", "z")(ctx, q, sink)
		w.ended <- context.Cause(ctx)
		return result, err
	}
	var err error
	w.Worker, err = NewWorker(h.sys, h.bus, h.bus, h.sys.log, WorkerOptions{
		Worker: WorkerConfig{MaxRuns: 10}, Runs: DefaultRuns(),
		Providers: map[string]ProviderSetup{"echo": {Config: provider.Config{Type: provider.TypeEcho}, Provider: fakeProvider(talk), State: stateReady}},
	})
	require.NoError(h.t, err)
	require.NoError(h.t, w.Start())
	h.t.Cleanup(func() {
		ctx, cancel := contextFor(time.Second)
		defer cancel()
		w.Stop(ctx)
	})
	pass(0)
	return w
}

// deliver hands the twin what was said to it meanwhile.
func (w *twin) deliver() {
	var words []word
	w.house.bus.locked(func() {
		words = append(words, w.house.bus.words[w.taken:]...)
		w.taken = len(w.house.bus.words)
	})
	for _, m := range words {
		if m.worker == w.id {
			w.OnControl(&m.Control, subjectOf(m.To))
		}
	}
	pass(0)
}

// TestJobTakenTwice: where the bus delivers a job to two workers the client
// reads exactly the first one's text. The second is released; until it hears of
// it both speak under the same name.
func TestJobTakenTwice(t *testing.T) {
	for _, id := range []string{"", "1"} {
		for _, at := range []time.Duration{0, pace / 2, pace + pace/2, 3*pace + pace/2} {
			for _, deaf := range []time.Duration{0, pace, 4 * pace} {
				t.Run(fmt.Sprintf("id %q, after %s, released %s later", id, at, deaf), func(t *testing.T) {
					bubble(t, func(t *testing.T) { takeTwice(t, id, at, deaf) })
				})
			}
		}
	}
}

func takeTwice(t *testing.T, id string, at, deaf time.Duration) {
	h := talking(t)
	second := h.twin()
	c := h.open("s")
	c.ask(&protocol.Chat{ID: id, Content: "hi", OnDisconnect: protocol.OnDisconnectCancel})
	job, first := h.bus.lastJob(t), h.anyRun()
	pass(at)
	second.onJob(&job, subjectOf(job.To))
	pass(deaf)
	second.deliver()
	if deaf < 4*pace {
		require.ErrorIs(t, <-second.ended, errCancelled)
	}
	pass(time.Second)
	second.deliver() // what its end was answered with

	require.Zero(t, second.Active())
	require.Empty(t, second.runs.live(), "nobody can come back for the second run")
	freed := h.bus.wordsOf(bus.ControlRelease)
	require.NotEmpty(t, freed)
	for _, w := range freed { // said again to what it says before it has heard of it
		require.Equal(t, second.ID(), w.worker)
	}

	if id == "" {
		require.Equal(t, []string{"chunk  1 a", "chunk  2 b", "chunk  3 c", "chunk  4 d", "complete  5 abcd"}, c.tale())
	} else {
		require.Equal(t, []string{first}, c.runs())
		require.Equal(t, []string{"accepted 1", "chunk 1 1 a", "chunk 1 2 b", "chunk 1 3 c", "chunk 1 4 d", "complete 1 5 abcd"}, c.tale())
	}
	h.neverAlone(first)
	h.empty()
}

// neverAlone checks that a run which changed followers had the new one before
// the old one left: between them a policy would have ended it.
func (h *house) neverAlone(run string) {
	h.t.Helper()
	var told []string
	h.bus.locked(func() {
		for _, w := range h.bus.words {
			if w.Run == run && (w.Type == bus.ControlResume || w.Type == bus.ControlGone) {
				told = append(told, w.Type)
			}
		}
	})
	require.Equal(h.t, []string{bus.ControlResume, bus.ControlGone}, told)
}

// overhearing is a bus that lets a test act at the very moment at which a
// control is said.
type overhearing struct {
	*fakeBus
	before func(c *bus.Control)
}

func (b *overhearing) Control(worker string, c *bus.Control) error {
	b.before(c)
	return b.fakeBus.Control(worker, c)
}

// TestSecedeIsNeverAlone: what the first run says while its turn changes names
// must not be answered with a goodbye: it would be the last follower's.
func TestSecedeIsNeverAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := talking(t)
		second := h.twin()
		jobs := &overhearing{fakeBus: h.bus, before: func(*bus.Control) {}}
		h.restart(0, jobs)
		pass(2 * settleTime)
		c := h.open("s")
		c.chat("", "hi")
		job, first := h.bus.lastJob(t), h.anyRun()
		pass(pace + pace/2)
		jobs.before = func(m *bus.Control) {
			if m.Type == bus.ControlResume { // the run says where it is just before it hears of its new follower
				h.bus.deliver(h.gateway, bus.Event{Type: bus.EventStatus, To: job.To, Run: first, Seq: 1})
			}
		}
		second.onJob(&job, subjectOf(job.To))
		pass(0)
		second.deliver()
		pass(time.Second)
		require.Equal(t, []string{"chunk  1 a", "chunk  2 b", "chunk  3 c", "chunk  4 d", "complete  5 abcd"}, c.tale())
		h.empty()
	})
}

// TestAcceptSaidAgain: an accept that the bus repeats late, when its name is not
// in use any more, takes nothing from the run that it is of: it can be resumed
// as often as before.
func TestAcceptSaidAgain(t *testing.T) {
	for name, before := range map[string]func(h *house, job *bus.Job){
		"after the end": func(*house, *bus.Job) { pass(time.Second) },
		"after a second accept": func(h *house, job *bus.Job) {
			h.reply(job.To, bus.Reply{Type: bus.ReplyAccepted, Run: "w2-x", Worker: "w2"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := talking(t)
				c := h.open("s")
				c.chat("1", "hi")
				job, run := h.bus.lastJob(t), h.anyRun()
				pass(pace / 2)
				before(h, &job)
				h.reply(job.To, bus.Reply{Type: bus.ReplyAccepted, Run: run, Worker: h.worker.ID()})
				pass(time.Second)
				require.Equal(t, "complete 1 5 abcd", c.tale()[5])
				for range 3 {
					other := h.open("s")
					other.ask(&protocol.Resume{RunID: run})
					pass(time.Second)
					require.Equal(t, []string{"snapshot 1 4 abcd", "complete 1 5 abcd"}, other.tale())
				}
				h.empty()
			})
		})
	}
}
