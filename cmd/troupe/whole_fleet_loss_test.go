package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/config"
)

// Every stream of a worker that dies is told within two seconds: those without a
// chunk go on at another one, the rest get what they had. Nobody else notices.
func TestALostWorkerIsToldWithinTwoSeconds(t *testing.T) {
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		if r.Model == "mute" {
			return mute()
		}
		return slowly("some")
	})
	g, workers := twoWorkers(t, v)
	type stream struct {
		*peer
		run   string
		spoke bool
	}
	of := map[string][]stream{}
	for i := range 24 {
		s := stream{peer: g.dial(fmt.Sprintf("/ws/chat/s%d", i)), spoke: i%2 == 0}
		model := map[bool]string{true: "talks", false: "mute"}[s.spoke]
		s.send(`{"type":"chat","id":"n","content":"x","provider":"openai","model":"` + model + `"}`)
		s.run = s.next().RunID
		if s.spoke {
			require.Equal(t, "some", s.next().Content)
		}
		of[workerOf(s.run)] = append(of[workerOf(s.run)], s)
	}
	require.Len(t, of, 2, "both have some")
	v.WaitOpen(t, 24, 5*time.Second)
	dead := workerOf(of[anyKey(workers)][0].run)
	at := time.Now()
	workers[dead].kill()
	for _, s := range of[dead] {
		f := s.next()
		require.Less(t, time.Since(at), 2*time.Second)
		if s.spoke {
			require.Equal(t, []string{"error", "WORKER_LOST", "some"}, []string{f.Type, f.Code, f.Partial})
			continue
		}
		require.Equal(t, "accepted", f.Type)
		require.NotEqual(t, dead, workerOf(f.RunID))
	}
	delete(of, dead)
	for _, others := range of {
		for _, s := range others {
			s.send(`{"type":"ping"}`)
			require.Equal(t, "pong", s.next().Type)
		}
	}
}

func anyKey[V any](m map[string]V) string {
	for k := range m {
		return k
	}
	return ""
}

// A full worker is not in its queue group, so that jobs go where there is room;
// it stays listed, and is back below 90 % of its cap. Meanwhile a saturated
// fleet says so at once.
func TestAFullWorkerLeavesItsQueueGroup(t *testing.T) {
	const most = 20
	s := bustest.Server(t)
	w := start(t, over(s, roleWorker), with(func(c *config.Config) { c.Worker.MaxRuns = most }))
	g := start(t, over(s, roleGateway))
	g.knows(1)
	nc, err := nats.Connect(s.URL())
	require.NoError(t, err)
	defer nc.Close()
	listens := func() bool { // nobody answers what is no job
		_, err := nc.Request("troupe.v1.chat.echo", []byte("{}"), 100*time.Millisecond)
		if err == nats.ErrNoResponders {
			return false
		}
		require.ErrorIs(t, err, nats.ErrTimeout)
		return true
	}
	var all []*peer
	for i := range most {
		require.True(t, listens(), "with %d of %d", i, most)
		c := g.dial(fmt.Sprintf("/ws/chat/s%d", i))
		c.send(`{"type":"chat","id":"n","content":"word","model":"echo-50ms-2000w"}`)
		require.Equal(t, "accepted", c.next().Type)
		all = append(all, c)
	}
	until(t, "it has left", func() bool { return !listens() })
	_, err = nc.Request("$SRV.PING.troupe-worker", nil, 5*time.Second)
	require.NoError(t, err, "it is listed all the same")
	c, at := g.dial("/ws/chat/more"), time.Now()
	c.send(`{"type":"chat","content":"x"}`)
	require.Equal(t, "OVERLOADED", c.next().Code)
	require.Less(t, time.Since(at), 400*time.Millisecond, "at once, not after an offer's clock")

	for i, c := range all[:3] {
		c.send(`{"type":"cancel","id":"n"}`)
		_, last := readOn(c)
		require.Equal(t, "cancelled", last.Type)
		if i == 0 {
			require.False(t, listens(), "95 % is still full")
		}
	}
	until(t, "it is back", listens)
	require.Len(t, w.logged("Worker is full: it leaves its queue groups"), 1)
	require.Len(t, w.logged("Worker has room again"), 1)
}

// A machine without time for anybody makes nobody declare anybody dead.
func TestAStarvedMachineLosesNobody(t *testing.T) {
	one, two, _ := fleet(t)
	c := one.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"n","content":"word","model":"echo-20ms-100w"}`)
	run := c.next().RunID
	var stop atomic.Bool
	var hogs sync.WaitGroup
	for range 32 * runtime.GOMAXPROCS(0) {
		hogs.Go(func() {
			for !stop.Load() {
			}
		})
	}
	<-time.After(3 * time.Second)
	stop.Store(true)
	hogs.Wait()
	_, last := readOn(c)
	require.Equal(t, []string{"complete", run}, []string{last.Type, last.RunID}, last.Code)
	for _, w := range []*whole{one, two} {
		require.Empty(t, w.logged("Worker lost"))
		require.Equal(t, 2, w.gateway.actors.Health().Workers)
	}
}

// Runs that nobody may come back for end with a gateway that dies: unnamed ones,
// and those that were asked with cancel. The others go on.
func TestALostGatewaysRunsEnd(t *testing.T) {
	v := providertest.New(t, slowly("some"))
	one, _, _ := fleet(t, asking(v, "sk-1"))
	for _, more := range []string{``, `"id":"c","on_disconnect":"cancel",`, `"id":"g",`} {
		c := one.dial("/ws/chat/s1")
		c.send(`{"type":"chat",` + more + `"content":"x","provider":"openai"}`)
		for f := c.next(); f.Type != "chunk"; f = c.next() {
		}
	}
	v.WaitOpen(t, 3, 5*time.Second)
	one.killGateway()
	v.WaitLeft(t, 2, 2500*time.Millisecond)
	require.Equal(t, []int{2, 1}, []int{v.Left(), v.Open()}, "a named one waits for its client")
}

// retire makes a gateway or worker go in good order within a time, as its SIGTERM
// would.
func (w *whole) retire(within time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	w.drain(ctx)
	w.stop(context.Background())
}

// Every gateway is restarted in turn under streams: each client is told to come
// back, resumes elsewhere, and has its whole answer once, of one run.
func TestRollingRestartOfGateways(t *testing.T) {
	s := bustest.Server(t)
	worker := start(t, over(s, roleWorker))
	gateway := func() *whole {
		g := start(t, over(s, roleGateway))
		g.knows(1)
		return g
	}
	old := []*whole{gateway(), gateway()}
	const clients, words = 8, 350
	type reader struct {
		*peer
		session, run, text string
		seq                uint64
	}
	at := map[*whole][]*reader{}
	for i := range clients {
		g := old[i%2]
		r := &reader{session: fmt.Sprintf("/ws/chat/s%d", i)}
		r.peer = g.dial(r.session)
		r.send(fmt.Sprintf(`{"type":"chat","id":"n","content":"word","model":"echo-20ms-%dw"}`, words))
		r.run = r.next().RunID
		at[g] = append(at[g], r)
	}
	for _, g := range old {
		next := gateway()
		retired := make(chan struct{})
		go func() { defer close(retired); g.retire(700 * time.Millisecond) }()
		for _, r := range at[g] {
			told := false
			for ended := false; !ended; {
				_, data, err := r.Read(t.Context())
				if err != nil {
					break
				}
				f := parse(t, string(data))
				told = told || f.Type == "reconnect"
				ended = f.terminal() && f.ID != "" // one without says why the socket is closed
				require.False(t, ended, "a drain of a gateway ends no run: %s", data)
				if f.Type == "chunk" || f.Type == "snapshot" {
					r.text += f.Content
					r.seq = f.Seq
				}
			}
			require.True(t, told, "it was told to come back")
			r.peer = next.dial(r.session)
			r.send(fmt.Sprintf(`{"type":"resume","run_id":%q,"after":%d,"id":"n"}`, r.run, r.seq))
		}
		<-retired
		at[next], at[g] = at[g], nil
	}
	want := strings.TrimSpace(strings.Repeat("word ", words))
	for _, list := range at {
		for _, r := range list {
			rest, last := readOn(r.peer)
			require.Equal(t, []string{"complete", r.run, want}, []string{last.Type, last.RunID, last.FullResponse}, last.Code)
			require.Equal(t, want, r.text+rest)
		}
	}
	require.Len(t, worker.logged("Run accepted"), clients, "each question was asked once")
}

// Every worker is restarted in turn under streams that fit its drain: nobody
// notices.
func TestRollingRestartOfWorkers(t *testing.T) {
	s := bustest.Server(t)
	workers := []*whole{start(t, over(s, roleWorker)), start(t, over(s, roleWorker))}
	g := start(t, over(s, roleGateway))
	g.knows(2)
	const words = 60
	want := strings.TrimSpace(strings.Repeat("word ", words))
	var all []*peer
	ask := func() {
		for range 4 {
			c := g.dial(fmt.Sprintf("/ws/chat/s%d", len(all)))
			c.send(fmt.Sprintf(`{"type":"chat","id":"n","content":"word","model":"echo-20ms-%dw"}`, words))
			require.Equal(t, "accepted", c.next().Type)
			all = append(all, c)
		}
	}
	for _, w := range workers {
		ask()
		start(t, over(s, roleWorker))
		g.knows(3)
		w.retire(20 * time.Second)
		g.knows(2)
		ask()
	}
	for _, c := range all {
		text, last := c.answer()
		require.Equal(t, []string{"complete", want}, []string{last.Type, text}, last.Code)
	}
	require.Empty(t, g.logged("Worker lost"), "they said goodbye")
}
