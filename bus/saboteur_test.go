package bus

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus/natsd"
)

// plotter sabotages by the name of a message, and remembers what it was asked.
type plotter struct {
	mu    sync.Mutex
	plans map[string]Sabotage
	asked []Passing
}

func (p *plotter) Active() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.plans) > 0
}

func (p *plotter) Sabotage(m Passing) Sabotage {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, m)
	s := p.plans[m.String()]
	if m.Holding {
		s.Behind = 0
	}
	return s
}

func (p *plotter) plan(name string, s Sabotage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plans = map[string]Sabotage{name: s}
}

func (p *plotter) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plans = nil
}

// TestLane: what is held back comes behind the next one, or after its time, and
// always alone.
func TestLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plotter{}
		var heard []string
		b := &Bus{opts: Options{Saboteur: p}, log: zerolog.Nop()}
		l := b.newLane(func() { heard = append(heard, "after") })
		say := func(kind string) {
			if l.watched() {
				l.arrive(sortEvent, kind, func() { heard = append(heard, kind) })
				return
			}
			heard = append(heard, kind)
		}
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			require.Equal(t, want, heard)
			heard = nil
		}
		require.False(t, l.watched())

		p.plan("in.event.chunk", Sabotage{Behind: time.Second})
		say(EventChunk)
		expect()
		say(EventComplete)
		expect(EventComplete, EventChunk)
		time.Sleep(2 * time.Second)
		expect() // its clock has nothing left to do

		say(EventChunk)
		p.rest()
		require.True(t, l.watched(), "one is held back")
		say(EventStatus)
		expect(EventStatus, EventChunk)
		require.False(t, l.watched())

		p.plan("in.event.chunk", Sabotage{Behind: time.Second})
		say(EventChunk)
		time.Sleep(time.Second)
		expect(EventChunk, "after")
		say(EventChunk)
		say(EventChunk)
		expect(EventChunk, EventChunk)

		p.plan("in.event.chunk", Sabotage{Repeat: true})
		say(EventChunk)
		expect(EventChunk, EventChunk)
		p.plan("in.event.chunk", Sabotage{Drop: true})
		say(EventChunk)
		expect()
		p.plan("in.event.chunk", Sabotage{Panic: true})
		require.Panics(t, func() { say(EventChunk) })
		p.plan("in.event.chunk", Sabotage{Wait: func() { time.Sleep(time.Minute) }})
		began := time.Now()
		say(EventChunk)
		require.Equal(t, time.Minute, time.Since(began))
		expect(EventChunk)

		p.plan("in.event.chunk", Sabotage{Behind: time.Second})
		l.arrive(sortEvent, EventChunk, func() { panic("late") })
		time.Sleep(time.Second)
		expect("after")
		require.EqualValues(t, 1, b.Panics(), "a late handler that panics is caught, too")
		require.False(t, l.holding.Load() > 0)
	})
}

func TestLaneOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plotter{}
		b := &Bus{opts: Options{Saboteur: p}, log: zerolog.Nop()}
		l := b.newLane(nil)
		var sent []string
		say := func(sort string) error {
			return l.leave(sort, "", func() error { sent = append(sent, sort); return nil })
		}
		p.plan("out.job", Sabotage{Fail: true})
		require.ErrorIs(t, say(sortJob), ErrDisconnected)
		p.plan("out.job", Sabotage{Drop: true})
		require.NoError(t, say(sortJob))
		require.Empty(t, sent)
		p.plan("out.job", Sabotage{Repeat: true})
		require.NoError(t, say(sortJob))
		p.plan("out.job", Sabotage{Behind: time.Second})
		require.NoError(t, say(sortJob))
		require.NoError(t, say(sortBeat))
		require.NoError(t, say(sortJob))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []string{sortJob, sortJob, sortBeat, sortJob, sortJob}, sent)
		failed := errors.New("broken")
		p.plan("out.job", Sabotage{Repeat: true})
		require.ErrorIs(t, l.leave(sortJob, "", func() error { return failed }), failed)
	})
}

// witness is a handler that counts.
type witness struct {
	mu    sync.Mutex
	heard []string
}

func (w *witness) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, what)
}

func (w *witness) Event(e *Event)           { w.note("event " + e.Type + " " + string(e.Text)) }
func (w *witness) Batch()                   {}
func (w *witness) Reply(_ uint64, r *Reply) { w.note("reply " + r.Type) }
func (w *witness) NoResponders(uint64)      { w.note("nobody") }

func (w *witness) has(what string) func() bool {
	return func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, h := range w.heard {
			if h == what {
				return true
			}
		}
		return false
	}
}

// TestEverySortIsAsked: each message that is sent or taken passes the saboteur
// under a name that is in the list.
func TestEverySortIsAsked(t *testing.T) {
	server, err := natsd.Start(natsd.Options{})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	p := &plotter{plans: map[string]Sabotage{"nothing": {Drop: true}}}
	b, err := Connect(Config{Prefix: "troupe"}, Options{InProcess: server, Saboteur: p})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, b.Close(ctx))
	})
	w := &witness{}
	_, err = b.ListenGateway("g1", w)
	require.NoError(t, err)
	_, err = b.ListenControl("w1", func(c *Control, reply string) {
		w.note("control " + c.Type)
		_ = b.Reply(reply, &Reply{Type: ReplyMissing})
	})
	require.NoError(t, err)
	_, err = b.ListenBeats(func(*Beat, time.Time) { w.note("beat") })
	require.NoError(t, err)
	_, err = b.Work("echo", func(_ *Job, reply string) { _ = b.Reply(reply, &Reply{Type: ReplyBusy}) })
	require.NoError(t, err)
	out := NewOutgoing(b, 0)
	require.NoError(t, b.Flush(t.Context()))

	say := func() {
		job := &Job{Job: "j", Gateway: "g1", To: 1, Provider: "echo", Messages: json.RawMessage(`[]`)}
		require.NoError(t, b.Ask(job))
		job.Provider = "nobody"
		require.NoError(t, b.Ask(job))
		require.NoError(t, b.Control("w1", &Control{Type: ControlFind, Gateway: "g1", To: 2}))
		require.NoError(t, b.Beat(&Beat{Role: RoleWorker, ID: "w1"}))
		require.NoError(t, b.Usage(&UsageRecord{RunHash: "h"}))
		text := []byte("text")
		out.Publish("g1", &Event{Type: EventChunk, To: 1, Seq: 1, Text: text}, true)
		copy(text, "gone") // it was borrowed
		for _, what := range []string{"reply busy", "nobody", "control find", "reply missing", "beat", "event chunk text"} {
			require.Eventually(t, w.has(what), 10*time.Second, time.Millisecond, what)
		}
	}
	say()
	p.mu.Lock()
	names := map[string]bool{}
	for _, m := range p.asked {
		names[m.String()] = true
	}
	asked := len(p.asked)
	p.mu.Unlock()
	require.Len(t, names, 14)
	for name := range names {
		require.Contains(t, Passings(), name)
	}
	for _, sort := range []string{".job", ".control", ".reply", ".event", ".beat", "out.usage", "in.noresponders"} {
		found := false
		for name := range names {
			found = found || strings.Contains(name, sort)
		}
		require.True(t, found, sort)
	}

	p.rest() // nothing is set: nobody is asked, and all passes as before
	w.mu.Lock()
	w.heard = nil
	w.mu.Unlock()
	say()
	p.mu.Lock()
	require.Len(t, p.asked, asked)
	p.mu.Unlock()

	p.plan("out.event.chunk", Sabotage{Fail: true})
	before := out.Dropped()
	out.Publish("g1", &Event{Type: EventChunk, To: 1, Seq: 2}, true)
	require.Equal(t, before+1, out.Dropped(), "counted like any event that is lost")
	require.NoError(t, out.Close(t.Context()))
}

// TestLaneAfterIsOfTheHandler: what follows a message that was late belongs to
// its handler as the message does. No other message may be handled beside it,
// also where the fault is over by then.
func TestLaneAfterIsOfTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plotter{}
		b := &Bus{opts: Options{Saboteur: p}, log: zerolog.Nop()}
		var inside atomic.Bool
		release := make(chan struct{})
		l := b.newLane(func() {
			inside.Store(true)
			<-release
			inside.Store(false)
		})
		p.plan("in.event.chunk", Sabotage{Behind: time.Second})
		l.arrive(sortEvent, EventChunk, func() {})
		p.rest()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		began, waits := inside.Load(), l.watched()
		close(release)
		synctest.Wait()
		require.True(t, began)
		require.True(t, waits, "the handler is at work on the clock's goroutine: the next message has to wait")
		require.False(t, l.watched())
	})
}
