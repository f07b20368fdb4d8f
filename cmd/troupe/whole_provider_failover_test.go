package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// closedPort is an address of this machine where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return "http://" + l.Addr().String() + "/v1"
}

// unreachable is a provider whose vendor is down.
func unreachable(t *testing.T, keys ...string) provider.Config {
	t.Helper()
	return located(closedPort(t), keys...)
}

// located is a provider of type openai at an address.
func located(url string, keys ...string) provider.Config {
	c := provider.Config{Type: provider.TypeOpenAI, BaseURL: url, DefaultModel: "gpt-default"}
	for _, k := range keys {
		c.APIKeys = append(c.APIKeys, protocol.NewSecret([]byte(k)))
	}
	return c
}

// asks sends one named question on a socket of its own and reads its end.
func (w *whole) asks(fields map[string]any) said {
	w.t.Helper()
	c := w.dial("/ws/chat/s1")
	defer c.CloseNow()
	all := map[string]any{"id": "x", "provider": "openai"}
	for k, v := range fields {
		all[k] = v
	}
	c.send(chat(all))
	_, f := c.answer()
	return f
}

// gauge reads one series of a process that has no listener.
func (w *whole) gauge(name string, labels map[string]string) float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	require.NoError(w.t, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	series:
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if labels[l.GetName()] != l.GetValue() {
					continue series
				}
			}
			return m.GetGauge().GetValue()
		}
	}
	return -1
}

func TestAnotherProviderAnswersForOneThatIsDown(t *testing.T) {
	v := providertest.New(t, providertest.Say("by ", "the other"))
	primary := unreachable(t, "sk-1")
	primary.Fallback = []string{"second/claude-x", "echo"}
	second := speaking(v, provider.TypeAnthropic, "sk-2")
	w := start(t, wide, entries(map[string]provider.Config{"openai": primary, "second": second}))

	f := w.asks(map[string]any{"system": "be kind"})
	require.Equal(t, []any{"complete", "by the other", "second", "claude-x", 4}, []any{f.Type, f.FullResponse, f.Provider, f.Model, f.Attempts}, f.Message)
	asked := v.Requests()
	require.Equal(t, []any{"claude-x", "sk-2", 1}, []any{asked[0].Model, keyOf(asked[0]), len(asked)})
	require.Regexp(t, `\.4$`, asked[0].Header.Get(provider.CallHeader))
	require.Contains(t, string(asked[0].Body), "be kind")

	status, body, _ := w.post("/api/chat", chat(map[string]any{"provider": "openai"}))
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "second", parse(t, body).Provider)
	until(t, "the one that is down is not tried any more", func() bool { return w.asks(nil).Attempts == 1 })

	before := len(v.Requests())
	f = w.asks(map[string]any{"api_keys": map[string]string{"openai": "sk-user", "second": "sk-user"}})
	require.Equal(t, []string{"error", "PROVIDER_UNAVAILABLE"}, []string{f.Type, f.Code}, "a user's key stays where it belongs")
	require.Len(t, v.Requests(), before)
	require.Equal(t, provider.StateReady, offer(t, w, "openai").State, "who asks it gets an answer")
}

func TestNobodyOfTheChainAnswers(t *testing.T) {
	v := providertest.New(t, providertest.Refuse(http.StatusServiceUnavailable))
	primary := unreachable(t)
	primary.Fallback = []string{"second"}
	w := start(t, wide, entries(map[string]provider.Config{"openai": primary, "second": speaking(v, provider.TypeGemini)}))
	f := w.asks(nil)
	require.Equal(t, []string{"error", "PROVIDER_UNAVAILABLE"}, []string{f.Type, f.Code})
	require.Contains(t, f.Message, "openai", "why the one that was asked for could not")
	require.LessOrEqual(t, len(v.Requests()), 3)
	require.NotEmpty(t, v.Requests())
}

// What the question itself is to blame for is nobody else's to answer; neither
// is an answer that has begun.
func TestWhatIsNotHandedOn(t *testing.T) {
	scripts := map[string]providertest.Script{
		"too-long": {Why: faulty.ContextTooLong},
		"filtered": {Deltas: []string{"some"}, Finish: faulty.FinishFilter},
		"begun":    {Deltas: strings.SplitAfter("some words and then nothing", " "), CutPercent: 85},
	}
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script { return scripts[r.Model] })
	other := providertest.New(t, providertest.Say("never"))
	primary := vendor(v, "sk-1", "sk-2")
	primary.Fallback = []string{"second"}
	w := start(t, wide, entries(map[string]provider.Config{"openai": primary, "second": vendor(other)}))
	for model := range scripts {
		before := len(v.Requests())
		f := w.asks(map[string]any{"model": model})
		require.Equal(t, "error", f.Type, model)
		require.Equal(t, model != "too-long", f.Partial != "", model)
		require.Len(t, v.Requests(), before+1, model)
	}
	require.Empty(t, other.Requests())
}

func TestADeadKeyIsFollowedByTheNext(t *testing.T) {
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		if keyOf(r) == "sk-dead" {
			return providertest.Script{Why: faulty.KeyRefused}
		}
		return providertest.Say("fine")
	})
	for _, wire := range wires() {
		t.Run(wire, func(t *testing.T) {
			before := len(v.Requests())
			w := start(t, wide, entries(map[string]provider.Config{"openai": speaking(v, wire, "sk-dead", "sk-live")}))
			f := w.asks(nil)
			require.Equal(t, []any{"complete", "fine", 2}, []any{f.Type, f.FullResponse, f.Attempts}, f.Message)
			for range 4 {
				f = w.asks(nil)
				require.Equal(t, []any{"complete", 1}, []any{f.Type, f.Attempts}, "the dead key is left alone")
			}
			var keys []string
			for _, r := range v.Requests()[before:] {
				keys = append(keys, keyOf(r))
			}
			require.Equal(t, []string{"sk-dead", "sk-live", "sk-live", "sk-live", "sk-live", "sk-live"}, keys)
			until(t, "the operator sees it", func() bool {
				return w.metric(`troupe_provider_keys{provider="openai",state="resting"}`) == "1" &&
					w.metric(`troupe_provider_keys{provider="openai",state="ready"}`) == "1"
			})
			require.Equal(t, "0", w.metric(`troupe_provider_resting{provider="openai"}`))
		})
	}
}

func TestKeysAreUsedByTheirWeights(t *testing.T) {
	v := providertest.New(t, providertest.Say("x"))
	p := vendor(v, "sk-heavy", "sk-light")
	p.APIKeyWeights = []int{4, 1}
	w := start(t, wide, entries(map[string]provider.Config{"openai": p}))
	const questions = 400
	var all []*peer
	for range 8 {
		all = append(all, w.dial("/ws/chat/s1"))
	}
	for range questions / len(all) {
		for _, c := range all {
			c.send(chat(map[string]any{"provider": "openai", "messages": []string{}}))
		}
		for _, c := range all {
			_, f := c.answer()
			require.Equal(t, "complete", f.Type, f.Message)
		}
	}
	used := map[string]int{}
	for _, r := range v.Requests() {
		used[keyOf(r)]++
	}
	require.Equal(t, questions, used["sk-heavy"]+used["sk-light"])
	require.InDelta(t, questions/5, used["sk-light"], 8, "%v", used)
}

// limited answers 429 with a Retry-After first, as often as told, then well.
func limited(t *testing.T, times int32, seconds int) (v *providertest.Server, at func() []time.Time) {
	t.Helper()
	var left atomic.Int32
	left.Store(times)
	seen := make(chan time.Time, 100)
	v = providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		seen <- time.Now()
		if r.Model != "tiny" && left.Add(-1) >= 0 {
			return providertest.Script{Status: http.StatusTooManyRequests, RetryAfter: seconds}
		}
		return providertest.Say("well")
	})
	return v, func() (out []time.Time) {
		for len(seen) > 0 {
			out = append(out, <-seen)
		}
		return out
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	v, at := limited(t, 1, 1)
	w := start(t, wide, asking(v, "sk-1"))
	f := w.asks(nil)
	require.Equal(t, []any{"complete", 2}, []any{f.Type, f.Attempts}, "a short rest is waited for: "+f.Message)
	times := at()
	require.Len(t, times, 2)
	require.GreaterOrEqual(t, times[1].Sub(times[0]), time.Second)

	v, at = limited(t, 1, 30)
	w = start(t, wide, asking(v, "sk-1"))
	f = w.asks(nil)
	require.Equal(t, []any{"PROVIDER_RATE_LIMITED", 30}, []any{f.Code, f.RetryAfter}, f.Message)
	f = w.asks(nil)
	require.Equal(t, "PROVIDER_UNAVAILABLE", f.Code, "the vendor is not asked again so soon: "+f.Message)
	require.InDelta(t, 29, f.RetryAfter, 2)
	require.Len(t, at(), 1)
	f = w.asks(map[string]any{"model": "tiny"})
	require.Equal(t, "complete", f.Type, "the limit is of one model: "+f.Message)
	f = w.asks(map[string]any{"api_keys": map[string]string{"openai": "sk-user"}})
	require.Equal(t, "complete", f.Type, "and of one key: "+f.Message)

	v, at = limited(t, 1, 30)
	w = start(t, wide, asking(v, "sk-1", "sk-2"))
	began := time.Now()
	f = w.asks(nil)
	require.Equal(t, []any{"complete", 2}, []any{f.Type, f.Attempts}, "the other key needs no rest: "+f.Message)
	require.Less(t, time.Since(began), time.Second)
	require.Len(t, at(), 2)
}

// A provider that fails is left alone: who asks is told at once, without a call,
// and so are operators; and it comes back.
func TestAFailingProviderRests(t *testing.T) {
	var well atomic.Bool
	v := providertest.NewFunc(t, func(providertest.Request) providertest.Script {
		if well.Load() {
			return providertest.Say("back")
		}
		return providertest.Refuse(http.StatusInternalServerError)
	})
	w := start(t, wide, asking(v, "sk-1"))
	c := w.dial("/ws/chat/s1")
	ask := func() (said, time.Duration) {
		at := time.Now()
		c.send(chat(map[string]any{"provider": "openai"}))
		f := c.next()
		return f, time.Since(at)
	}
	rests := func(f said) bool { return strings.Contains(f.Message, "left alone") }
	var f said
	for range 10 {
		if f, _ = ask(); rests(f) {
			break
		}
		require.Equal(t, "PROVIDER_UNAVAILABLE", f.Code, f.Message)
	}
	require.True(t, rests(f), f.Message)
	calls := len(v.Requests())
	require.Equal(t, 5, calls, "five failures within ten seconds")

	fastest := time.Hour
	for range 5 {
		f, took := ask()
		require.Equal(t, "PROVIDER_UNAVAILABLE", f.Code)
		require.Positive(t, f.RetryAfter)
		require.LessOrEqual(t, f.RetryAfter, 3)
		fastest = min(fastest, took)
	}
	require.Less(t, fastest, 50*time.Millisecond)
	status, body, header := w.post("/api/chat", chat(map[string]any{"provider": "openai"}))
	require.Equal(t, http.StatusBadGateway, status, body)
	require.NotEmpty(t, header.Get("Retry-After"))
	until(t, "everybody sees it", func() bool {
		o, workers := offer(t, w, "openai"), w.status().Workers
		return o.State == provider.StateResting && o.RetryAfter > 0 && o.RetryAfter <= 3 &&
			len(workers) == 1 && workers[0].States["openai"] == provider.StateResting &&
			w.metric(`troupe_provider_resting{provider="openai"}`) == "1"
	})
	require.Equal(t, provider.StateReady, offer(t, w, "echo").State)
	require.Len(t, v.Requests(), calls, "it was left alone")

	well.Store(true)
	until(t, "it is asked again", func() bool { f, _ := ask(); return f.Type == "chunk" })
	require.Equal(t, "complete", c.next().Type)
	f, _ = ask()
	require.Equal(t, "back", f.Content)
	require.Equal(t, "complete", c.next().Type)
	require.Len(t, v.Requests(), calls+2)
	until(t, "everybody sees it", func() bool {
		return offer(t, w, "openai").State == provider.StateReady && w.status().Workers[0].States["openai"] == provider.StateReady &&
			w.metric(`troupe_provider_resting{provider="openai"}`) == "0"
	})
}

// What has a chain is ready to who asks, though it rests itself: only operators
// see that, until it answers again.
func TestOperatorsSeeARestBehindAChain(t *testing.T) {
	var well atomic.Bool
	v := providertest.NewFunc(t, func(providertest.Request) providertest.Script {
		if well.Load() {
			return providertest.Say("back")
		}
		return providertest.Refuse(http.StatusInternalServerError)
	})
	primary := vendor(v, "sk-1")
	primary.Fallback = []string{"second"}
	second := vendor(providertest.New(t, providertest.Say("by the other")), "sk-2")
	w := start(t, wide, entries(map[string]provider.Config{"openai": primary, "second": second}))
	seen := func(name string) string {
		status, body, _ := w.get(statusPath)
		require.Equal(t, http.StatusOK, status, body)
		return gjson.Get(body, "workers.0.states."+name).Str
	}
	require.Equal(t, provider.StateReady, seen("openai"))
	until(t, "operators see the rest", func() bool {
		f := w.asks(nil)
		require.Equal(t, []string{"complete", "second"}, []string{f.Type, f.Provider}, f.Message)
		require.Equal(t, provider.StateReady, offer(t, w, "openai").State, "who asks it gets an answer")
		return seen("openai") == provider.StateResting
	})
	require.Equal(t, provider.StateReady, seen("second"))
	rest := rests(t, w)[0]
	require.Equal(t, []any{"openai", "", false, "failing"}, []any{rest.Provider, rest.Key, rest.OneModel, rest.Why})
	require.Positive(t, rest.Seconds)

	well.Store(true)
	until(t, "it is asked again", func() bool { return w.asks(nil).Provider == "openai" })
	until(t, "operators see that", func() bool { return seen("openai") == provider.StateReady && len(rests(t, w)) == 0 })
}

// rests are those that operators see at the first worker.
func rests(t *testing.T, w *whole) []protocol.RestStatus {
	t.Helper()
	_, s := w.statusPage()
	require.NotEmpty(t, s.Workers)
	return s.Workers[0].Rests
}

// Operators see which key is left alone, and why, without the key and without
// what somebody called a model.
func TestOperatorsSeeWhichKeyRests(t *testing.T) {
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		switch {
		case r.Authorization == "Bearer sk-dead":
			return providertest.Refuse(http.StatusUnauthorized)
		case r.Model == "sk-a-key-in-the-wrong-field":
			return providertest.Refuse(http.StatusTooManyRequests)
		}
		return providertest.Say("fine")
	})
	w := start(t, wide, asking(v, "sk-dead", "sk-good"))
	until(t, "the dead key was met", func() bool {
		w.asks(nil)
		return len(rests(t, w)) == 1
	})
	dead := rests(t, w)[0]
	require.Equal(t, []any{"openai", false, "refused"}, []any{dead.Provider, dead.OneModel, dead.Why})
	require.Regexp(t, "^[0-9a-f]{16}$", dead.Key)
	w.asks(map[string]any{"model": "sk-a-key-in-the-wrong-field"})
	until(t, "the limit was met", func() bool { return len(rests(t, w)) == 2 })
	body, s := w.statusPage()
	require.NotContains(t, body, "sk-")
	limited := s.Workers[0].Rests[1]
	require.Equal(t, []any{"openai", true, "limited"}, []any{limited.Provider, limited.OneModel, limited.Why})
	require.NotEqual(t, dead.Key, limited.Key)
}

// apart is a gateway and two workers on one external bus, each worker with a
// provider of its own under the name openai.
func apart(t *testing.T, a, b provider.Config) (g, first, second *whole) {
	t.Helper()
	return apartOn(t, bustest.Server(t), a, b)
}

func apartOn(t *testing.T, s *bustest.NATS, a, b provider.Config) (g, first, second *whole) {
	t.Helper()
	first = start(t, over(s, roleWorker), entries(map[string]provider.Config{"openai": a}))
	second = start(t, over(s, roleWorker), entries(map[string]provider.Config{"openai": b}))
	g = start(t, over(s, roleGateway))
	g.knows(2)
	return g, first, second
}

// A key that one worker was told to leave alone is left alone by the other one.
func TestWhatOneWorkerMeetsTheOtherObeys(t *testing.T) {
	a, atA := limited(t, 100, 30)
	b, atB := limited(t, 100, 30)
	s := bustest.Server(t)
	g, _, _ := apartOn(t, s, vendor(a, "sk-shared"), vendor(b, "sk-shared"))
	p := tapInto(t, s.URL())
	f := g.asks(nil)
	require.Equal(t, []any{"PROVIDER_RATE_LIMITED", 30}, []any{f.Code, f.RetryAfter}, f.Message)
	until(t, "it is told, and beats of both followed", func() bool {
		beats, told := map[string]int{}, false
		for _, m := range p.heard(`\.beat\.worker\.`) {
			told = told || strings.Contains(string(m.Data), `"limited"`)
			if told {
				beats[m.Subject]++
			}
		}
		fewest := 100
		for _, n := range beats {
			fewest = min(fewest, n)
		}
		return len(beats) == 2 && fewest > 1
	})
	for _, m := range p.heard("") {
		require.NotContains(t, string(m.Data), "sk-shared")
	}
	served := map[string]bool{}
	for range 20 {
		c := g.dial("/ws/chat/s1")
		c.send(chat(map[string]any{"id": "x", "provider": "openai"}))
		served[workerOf(c.next().RunID)] = true
		f := c.next()
		require.Equal(t, "PROVIDER_UNAVAILABLE", f.Code, f.Message)
		require.InDelta(t, 28, f.RetryAfter, 3)
		c.CloseNow()
	}
	require.Len(t, served, 2, "both workers were asked")
	require.Len(t, append(atA(), atB()...), 1, "one call in all")
}

// The same for a vendor that fails: a worker that comes later does not call it.
func TestAWorkerThatComesLaterObeys(t *testing.T) {
	failing := providertest.New(t, providertest.Refuse(http.StatusInternalServerError))
	fresh := providertest.New(t, providertest.Refuse(http.StatusInternalServerError))
	s := bustest.Server(t)
	start(t, over(s, roleWorker), asking(failing, "sk-1"))
	g := start(t, over(s, roleGateway))
	g.knows(1)
	trip := func() {
		for range 10 {
			if f := g.asks(nil); strings.Contains(f.Message, "left alone") {
				return
			}
		}
		t.Fatal("it does not rest")
	}
	trip()
	second := start(t, over(s, roleWorker), asking(fresh, "sk-1"))
	g.knows(2)
	until(t, "the second worker knows", func() bool {
		return second.gauge("troupe_provider_resting", map[string]string{"provider": "openai"}) == 1
	})
	for range 10 {
		require.Equal(t, "PROVIDER_UNAVAILABLE", g.asks(nil).Code)
	}
	require.Empty(t, fresh.Requests())
}

// A worker that cannot reach its vendor hands the question to another one. The
// client sees one answer.
func TestAWorkerWithoutANetworkHandsOver(t *testing.T) {
	v := providertest.New(t, providertest.Say("from ", "elsewhere"))
	g, first, second := apart(t, unreachable(t, "sk-1"), vendor(v, "sk-1"))
	for range 40 {
		c := g.dial("/ws/chat/s1")
		c.send(chat(map[string]any{"id": "x", "provider": "openai"}))
		var runs []string
		f := c.next()
		for ; f.Type != "chunk" && !f.terminal(); f = c.next() {
			if f.Type == "accepted" {
				runs = append(runs, f.RunID)
			}
		}
		require.Equal(t, []any{"chunk", "from ", uint64(1)}, []any{f.Type, f.Content, f.Seq}, f.Message)
		require.Equal(t, "elsewhere", c.next().Content)
		f = c.next()
		require.Equal(t, []string{"complete", "from elsewhere"}, []string{f.Type, f.FullResponse})
		require.Equal(t, runs[len(runs)-1], f.RunID)
		require.Equal(t, second.worker.actors.ID(), workerOf(f.RunID))
		if len(runs) == 2 {
			require.Equal(t, first.worker.actors.ID(), workerOf(runs[0]))
			require.Greater(t, f.Attempts, 1, "the calls of both are counted")
			c.send(`{"type":"ping"}`)
			require.Equal(t, "pong", c.next().Type, "one end")
			return
		}
		require.Equal(t, 1, f.Attempts)
	}
	t.Fatal("no question went to the worker without a network")
}

// One worker's broken network does not silence the others: their vendor is well.
func TestAWorkerWithoutANetworkSilencesNobody(t *testing.T) {
	v := providertest.New(t, providertest.Say("well"))
	g, _, _ := apart(t, unreachable(t, "sk-1"), vendor(v, "sk-1"))
	for range 12 {
		f := g.asks(nil)
		require.Equal(t, []string{"complete", "well"}, []string{f.Type, f.FullResponse}, f.Message)
	}
}

// A dead key of one worker, which another one does not have.
func TestADeadKeyOfOneWorker(t *testing.T) {
	dead := providertest.New(t, providertest.Script{Why: faulty.KeyRefused})
	v := providertest.New(t, providertest.Say("paid"))
	g, _, _ := apart(t, vendor(dead, "sk-dead"), vendor(v, "sk-live"))
	for range 12 {
		f := g.asks(nil)
		require.Equal(t, []string{"complete", "paid"}, []string{f.Type, f.FullResponse}, f.Message)
	}
	require.LessOrEqual(t, len(dead.Requests()), 1)
}

// wall takes connections and says nothing on them.
type wall struct {
	net.Listener
	taken, gone atomic.Int64 // connections, and those that the other side ended
}

func newWall(t *testing.T) *wall {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	wl := &wall{Listener: l}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wl.taken.Add(1)
			all.Go(func() {
				defer c.Close()
				_ = c.SetReadDeadline(time.Now().Add(time.Minute)) // so that a failed test ends
				if _, err := io.Copy(io.Discard, c); !errors.Is(err, os.ErrDeadlineExceeded) {
					wl.gone.Add(1)
				}
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return wl
}

// One that does not answer the connect is not waited for longer than configured,
// and nothing is left open there.
func TestConnectTimeout(t *testing.T) {
	l := newWall(t)
	p := located("https://"+l.Addr().String()+"/v1", "sk-1") // takes the connection and says no word of TLS
	p.ConnectTimeout = 150 * time.Millisecond
	w := start(t, wide, entries(map[string]provider.Config{"openai": p}), with(func(c *config.Config) { c.Runs.Attempts = 1 }))
	at := time.Now()
	f := w.asks(nil)
	require.Equal(t, []string{"error", "PROVIDER_TIMEOUT"}, []string{f.Type, f.Code}, f.Message)
	require.Less(t, time.Since(at), 5*time.Second)
	require.Positive(t, l.taken.Load())
	require.Eventually(t, func() bool { return l.gone.Load() == l.taken.Load() }, time.Second, 5*time.Millisecond, "all are closed")
}
