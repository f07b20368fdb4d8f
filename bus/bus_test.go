package bus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/bus/natsd"
)

const patience = 20 * time.Second // of a machine that does other things too

// said is one call of a gateway's handler.
type said struct {
	what  string // event, reply, none
	to    uint64
	event bus.Event
	reply bus.Reply
}

// ear is a GatewayHandler that passes on what it hears.
type ear struct{ ch chan said }

func newEar() *ear { return &ear{ch: make(chan said, 1<<16)} }

func (e *ear) Event(ev *bus.Event) {
	if ev.Code == "PANIC" {
		panic("asked to")
	}
	e.ch <- said{what: "event", to: ev.To, event: *ev}
}
func (e *ear) Batch()                        {}
func (e *ear) Reply(to uint64, r *bus.Reply) { e.ch <- said{what: "reply", to: to, reply: *r} }
func (e *ear) NoResponders(to uint64)        { e.ch <- said{what: "none", to: to} }

func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

func connect(t testing.TB, cfg bus.Config, o bus.Options) *bus.Bus {
	t.Helper()
	up := make(chan struct{}, 1)
	told := o.OnUp
	o.OnUp = func() {
		if told != nil {
			told()
		}
		select {
		case up <- struct{}{}:
		default:
		}
	}
	b, err := bus.Connect(cfg, o)
	require.NoError(t, err)
	t.Cleanup(func() { closeBus(t, b) })
	receive(t, up)
	return b
}

func closeBus(t testing.TB, b *bus.Bus) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, b.Close(ctx))
}

func to(url, prefix string) bus.Config { return bus.Config{URL: url, Prefix: prefix} }

func job(id uint64) *bus.Job {
	return &bus.Job{
		Job: fmt.Sprintf("job-%d", id), Gateway: "g1", To: id, Session: "any > * session", Provider: "echo",
		Messages: json.RawMessage(`[{"role":"user","content":"> * . hi"}]`), OnDisconnect: "grace",
	}
}

// overBoth runs a test over the embedded server and over a real one. dial makes
// one more Bus to the same server.
func overBoth(t *testing.T, test func(t *testing.T, dial func(prefix string) *bus.Bus)) {
	t.Run("embedded", func(t *testing.T) {
		s, err := natsd.Start(natsd.Options{})
		require.NoError(t, err)
		t.Cleanup(s.Shutdown)
		test(t, func(prefix string) *bus.Bus { return connect(t, bus.Config{Prefix: prefix}, bus.Options{InProcess: s}) })
	})
	t.Run("external", func(t *testing.T) {
		s := bustest.Server(t)
		test(t, func(prefix string) *bus.Bus { return connect(t, to(s.URL(), prefix), bus.Options{}) })
	})
}

func flush(t testing.TB, list ...*bus.Bus) {
	t.Helper()
	for _, b := range list {
		require.NoError(t, b.Flush(t.Context()))
	}
}

func TestAQuestionAndItsAnswer(t *testing.T) {
	overBoth(t, func(t *testing.T, dial func(string) *bus.Bus) {
		gateway, worker := dial("troupe"), dial("troupe")
		ear := newEar()
		_, err := gateway.ListenGateway("g1", ear)
		require.NoError(t, err)
		out := bus.NewOutgoing(worker, 0)
		const chunks = 300
		_, err = worker.Work("echo", func(j *bus.Job, reply string) {
			_ = worker.Reply(reply, &bus.Reply{Type: bus.ReplyAccepted, Run: "r1", Worker: "w1"})
			for seq := range uint64(chunks) {
				out.Publish(j.Gateway, &bus.Event{Type: bus.EventChunk, To: j.To, Seq: seq + 1, Text: []byte("é")}, seq == 0)
			}
			out.Publish(j.Gateway, &bus.Event{Type: bus.EventComplete, To: j.To, Seq: chunks + 1, Finish: "stop"}, true)
		})
		require.NoError(t, err)
		flush(t, gateway, worker)

		for id := range uint64(20) { // a reply before the events it precedes, every time
			require.NoError(t, gateway.Ask(job(id)))
			first := receive(t, ear.ch)
			require.Equal(t, "reply", first.what)
			require.Equal(t, id, first.to)
			require.Equal(t, "r1", first.reply.Run)
			for seq := range uint64(chunks + 1) {
				next := receive(t, ear.ch)
				require.Equal(t, "event", next.what)
				require.Equal(t, seq+1, next.event.Seq)
			}
		}
		require.NoError(t, out.Close(t.Context()))
		require.Zero(t, gateway.Dropped()+gateway.Malformed()+worker.Malformed())
	})
}

func TestNobodyListens(t *testing.T) {
	overBoth(t, func(t *testing.T, dial func(string) *bus.Bus) {
		gateway := dial("troupe")
		ear := newEar()
		_, err := gateway.ListenGateway("g1", ear)
		require.NoError(t, err)
		start := time.Now()
		require.NoError(t, gateway.Ask(job(5)))
		require.Equal(t, said{what: "none", to: 5}, receive(t, ear.ch))
		require.NoError(t, gateway.Control("w9", &bus.Control{Type: bus.ControlCancel, Run: "r", Gateway: "g1", To: 6}))
		require.Equal(t, said{what: "none", to: 6}, receive(t, ear.ch))
		require.Less(t, time.Since(start), time.Second)
	})
}

func TestControlsAndBeats(t *testing.T) {
	overBoth(t, func(t *testing.T, dial func(string) *bus.Bus) {
		gateway, worker := dial("troupe"), dial("troupe")
		ear := newEar()
		_, err := gateway.ListenGateway("g1", ear)
		require.NoError(t, err)
		got := make(chan bus.Control, 10)
		_, err = worker.ListenControl("w1", func(c *bus.Control, reply string) {
			got <- *c
			_ = worker.Reply(reply, &bus.Reply{Type: bus.ReplyFound, Run: c.Run})
		})
		require.NoError(t, err)
		beats := make(chan bus.Beat, 10)
		_, err = gateway.ListenBeats(func(b *bus.Beat, received time.Time) {
			if !received.IsZero() {
				beats <- *b
			}
		})
		require.NoError(t, err)
		flush(t, gateway, worker)

		sent := bus.Control{Type: bus.ControlKey, Run: "r", Gateway: "g1", To: 8, Sealed: []byte{1, 2}}
		require.NoError(t, gateway.Control("w1", &sent))
		require.Equal(t, sent, receive(t, got))
		require.Equal(t, said{what: "reply", to: 8, reply: bus.Reply{Type: bus.ReplyFound, Run: "r"}}, receive(t, ear.ch))

		beat := bus.Beat{Role: bus.RoleWorker, ID: "w1", Version: "1", Sent: 5, Capacity: 3, PublicKey: []byte{9}}
		require.NoError(t, worker.Beat(&beat))
		require.Equal(t, beat, receive(t, beats))
		own := bus.Beat{Role: bus.RoleGateway, ID: "g1"}
		require.NoError(t, gateway.Beat(&own))
		require.Equal(t, own, receive(t, beats), "one hears oneself")
	})
}

func TestTwoDeploymentsNeverMeet(t *testing.T) {
	overBoth(t, func(t *testing.T, dial func(string) *bus.Bus) {
		a, b := dial("alpha"), dial("beta")
		earA, earB := newEar(), newEar()
		for _, side := range []struct {
			bus *bus.Bus
			ear *ear
		}{{a, earA}, {b, earB}} {
			_, err := side.bus.ListenGateway("g1", side.ear)
			require.NoError(t, err)
		}
		jobs := make(chan *bus.Job, 10)
		_, err := b.Work("echo", func(j *bus.Job, _ string) { jobs <- j })
		require.NoError(t, err)
		beats := make(chan *bus.Beat, 10)
		_, err = b.ListenBeats(func(beat *bus.Beat, _ time.Time) { beats <- beat })
		require.NoError(t, err)
		flush(t, a, b)

		require.NoError(t, a.Ask(job(1)))
		require.Equal(t, "none", receive(t, earA.ch).what, "beta's worker is nobody to alpha")
		require.NoError(t, a.Beat(&bus.Beat{Role: bus.RoleWorker, ID: "w"}))
		reply, err := a.Subjects().Reply("g1", 1)
		require.NoError(t, err)
		require.ErrorIs(t, b.Reply(reply, &bus.Reply{Type: bus.ReplyBusy}), bus.ErrToken)
		out := bus.NewOutgoing(a, 0)
		out.Publish("g1", &bus.Event{Type: bus.EventChunk, To: 1, Seq: 1}, true)
		require.NoError(t, out.Close(t.Context()))
		require.Equal(t, "event", receive(t, earA.ch).what)
		flush(t, a, b)
		require.Empty(t, jobs)
		require.Empty(t, beats)
		require.Empty(t, earB.ch)
	})
}

func TestOneWorkerTakesAJob(t *testing.T) {
	overBoth(t, func(t *testing.T, dial func(string) *bus.Bus) {
		gateway := dial("troupe")
		taken := make(chan uint64, 1000)
		for range 3 {
			worker := dial("troupe")
			_, err := worker.Work("echo", func(j *bus.Job, _ string) { taken <- j.To })
			require.NoError(t, err)
			flush(t, worker)
		}
		const n = 300
		for id := range uint64(n) {
			require.NoError(t, gateway.Ask(job(id)))
		}
		seen := make(map[uint64]int)
		for range n {
			seen[receive(t, taken)]++
		}
		flush(t, gateway)
		require.Len(t, seen, n)
		require.Empty(t, taken, "none twice")
	})
}

func TestPauseLosesNoDeliveredJob(t *testing.T) {
	overBoth(t, func(t *testing.T, dial func(string) *bus.Bus) {
		gateway, slow := dial("troupe"), dial("troupe")
		ear := newEar()
		_, err := gateway.ListenGateway("g1", ear)
		require.NoError(t, err)
		hold, entered := make(chan struct{}), make(chan struct{}, 100)
		queue, err := slow.Work("echo", func(j *bus.Job, reply string) {
			entered <- struct{}{}
			<-hold
			_ = slow.Reply(reply, &bus.Reply{Type: bus.ReplyBusy, Run: j.Job})
		})
		require.NoError(t, err)
		flush(t, slow)
		const n = 10
		for id := range uint64(n) {
			require.NoError(t, gateway.Ask(job(id)))
		}
		receive(t, entered)
		flush(t, gateway, slow) // all are delivered now, one is in hand
		queue.Pause()
		queue.Pause()
		flush(t, slow)
		require.NoError(t, gateway.Ask(job(99)))
		require.Equal(t, said{what: "none", to: 99}, receive(t, ear.ch), "no longer in the group")
		close(hold)
		for id := range uint64(n) {
			got := receive(t, ear.ch)
			require.Equal(t, "reply", got.what)
			require.Equal(t, id, got.to)
		}
		require.NoError(t, queue.Resume())
		require.NoError(t, queue.Resume())
		flush(t, slow)
		require.NoError(t, gateway.Ask(job(100)))
		require.Equal(t, uint64(100), receive(t, ear.ch).to)

		require.NoError(t, queue.Close(t.Context()))
		require.NoError(t, queue.Close(t.Context()))
		require.ErrorIs(t, queue.Resume(), bus.ErrClosed)
		require.NoError(t, gateway.Ask(job(101)))
		require.Equal(t, said{what: "none", to: 101}, receive(t, ear.ch))
	})
}

// A drain that spans a restart of the server must not leave a ghost in the queue
// group, which would swallow the jobs of others.
func TestPauseAcrossAReconnectLeavesNoGhost(t *testing.T) {
	server := bustest.Server(t)
	ups := make(chan struct{}, 10)
	paused := connect(t, to(server.URL(), "troupe"), bus.Options{OnUp: func() { ups <- struct{}{} }})
	gateway := connect(t, to(server.URL(), "troupe"), bus.Options{})
	receive(t, ups)
	hold, entered := make(chan struct{}), make(chan struct{}, 1)
	queue, err := paused.Work("echo", func(*bus.Job, string) { entered <- struct{}{}; <-hold })
	require.NoError(t, err)
	flush(t, paused)
	require.NoError(t, gateway.Ask(job(1)))
	receive(t, entered)
	queue.Pause() // one job in hand keeps it draining
	flush(t, paused)
	server.Kill()
	require.Eventually(t, func() bool { return !paused.Connected() && !gateway.Connected() }, patience, time.Millisecond)
	server.Start()
	receive(t, ups)
	close(hold)
	require.NoError(t, queue.Close(t.Context()))
	receive(t, ups) // the reconnect that leaves for good

	require.Eventually(t, gateway.Connected, patience, time.Millisecond)
	ear := newEar()
	_, err = gateway.ListenGateway("g1", ear)
	require.NoError(t, err)
	flush(t, gateway, paused)
	for id := range uint64(10) {
		require.NoError(t, gateway.Ask(job(id)))
		require.Equal(t, said{what: "none", to: id}, receive(t, ear.ch))
	}
}

func TestSmallMaxPayload(t *testing.T) {
	server := bustest.Server(t, bustest.MaxPayload(64<<10))
	gateway, worker := connect(t, to(server.URL(), "troupe"), bus.Options{}), connect(t, to(server.URL(), "troupe"), bus.Options{})
	require.Equal(t, 64<<10, worker.MaxPayload())
	ear := newEar()
	_, err := gateway.ListenGateway("g1", ear)
	require.NoError(t, err)
	flush(t, gateway)

	big := job(1)
	big.Messages = json.RawMessage(`["` + strings.Repeat("x", 64<<10) + `"]`)
	require.ErrorIs(t, gateway.Ask(big), bus.ErrTooLarge)

	out := bus.NewOutgoing(worker, 0)
	text := []byte(strings.Repeat("é", 250))
	const n = 4000 // 2 MB
	for seq := range uint64(n) {
		out.Publish("g1", &bus.Event{Type: bus.EventChunk, To: 1, Seq: seq + 1, Text: text}, false)
	}
	out.Publish("g1", &bus.Event{Type: bus.EventSnapshot, To: 1, Seq: n, Text: []byte(strings.Repeat("snapshot", 50_000))}, true)
	require.NoError(t, out.Close(t.Context()))
	require.EqualValues(t, 1, out.Dropped(), "longer than the server takes")
	for seq := range uint64(n) {
		require.Equal(t, seq+1, receive(t, ear.ch).event.Seq)
	}
	require.True(t, worker.Connected(), "the server did not have to cut us")
}

func TestServerGoesAndComesBack(t *testing.T) {
	server := bustest.Server(t)
	ups, downs := make(chan struct{}, 10), make(chan struct{}, 10)
	b := connect(t, to(server.URL(), "troupe"), bus.Options{
		OnUp: func() { ups <- struct{}{} }, OnDown: func() { downs <- struct{}{} },
	})
	receive(t, ups)
	ear := newEar()
	_, err := b.ListenGateway("g1", ear)
	require.NoError(t, err)
	out := bus.NewOutgoing(b, 0)
	flush(t, b)
	for round := range uint64(2) {
		server.Kill()
		receive(t, downs)
		require.False(t, b.Connected())
		start := time.Now()
		require.ErrorIs(t, b.Ask(job(100+round)), bus.ErrDisconnected)
		require.ErrorIs(t, b.Beat(&bus.Beat{Role: bus.RoleGateway, ID: "g1"}), bus.ErrDisconnected)
		require.ErrorIs(t, b.Flush(t.Context()), bus.ErrDisconnected)
		require.Less(t, time.Since(start), time.Second, "at once")
		out.Publish("g1", &bus.Event{Type: bus.EventChunk, To: 1, Seq: 1}, true)
		require.Eventually(t, func() bool { return out.Dropped() == round+1 }, patience, time.Millisecond)

		server.Start()
		start = time.Now()
		receive(t, ups)
		require.Less(t, time.Since(start), time.Second)
		require.NoError(t, b.Ask(job(round)))
		require.Equal(t, said{what: "none", to: round}, receive(t, ear.ch), "nothing of before, and subscribed again")
	}
	require.NoError(t, out.Close(t.Context()))
}

func TestServerStopsAnswering(t *testing.T) {
	server := bustest.Server(t)
	downs := make(chan struct{}, 10)
	ups := make(chan struct{}, 10)
	b := connect(t, to(server.URL(), "troupe"), bus.Options{OnUp: func() { ups <- struct{}{} }, OnDown: func() { downs <- struct{}{} }})
	receive(t, ups)
	server.Freeze()
	start := time.Now()
	receive(t, downs)
	require.Less(t, time.Since(start), 6*time.Second)
	require.ErrorIs(t, b.Ask(job(1)), bus.ErrDisconnected)
	server.Thaw()
	receive(t, ups)
}

func TestServerIsLate(t *testing.T) {
	server := bustest.Server(t)
	server.Kill()
	ups := make(chan struct{}, 1)
	b, err := bus.Connect(to(server.URL(), "troupe"), bus.Options{OnUp: func() { ups <- struct{}{} }})
	require.NoError(t, err)
	require.False(t, b.Connected())
	require.Equal(t, 1<<20, b.MaxPayload())
	ear := newEar()
	_, err = b.ListenGateway("g1", ear)
	require.NoError(t, err)
	require.ErrorIs(t, b.Ask(job(1)), bus.ErrDisconnected)
	server.Start()
	receive(t, ups)
	require.NoError(t, b.Ask(job(2)))
	require.Equal(t, said{what: "none", to: 2}, receive(t, ear.ch))
	closeBus(t, b)
	require.ErrorIs(t, b.Ask(job(3)), bus.ErrClosed)
	closeBus(t, b)
}

var grammar = regexp.MustCompile(`^troupe\.v1\.(chat\.[a-z0-9-]+|gateway\.[A-Za-z0-9_-]+\.(events|r\.[0-9]+)|worker\.[A-Za-z0-9_-]+\.control|beat\.(worker|gateway)\.[A-Za-z0-9_-]+)$`)

func TestSpySeesOnlyOurGrammar(t *testing.T) {
	server := bustest.Server(t)
	spy, err := nats.Connect(server.URL())
	require.NoError(t, err)
	defer spy.Close()
	subjects := make(chan string, 1000)
	_, err = spy.Subscribe(">", func(m *nats.Msg) { subjects <- m.Subject; subjects <- m.Reply })
	require.NoError(t, err)
	require.NoError(t, spy.Flush())

	b := connect(t, to(server.URL(), "troupe"), bus.Options{})
	ear := newEar()
	_, err = b.ListenGateway("g1", ear)
	require.NoError(t, err)
	_, err = b.Work("echo", func(j *bus.Job, reply string) { _ = b.Reply(reply, &bus.Reply{Type: bus.ReplyBusy}) })
	require.NoError(t, err)
	require.NoError(t, b.Ask(job(1)))
	require.Equal(t, "reply", receive(t, ear.ch).what)
	for _, token := range []string{"a.b", "*", ">", "", "x y"} {
		bad := job(2)
		bad.Provider = token
		require.ErrorIs(t, b.Ask(bad), bus.ErrToken)
		bad = job(2)
		bad.Gateway = token
		require.ErrorIs(t, b.Ask(bad), bus.ErrToken)
		require.ErrorIs(t, b.Control(token, &bus.Control{Type: bus.ControlAck, Gateway: "g1"}), bus.ErrToken)
		require.ErrorIs(t, b.Reply(token, &bus.Reply{}), bus.ErrToken)
		require.ErrorIs(t, b.Beat(&bus.Beat{Role: bus.RoleWorker, ID: token}), bus.ErrToken)
		_, err = b.Work(token, nil)
		require.ErrorIs(t, err, bus.ErrToken)
	}
	require.NoError(t, b.Control("w1", &bus.Control{Type: bus.ControlAck, Gateway: "g1", To: 3}))
	require.NoError(t, b.Beat(&bus.Beat{Role: bus.RoleWorker, ID: "w1"}))
	out := bus.NewOutgoing(b, 0)
	out.Publish("g1", &bus.Event{Type: bus.EventChunk, To: 1, Seq: 1}, true)
	require.NoError(t, out.Close(t.Context()))
	require.NoError(t, spy.Flush())
	seen := make(map[string]bool)
	for len(seen) < 6 || len(subjects) > 0 { // job, its reply, control, its reply, beat, events
		if s := receive(t, subjects); s != "" {
			require.Regexp(t, grammar, s)
			seen[s] = true
		}
	}
}

func TestStrangersAreSkippedAndCounted(t *testing.T) {
	server := bustest.Server(t)
	nc, err := nats.Connect(server.URL())
	require.NoError(t, err)
	defer nc.Close()
	b := connect(t, to(server.URL(), "troupe"), bus.Options{})
	ear := newEar()
	_, err = b.ListenGateway("g1", ear)
	require.NoError(t, err)
	never := func(string) { t.Error("a stranger was heard") }
	_, err = b.ListenBeats(func(*bus.Beat, time.Time) { never("beat") })
	require.NoError(t, err)
	_, err = b.Work("echo", func(*bus.Job, string) { never("job") })
	require.NoError(t, err)
	_, err = b.ListenControl("w1", func(*bus.Control, string) { never("control") })
	require.NoError(t, err)
	flush(t, b)

	good, err := json.Marshal(job(1))
	require.NoError(t, err)
	control := []byte(`{"type":"ack","run":"r","gateway":"g1","to":"1"}`)
	for _, m := range []nats.Msg{
		{Subject: "troupe.v1.beat.worker.w1", Data: []byte(`{"role":"worker","id":"w2"}`)},
		{Subject: "troupe.v1.beat.gateway.w1", Data: []byte(`{"role":"worker","id":"w1"}`)},
		{Subject: "troupe.v1.beat.worker.w1.x", Data: []byte(`{"role":"worker","id":"w1"}`)},
		{Subject: "troupe.v1.chat.echo", Data: good},
		{Subject: "troupe.v1.chat.echo", Data: good, Reply: "elsewhere"},
		{Subject: "troupe.v1.chat.echo", Data: good, Reply: "troupe.v1.gateway.g2.r.1"},
		{Subject: "troupe.v1.chat.echo", Data: []byte(`{`), Reply: "troupe.v1.gateway.g1.r.1"},
		{Subject: "troupe.v1.worker.w1.control", Data: control, Reply: "troupe.v1.gateway.g1.r.2"},
		{Subject: "troupe.v1.gateway.g1.r.x", Data: []byte(`{"type":"busy"}`)},
		{Subject: "troupe.v1.gateway.g1.r.1", Data: []byte(`{"type":"?"}`)},
		{Subject: "troupe.v1.gateway.g1.other", Data: []byte(`{}`)},
		{Subject: "troupe.v1.gateway.g1.events", Data: []byte("{\n")},
	} {
		require.NoError(t, nc.PublishMsg(&m))
	}
	require.NoError(t, nc.Flush())
	require.Eventually(t, func() bool { return b.Malformed() == 12 }, patience, time.Millisecond)
	require.Empty(t, ear.ch)
}

func TestAPanicLosesOneEvent(t *testing.T) {
	overBoth(t, func(t *testing.T, dial func(string) *bus.Bus) {
		b := dial("troupe")
		ear := newEar()
		_, err := b.ListenGateway("g1", ear)
		require.NoError(t, err)
		out := bus.NewOutgoing(b, 0)
		for seq := range uint64(10) {
			e := bus.Event{Type: bus.EventStatus, To: 1, Seq: seq + 1}
			if seq == 4 {
				e.Code = "PANIC"
			}
			out.Publish("g1", &e, false)
		}
		require.NoError(t, out.Close(t.Context()))
		for _, want := range []uint64{1, 2, 3, 4, 6, 7, 8, 9, 10} {
			require.Equal(t, want, receive(t, ear.ch).event.Seq)
		}
		require.EqualValues(t, 1, b.Panics())
	})
}

// What the client drops is what Dropped says, also after the subscription ended.
func TestOverflowIsCounted(t *testing.T) {
	server := bustest.Server(t)
	b := connect(t, to(server.URL(), "troupe"), bus.Options{PendingMsgs: 10})
	sender := connect(t, to(server.URL(), "troupe"), bus.Options{})
	hold, entered := make(chan struct{}), make(chan struct{}, 1000)
	sub, err := b.ListenBeats(func(*bus.Beat, time.Time) { entered <- struct{}{}; <-hold })
	require.NoError(t, err)
	flush(t, b)
	beat := &bus.Beat{Role: bus.RoleWorker, ID: "w1"}
	require.NoError(t, sender.Beat(beat))
	receive(t, entered) // one in hand, which counts as pending
	for range 100 {
		require.NoError(t, sender.Beat(beat))
	}
	flush(t, sender, b)
	require.Eventually(t, func() bool { return b.Dropped() == 91 }, patience, time.Millisecond)
	close(hold)
	require.NoError(t, sub.Close(t.Context()))
	require.EqualValues(t, 91, b.Dropped())
	require.Len(t, entered, 9)
}

func TestConnectRefusesWhatCannotWork(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  bus.Config
		want string
	}{
		"no server":   {bus.Default(), "bus.url"},
		"bad prefix":  {to("nats://127.0.0.1:1", "a.b"), "bus.prefix"},
		"credentials": {bus.Config{URL: "nats://127.0.0.1:1", Prefix: "a", Credentials: "/nowhere"}, "bus.credentials"},
		"ca":          {bus.Config{URL: "tls://127.0.0.1:1", Prefix: "a", TLS: bus.TLSConfig{CA: "/nowhere"}}, "bus.tls.ca"},
		"cert":        {bus.Config{URL: "tls://127.0.0.1:1", Prefix: "a", TLS: bus.TLSConfig{Cert: "/nowhere", Key: "/nowhere"}}, "bus.tls.cert"},
	} {
		_, err := bus.Connect(c.cfg, bus.Options{})
		require.ErrorContains(t, err, c.want, name)
	}
}

// A refused log-in is retried for as long as it takes, and neither password nor
// token reaches the log.
func TestRefusedLoginIsRetriedAndKeptSecret(t *testing.T) {
	server := bustest.Server(t, bustest.Config(`authorization: {user: a, password: right}`))
	var out lockedBuffer
	url := strings.Replace(server.URL(), "nats://", "nats://a:hunter2@", 1)
	b, err := bus.Connect(to(url, "troupe"), bus.Options{Log: zerolog.New(&out)})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "Authorization") }, patience, time.Millisecond)
	require.False(t, b.Connected())
	require.ErrorIs(t, b.Ask(job(1)), bus.ErrDisconnected, "closed would mean that it gave up")
	closeBus(t, b)
	require.NotContains(t, out.String(), "hunter2")
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// A server that takes no bytes cannot hold a publisher for longer than the
// client's write timeout.
func TestPublishIsNotHeldForLong(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "INFO {\"server_id\":\"x\",\"max_payload\":8388608,\"headers\":true,\"proto\":1}\r\n")
			buf := make([]byte, 4096) // CONNECT and PING, and not a byte more
			_, _ = conn.Read(buf)
			_, _ = io.WriteString(conn, "PONG\r\n")
		}
	}()
	t.Cleanup(func() { l.Close(); <-served })
	b := connect(t, to("nats://"+l.Addr().String(), "troupe"), bus.Options{})
	big := job(1)
	big.Messages = json.RawMessage(`["` + strings.Repeat("x", 4<<20) + `"]`)
	start := time.Now()
	for range 10 {
		if err = b.Ask(big); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, bus.ErrDisconnected)
	require.Less(t, time.Since(start), 10*time.Second)
}
