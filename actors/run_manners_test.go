package actors

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
)

// doorman is a Speaker that counts who asks for room.
type doorman struct{ asked int }

func (*doorman) Publish(string, *bus.Event, bool) {}
func (d *doorman) AwaitRoom(time.Duration)        { d.asked++ }

// deaf takes every message and does nothing.
type deaf struct{}

func (deaf) InvokeSystemMessage(any)  {}
func (deaf) InvokeUserMessage(any)    {}
func (deaf) EscalateFailure(_, _ any) {}

func TestManners(t *testing.T) {
	tests := map[string]struct {
		every  time.Duration
		size   int
		pieces int
		want   int
	}{
		"a model's pace":                      {50 * time.Millisecond, 6, 1000, 0},
		"a thousand words a second":           {time.Millisecond, 6, 1000, 0},
		"long pieces, seldom":                 {50 * time.Millisecond, 12 << 10, 100, 0},
		"words without a pace":                {0, 6, 23500, 100},
		"a page now and then":                 {50 * time.Millisecond, 16 << 10, 10, 10},
		"pages without a pace":                {0, 16 << 10, 10, 10},
		"words without a pace, a few at once": {0, 6, 200, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var m manners
			ways, now := 0, moment(1)
			for range tt.pieces {
				if m.tooMuch(now, tt.size) {
					ways++
				}
				now += moment(tt.every)
			}
			require.InDelta(t, tt.want, ways, float64(tt.want)/10)
		})
	}
}

// TestSinkMakesWay: a call that says much without a pause asks for room, whether
// it answers or thinks aloud; one that says a word does not.
func TestSinkMakesWay(t *testing.T) {
	sys := NewSystem(SystemOptions{Log: zerolog.Nop(), Metrics: NewMetrics(prometheus.NewRegistry())})
	box := &mailbox{}
	box.RegisterHandlers(deaf{}, actor.NewSynchronizedDispatcher(crewTurn))
	newSink := func(d *doorman) *sink {
		return &sink{
			sys: sys, run: box, alive: &atomic.Int64{}, runs: RunsConfig{MaxOutputBytes: 1 << 20}, room: 1 << 20,
			reasoning: true, speaker: d,
		}
	}
	page := []byte(strings.Repeat("x", easyCost))
	for name, say := range map[string]func(*sink, []byte){"text": (*sink).Text, "reasoning": (*sink).Reasoning} {
		t.Run(name, func(t *testing.T) {
			d := &doorman{}
			s := newSink(d)
			say(s, []byte("word "))
			require.Zero(t, d.asked)
			say(s, page)
			say(s, page)
			require.Equal(t, 2, d.asked)
		})
	}
}
