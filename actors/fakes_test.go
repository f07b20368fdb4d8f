package actors

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// fakeSocket keeps what a client would see. Like the transport it tells its
// session, exactly once, that it is gone after Close.
type fakeSocket struct {
	mu      sync.Mutex
	session *Session
	frames  []protocol.Frame
	lines   []string
	nexts   int
	queued  int // frames that could wait for the next one
	closes  []protocol.Code
	ended   bool
}

func (s *fakeSocket) Next() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nexts++
}

func (s *fakeSocket) Send(f *protocol.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := *f
	kept.Text = bytes.Clone(f.Text)
	s.frames = append(s.frames, kept)
	s.lines = append(s.lines, string(f.Append(nil)))
}

func (s *fakeSocket) Queue(f *protocol.Frame) {
	s.mu.Lock()
	s.queued++
	s.mu.Unlock()
	s.Send(f)
}

func (s *fakeSocket) Close(code protocol.Code) {
	s.mu.Lock()
	s.closes = append(s.closes, code)
	s.mu.Unlock()
	s.leave(protocol.CauseServer)
}

// leave ends the socket, whoever wants it.
func (s *fakeSocket) leave(cause protocol.Cause) {
	s.mu.Lock()
	session, first := s.session, !s.ended
	s.ended = s.ended || session != nil
	s.mu.Unlock()
	if first && session != nil {
		session.Closed(cause)
	}
}

// client is one client of a house: what it says and what it saw.
type client struct {
	*fakeSocket
	t *testing.T
}

// ask says something and lets everything happen that follows at once.
func (c *client) ask(r protocol.Request) {
	c.session.Receive(r)
	synctest.Wait()
}

func (c *client) chat(id, content string) {
	c.ask(&protocol.Chat{ID: id, Content: content})
}

// take hands out the lines that came since the last take.
func (c *client) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := c.lines
	c.lines, c.frames = nil, nil
	return lines
}

func (c *client) last() protocol.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	require.NotEmpty(c.t, c.frames, "nothing was sent to the client")
	return c.frames[len(c.frames)-1]
}

func (c *client) seen() []protocol.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.frames)
}

func (c *client) closed() []protocol.Code {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.closes)
}

func (c *client) wanted() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nexts
}

// terminals lists the frames that end a turn of this name.
func (c *client) terminals(id string) []protocol.Frame {
	var out []protocol.Frame
	for _, f := range c.seen() {
		if f.ID == id && f.For == "" &&
			(f.Type == protocol.TypeComplete || f.Type == protocol.TypeCancelled || f.Type == protocol.TypeError) {
			out = append(out, f)
		}
	}
	return out
}

// word is one control on its way to a worker.
type word struct {
	worker string
	bus.Control
}

// answer is one reply on its way to a gateway.
type answer struct {
	subject string
	bus.Reply
}

// told is one event on its way to a gateway.
type told struct {
	gateway string
	urgent  bool
	bus.Event
}

// fakeBus is a bus without a wire: it keeps what was said and, where a gateway
// or a worker is attached, delivers it at once. The hooks may drop or change
// what passes.
type fakeBus struct {
	hearing sync.Mutex // held by whoever plays the subscription of a gateway

	mu      sync.Mutex
	gateway *Gateway
	worker  *Worker
	down    bool
	mute    bool // jobs and controls are kept, not delivered
	askErr  error
	max     int
	beating []*bus.Beat // workers that beat with the gateway
	keeping bool        // these do not give back what was never answered

	jobs     []bus.Job
	words    []word
	answers  []answer
	events   []told
	beats    []bus.Beat
	bills    []bus.UsageRecord
	dropping func(*bus.Event) bool
	losing   func(*bus.Reply) bool
	calling  func(method string, done bool) // before and after each call; may panic
}

// called tells calling, where somebody listens.
func (b *fakeBus) called(method string, done bool) {
	if b.calling != nil {
		b.calling(method, done)
	}
}

func newFakeBus() *fakeBus { return &fakeBus{max: 1 << 20} }

func (b *fakeBus) Ask(job *bus.Job) error {
	b.called("Ask", false)
	defer b.called("Ask", true)
	b.mu.Lock()
	if b.down {
		b.mu.Unlock()
		return bus.ErrDisconnected
	}
	if b.askErr != nil {
		defer b.mu.Unlock()
		return b.askErr
	}
	kept := *job
	kept.Messages = bytes.Clone(job.Messages)
	b.jobs = append(b.jobs, kept)
	w := b.worker
	if b.mute {
		w = nil
	}
	b.mu.Unlock()
	if w != nil {
		w.onJob(&kept, subjectOf(job.To))
	}
	return nil
}

func (b *fakeBus) Control(worker string, c *bus.Control) error {
	b.called("Control", false)
	defer b.called("Control", true)
	b.mu.Lock()
	if b.down {
		b.mu.Unlock()
		return bus.ErrDisconnected
	}
	kept := *c
	b.words = append(b.words, word{worker: worker, Control: kept})
	w := b.worker
	if b.mute {
		w = nil
	}
	b.mu.Unlock()
	if w != nil && worker == w.id {
		w.OnControl(&kept, subjectOf(c.To))
	}
	b.giveBack(worker, &kept)
	return nil
}

// giveBack answers for a worker that only beats: it has no job.
func (b *fakeBus) giveBack(worker string, c *bus.Control) {
	var g *Gateway
	b.locked(func() {
		if !b.keeping && slices.ContainsFunc(b.beating, func(beat *bus.Beat) bool { return beat.ID == worker }) {
			g = b.gateway
		}
	})
	if g != nil && c.Type == bus.ControlWithdraw {
		g.Reply(c.To, &bus.Reply{Type: bus.ReplyMissing, Worker: worker})
	}
}

// Beat lets everybody hear it, the sender too.
func (b *fakeBus) Beat(beat *bus.Beat) error {
	b.mu.Lock()
	b.beats = append(b.beats, *beat)
	g, w, down := b.gateway, b.worker, b.down
	beating := slices.Clone(b.beating)
	b.mu.Unlock()
	if down {
		return bus.ErrDisconnected
	}
	now := time.Now()
	if g != nil {
		g.Heard(beat, now)
		if beat.Role == bus.RoleGateway {
			for _, other := range beating {
				g.Heard(other, now)
			}
		}
	}
	if w != nil {
		w.Heard(beat, now)
	}
	return nil
}

// Usage keeps a record, unless the bus is down.
func (b *fakeBus) Usage(r *bus.UsageRecord) error {
	b.called("Usage", false)
	defer b.called("Usage", true)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return bus.ErrDisconnected
	}
	b.bills = append(b.bills, *r)
	return nil
}

func (b *fakeBus) Connected() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.down
}

func (b *fakeBus) MaxPayload() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.max
}

// Work gives out a queue that is closed already: pausing it is nothing.
func (b *fakeBus) Work(string, func(*bus.Job, string)) (*bus.JobQueue, error) {
	q := &bus.JobQueue{}
	return q, q.Close(context.Background())
}

func (b *fakeBus) Reply(subject string, r *bus.Reply) error {
	b.called("Reply", false)
	defer b.called("Reply", true)
	b.mu.Lock()
	if b.down {
		b.mu.Unlock()
		return bus.ErrDisconnected
	}
	kept := *r
	b.answers = append(b.answers, answer{subject: subject, Reply: kept})
	g := b.gateway
	if b.losing != nil && b.losing(&kept) {
		g = nil
	}
	b.mu.Unlock()
	if g != nil {
		g.Reply(toOf(subject), &kept)
	}
	return nil
}

func (b *fakeBus) Publish(gateway string, e *bus.Event, urgent bool) {
	b.called("Publish", false)
	defer b.called("Publish", true)
	kept := *e
	kept.Text = bytes.Clone(e.Text)
	b.mu.Lock()
	b.events = append(b.events, told{gateway: gateway, urgent: urgent, Event: kept})
	g, lost := b.gateway, b.down || (b.dropping != nil && b.dropping(&kept))
	b.mu.Unlock()
	if g != nil && !lost && g.id == gateway {
		b.deliver(g, kept)
	}
}

// AwaitRoom implements Speaker: there is always room.
func (*fakeBus) AwaitRoom(time.Duration) {}

// deliver plays one message of events: a gateway hears the bus on one goroutine.
func (b *fakeBus) deliver(g *Gateway, events ...bus.Event) {
	b.hearing.Lock()
	defer b.hearing.Unlock()
	for i := range events {
		g.Event(&events[i])
	}
	g.Batch()
}

func subjectOf(to uint64) string { return strings.Repeat("r", int(to)) }
func toOf(subject string) uint64 { return uint64(len(subject)) }

func (b *fakeBus) locked(fn func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fn()
}

// lastJob is the newest job that was asked.
func (b *fakeBus) lastJob(t *testing.T) bus.Job {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.NotEmpty(t, b.jobs, "no job was asked")
	return b.jobs[len(b.jobs)-1]
}

func (b *fakeBus) jobCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.jobs)
}

// wordsOf lists the controls of one type.
func (b *fakeBus) wordsOf(kind string) []word {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []word
	for _, w := range b.words {
		if w.Type == kind {
			out = append(out, w)
		}
	}
	return out
}

// eventsOf lists the events of one type.
func (b *fakeBus) eventsOf(kind string) []told {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []told
	for _, e := range b.events {
		if e.Type == kind {
			out = append(out, e)
		}
	}
	return out
}

func (b *fakeBus) replies() []answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.answers)
}

// fakeProvider answers as fn says.
type fakeProvider func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error)

func (f fakeProvider) Stream(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
	return f(ctx, q, sink)
}

// pace is how fast the talker talks.
const pace = 100 * time.Millisecond

// talker says words at a steady pace and stops when it is asked to.
func talker(words ...string) fakeProvider {
	return func(ctx context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
		for _, word := range words {
			select {
			case <-ctx.Done():
				return provider.Result{}, &protocol.Error{Code: protocol.ProviderInterrupted, Message: "stopped", Err: context.Cause(ctx)}
			case <-time.After(pace):
			}
			sink.Text([]byte(word))
		}
		return provider.Result{Finish: protocol.FinishStop, Model: "talk-1"}, nil
	}
}
