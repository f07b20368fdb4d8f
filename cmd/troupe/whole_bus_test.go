package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/config"
)

// tap hears everything on a bus, whole messages, and can speak there too.
type tap struct {
	*nats.Conn
	mu  sync.Mutex
	all []*nats.Msg
}

// tapInto opens a tap on an external server, or on the embedded one.
func tapInto(t *testing.T, url string, opts ...nats.Option) *tap {
	t.Helper()
	nc, err := nats.Connect(url, opts...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	p := &tap{Conn: nc}
	_, err = nc.Subscribe(">", func(m *nats.Msg) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all = append(p.all, m)
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	return p
}

func (w *whole) tap() *tap {
	w.t.Helper()
	return tapInto(w.t, "", nats.InProcessServer(w.nats))
}

// heard returns the messages whose subject matches.
func (p *tap) heard(pattern string) (out []*nats.Msg) {
	like := regexp.MustCompile(pattern)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.all {
		if like.MatchString(m.Subject) {
			out = append(out, m)
		}
	}
	return out
}

// over puts a role on an external bus.
func over(s *bustest.NATS, role string) func(*appOptions) {
	return func(o *appOptions) {
		o.Role = role
		o.Config.Bus.URL = s.URL()
		wide(o)
	}
}

// knows waits until a gateway sees exactly n workers.
func (w *whole) knows(n int) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.gateway.actors.Health().Workers == n }, 5*time.Second, 2*time.Millisecond)
}

// kill ends a worker as a kill -9 would: the bus hears nothing more of it.
func (w *whole) kill() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.worker.bus.Close(now)
}

// chunksOf lists the events of one type that went over the bus, in order.
func chunksOf(p *tap, kind string) (events []struct{ Type, To, Text string }, messages int) {
	for _, m := range p.heard(`\.events$`) {
		found := false
		for line := range strings.Lines(string(m.Data)) {
			var e struct{ Type, To, Text string }
			if json.Unmarshal([]byte(line), &e) == nil && e.Type == kind {
				events = append(events, e)
				found = true
			}
		}
		if found {
			messages++
		}
	}
	return events, messages
}

func TestOneJobPerTurnAndItsBytesInBatches(t *testing.T) {
	w := start(t, wide)
	p := w.tap()
	var all []*peer
	for i := range 10 {
		all = append(all, w.dial(fmt.Sprintf("/ws/chat/s%d", i)))
	}
	require.Eventually(t, func() bool { return w.gateway.actors.Status().WebSocketManager.ActiveConnections == 10 }, 2*time.Second, time.Millisecond)
	require.Equal(t, 10, w.gateway.actors.Status().Actors.Connection, "an actor for each socket")
	const words = 500
	for _, c := range all {
		c.send(`{"type":"chat","id":"x","content":"word","model":"echo-0s-` + fmt.Sprint(words) + `w"}`)
	}
	want := strings.TrimSpace(strings.Repeat("word ", words))
	for _, c := range all {
		text, _ := c.answer()
		require.Equal(t, want, text)
	}
	require.NoError(t, p.Flush())
	require.Len(t, p.heard(`\.chat\.`), 10, "one job per turn")
	require.Eventually(t, func() bool { ends, _ := chunksOf(p, "complete"); return len(ends) >= 10 }, 2*time.Second, time.Millisecond)
	chunks, messages := chunksOf(p, "chunk")
	texts := map[string]string{}
	for _, c := range chunks {
		texts[c.To] += c.Text
	}
	require.Len(t, texts, 10)
	for to, text := range texts {
		require.Equal(t, want, text, to)
	}
	require.Len(t, chunks, 10*words)
	require.Less(t, messages, len(chunks)/2, "packed")
}

var grammar = regexp.MustCompile(`^troupe\.v1\.(chat\.[a-z0-9-]{1,32}|gateway\.[A-Z2-7]{12}\.(events|r\.[1-9][0-9]*)|worker\.[A-Z2-7]{12}\.control|beat\.(worker|gateway)\.[A-Z2-7]{12}|usage)$`)

func TestSubjectsHoldNoWordOfAClient(t *testing.T) {
	v := providertest.New(t, providertest.Say("x"))
	w := start(t, wide, asking(v))
	p := w.tap()
	hostile := []string{"a.b.>", "*", ">", " ", "two words", "troupe.v1.chat.echo", "\t", "é", "_INBOX.x", strings.Repeat("z", 64)}
	for _, h := range hostile {
		q, _ := json.Marshal(h)
		word := string(q)
		c := w.dial("/ws/chat/a.b:c")
		for _, frame := range []string{
			`{"type":"chat","id":` + word + `,"content":"x","model":"echo-0s","client_key":"0123456789012345678901"}`,
			`{"type":"chat","id":"p","content":"x","provider":` + word + `}`,
			`{"type":"chat","id":"m","content":"x","model":` + word + `}`,
			`{"type":"chat","id":"v","content":` + `"x"` + `,"provider":"openai","model":` + word + `,"api_keys":{"openai":"sk-1"}}`,
			`{"type":"chat","id":"k","content":"x","provider":"openai","api_keys":{` + word + `:"sk-1"}}`,
			`{"type":"resume","id":` + word + `,"run_id":` + word + `}`,
			`{"type":"cancel","run_id":` + word + `}`,
			`{"type":"cancel","id":` + word + `}`,
		} {
			c.send(frame)
			for f := c.next(); !f.terminal(); f = c.next() {
			}
		}
		c.CloseNow()
		for _, path := range []string{"/ws/chat/", "/ws/chat/customer/11/", "/ws/chat/customer/"} {
			end := ""
			if strings.HasSuffix(path, "customer/") {
				end = "/s"
			}
			if bad, resp, err := w.tryDial(path + pathEscape(h) + end); err == nil {
				bad.CloseNow()
			} else if resp != nil {
				resp.Body.Close()
			}
		}
		w.post("/api/chat", `{"content":"x","model":"echo-0s","session_id":`+word+`,"product_id":`+word+`}`)
		w.post("/api/chat/"+pathEscape(h)+"/cancel", `{"session_id":`+word+`}`)
	}
	require.NoError(t, p.Flush())
	subjects := map[string]int{}
	for _, m := range p.heard("") {
		subjects[m.Subject]++
		require.Regexp(t, grammar, m.Subject)
		if m.Reply != "" {
			require.Regexp(t, grammar, m.Reply)
		}
	}
	require.Greater(t, len(p.heard(`\.chat\.echo$`)), len(hostile)-1, "the hostile words were asked with")
	require.NotRegexp(t, grammar, "troupe.v1.chat.a.b", "the grammar can fail")
}

func pathEscape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func TestTwoPrefixesNeverMeet(t *testing.T) {
	s := bustest.Server(t)
	prefix := func(p string) func(*appOptions) { return with(func(c *config.Config) { c.Bus.Prefix = p }) }
	a, b := start(t, over(s, roleServe), prefix("aa")), start(t, over(s, roleServe), prefix("bb"))
	p := tapInto(t, s.URL())
	for i := range 5 {
		c := a.dial(fmt.Sprintf("/ws/chat/s%d", i))
		c.send(`{"type":"chat","id":"x","content":"from a","model":"echo-0s"}`)
		text, _ := c.answer()
		require.Equal(t, "from a", text)
	}
	require.Eventually(t, func() bool { return len(p.heard(`^aa\.v1\.beat`)) > 3 && len(p.heard(`^bb\.v1\.beat`)) > 3 }, 5*time.Second, 10*time.Millisecond)
	require.Len(t, p.heard(`^aa\.v1\.chat\.`), 5)
	require.Empty(t, p.heard(`^bb\.v1\.(chat|worker|gateway)\.`))
	require.Equal(t, "5", a.metric(`troupe_runs_total{outcome="complete",provider="echo"}`))
	require.NotEqual(t, "5", b.metric(`troupe_runs_total{outcome="complete",provider="echo"}`))
	require.Equal(t, []int{1, 1}, []int{a.gateway.actors.Health().Workers, b.gateway.actors.Health().Workers})
}

func TestGatewayAndWorkerApart(t *testing.T) {
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		if r.Model == "slow" {
			return slowly("some")
		}
		return providertest.Say("by the vendor")
	})
	s := bustest.Server(t)
	start(t, over(s, roleWorker), asking(v, "sk-deployment"))
	g := start(t, over(s, roleGateway))
	g.knows(1)
	p := tapInto(t, s.URL())

	c := g.dial("/ws/chat/s1")
	c.send(`{"type":"chat","content":"Hello there!"}`)
	text, last := c.answer()
	require.Equal(t, []string{"Hello there!", "complete"}, []string{text, last.Type})
	status, body, _ := g.post("/api/chat", `{"content":"over HTTP"}`)
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "over HTTP", parse(t, body).FullResponse)
	status, body, _ = g.post("/api/chat", `{"content":"events"}`, "Accept", "text/event-stream")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "event: complete\n")

	c.send(`{"type":"chat","id":"k","content":"x","provider":"openai","api_keys":{"openai":"sk-of-the-user"}}`)
	text, _ = c.answer()
	require.Equal(t, "by the vendor", text)
	require.Equal(t, "Bearer sk-of-the-user", v.Requests()[0].Authorization)
	require.NotEmpty(t, p.heard(`\.control$`))
	for _, m := range p.heard("") {
		require.NotContains(t, string(m.Data), "sk-of-the-user")
	}

	c.send(`{"type":"chat","id":"c","content":"x","provider":"openai","model":"slow"}`)
	run := c.next().RunID
	require.Equal(t, "some", c.next().Content)
	other := g.dial("/ws/chat/s1")
	other.send(`{"type":"resume","run_id":"` + run + `"}`)
	require.Equal(t, []string{"snapshot", "some"}, firstTwo(other.next()))
	other.send(`{"type":"cancel"}`)
	for _, follower := range []*peer{c, other} {
		f := follower.next()
		require.Equal(t, []string{"cancelled", "some"}, []string{f.Type, f.FullResponse})
	}
	v.WaitLeft(t, 1, time.Second)
}

func TestEmbeddedBusThatEnds(t *testing.T) {
	w := start(t, wide)
	c, named := w.dial("/ws/chat/s1"), w.dial("/ws/chat/s2")
	c.send(`{"type":"chat","content":"before"}`)
	c.answer()
	w.nats.Shutdown()
	require.Eventually(t, func() bool { return w.gateway.actors.Health().Bus == "down" }, 6*time.Second, time.Millisecond)
	for _, chat := range []string{`{"type":"chat","content":"after"}`, `{"type":"chat","id":"n","content":"after"}`} {
		at := time.Now()
		c.send(chat)
		f := c.next()
		require.Equal(t, []string{"error", "BUS_UNAVAILABLE"}, []string{f.Type, f.Code})
		require.Positive(t, f.RetryAfter)
		require.Less(t, time.Since(at), 500*time.Millisecond, "at once")
	}
	status, body, header := w.post("/api/chat", `{"content":"x"}`)
	require.Equal(t, http.StatusServiceUnavailable, status, body)
	require.Equal(t, "BUS_UNAVAILABLE", parse(t, body).Code)
	require.NotEmpty(t, header.Get("Retry-After"))
	for _, p := range []*peer{c, named} {
		p.send(`{"type":"ping"}`)
		require.Equal(t, "pong", p.next().Type)
	}
	status, body, _ = w.get("/api/health")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, `"bus":"down"`)
	status, _, _ = w.get("/livez")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "0", w.metric("troupe_bus_connected"))
	require.Equal(t, 2, w.gateway.actors.Status().WebSocketManager.ActiveConnections)
}

func TestExternalBusRestarts(t *testing.T) {
	s := bustest.Server(t)
	w := start(t, over(s, roleServe))
	c, idle := w.dial("/ws/chat/s1"), w.dial("/ws/chat/s2")
	const words = 150
	c.send(`{"type":"chat","id":"n","content":"word","model":"echo-10ms-` + fmt.Sprint(words) + `w"}`)
	for range 10 {
		c.next()
	}
	s.Kill()
	require.Eventually(t, func() bool { return w.gateway.actors.Health().Bus == "down" }, 6*time.Second, time.Millisecond)
	idle.send(`{"type":"chat","content":"x"}`)
	require.Equal(t, "BUS_UNAVAILABLE", idle.next().Code)
	idle.send(`{"type":"ping"}`)
	require.Equal(t, "pong", idle.next().Type)
	s.Start()
	at := time.Now()
	require.Eventually(t, func() bool {
		status, body, _ := w.post("/api/chat", `{"content":"again","model":"echo-0s"}`)
		return status == http.StatusOK && parse(t, body).FullResponse == "again"
	}, 10*time.Second, 10*time.Millisecond)
	t.Log("chat works again after", time.Since(at))

	want := strings.TrimSpace(strings.Repeat("word ", words))
	_, last := readOn(c)
	require.Equal(t, []string{"complete", want}, []string{last.Type, last.FullResponse}, last.Code)
	require.EqualValues(t, words+1, last.Seq)
	idle.send(`{"type":"chat","content":"same socket"}`)
	text, _ := idle.answer()
	require.Equal(t, "same socket", text)
	require.Len(t, w.logged("Run accepted"), 3, "no question was asked twice")
}

// A server that stops answering without closing a connection is noticed, and a
// turn that lives through it misses nothing.
func TestBusThatHangs(t *testing.T) {
	s := bustest.Server(t)
	w := start(t, over(s, roleServe))
	c := w.dial("/ws/chat/s1")
	const words = 900
	c.send(`{"type":"chat","id":"n","content":"word","model":"echo-10ms-` + fmt.Sprint(words) + `w"}`)
	require.Equal(t, "accepted", c.next().Type)
	s.Freeze()
	at := time.Now()
	require.Eventually(t, func() bool { return w.gateway.actors.Health().Bus == "down" }, 6*time.Second, 5*time.Millisecond)
	t.Log("noticed after", time.Since(at))
	s.Thaw()
	_, last := readOn(c)
	require.Equal(t, []string{"complete", strings.TrimSpace(strings.Repeat("word ", words))}, []string{last.Type, last.FullResponse}, last.Code)
}

func TestNobodyWorks(t *testing.T) {
	s := bustest.Server(t)
	g := start(t, over(s, roleGateway))
	require.Eventually(t, g.gateway.bus.Connected, 5*time.Second, time.Millisecond)
	c := g.dial("/ws/chat/s1")
	for _, id := range []string{"", `"id":"n",`} {
		at := time.Now()
		c.send(`{"type":"chat",` + id + `"content":"x"}`)
		f := c.next()
		require.Equal(t, []string{"error", "NO_WORKERS"}, []string{f.Type, f.Code}, "a named turn does not wait for a worker that is not there")
		require.Positive(t, f.RetryAfter)
		require.Less(t, time.Since(at), 500*time.Millisecond, "at once")
	}
	status, body, _ := g.post("/api/chat", `{"content":"x"}`)
	require.Equal(t, []any{http.StatusServiceUnavailable, "NO_WORKERS"}, []any{status, parse(t, body).Code})

	worker := start(t, over(s, roleWorker))
	g.knows(1)
	c.send(`{"type":"chat","content":"now"}`)
	text, _ := c.answer()
	require.Equal(t, "now", text)
	worker.stop(context.Background()) // says goodbye
	g.knows(0)
	c.send(`{"type":"chat","content":"x"}`)
	require.Equal(t, "NO_WORKERS", c.next().Code)
}

func TestAFullWorker(t *testing.T) {
	w := start(t, wide, with(func(c *config.Config) { c.Worker.MaxRuns = 1 }))
	busy, named, unnamed := w.dial("/ws/chat/s1"), w.dial("/ws/chat/s2"), w.dial("/ws/chat/s3")
	busy.send(`{"type":"chat","id":"b","content":"word","model":"echo-10ms-200w"}`)
	require.Equal(t, "accepted", busy.next().Type)
	named.send(`{"type":"chat","id":"n","content":"patience"}`)
	f := named.next()
	require.Equal(t, []string{"status", "queued"}, []string{f.Type, f.State})
	unnamed.send(`{"type":"chat","content":"x"}`)
	f = unnamed.next()
	require.Equal(t, []string{"error", "OVERLOADED"}, []string{f.Type, f.Code})
	require.Positive(t, f.RetryAfter)
	status, body, _ := w.post("/api/chat", `{"content":"x"}`)
	require.Equal(t, []any{http.StatusServiceUnavailable, "OVERLOADED"}, []any{status, parse(t, body).Code})

	_, last := readOn(busy)
	require.Equal(t, "complete", last.Type)
	text, last := named.answer()
	require.Equal(t, []string{"patience", "complete"}, []string{text, last.Type}, last.Message)
}

func TestAQueuedTurnDoesNotWaitForEver(t *testing.T) {
	w := start(t, wide, with(func(c *config.Config) { c.Worker.MaxRuns = 1; c.Runs.QueueTimeout = 300 * time.Millisecond }))
	busy, named := w.dial("/ws/chat/s1"), w.dial("/ws/chat/s2")
	busy.send(`{"type":"chat","id":"b","content":"word","model":"echo-10ms-2000w"}`)
	require.Equal(t, "accepted", busy.next().Type)
	named.send(`{"type":"chat","id":"n","content":"patience"}`)
	require.Equal(t, "queued", named.next().State)
	require.Equal(t, "OVERLOADED", named.next().Code)
	named.send(`{"type":"chat","id":"m","content":"patience"}`)
	require.Equal(t, "queued", named.next().State)
	named.send(`{"type":"cancel","id":"m"}`)
	require.Equal(t, "cancelled", named.next().Type)
}

// twoWorkers is a gateway with two workers that ask v. The first to get a
// question is found by who accepted.
func twoWorkers(t *testing.T, v *providertest.Server) (g *whole, workers map[string]*whole) {
	t.Helper()
	s := bustest.Server(t)
	workers = map[string]*whole{}
	for range 2 {
		w := start(t, over(s, roleWorker), asking(v, "sk-1"))
		workers[w.worker.actors.ID()] = w
	}
	g = start(t, over(s, roleGateway))
	g.knows(2)
	return g, workers
}

func workerOf(run string) string {
	worker, _, _ := strings.Cut(run, "-")
	return worker
}

func TestALostWorkersTurnMovesBeforeTheFirstChunk(t *testing.T) {
	var once sync.Once
	v := providertest.NewFunc(t, func(providertest.Request) (s providertest.Script) {
		s = providertest.Say("second", " try")
		once.Do(func() { s = mute() })
		return s
	})
	g, workers := twoWorkers(t, v)
	c := g.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"n","content":"x","provider":"openai","api_keys":{"openai":"sk-user"}}`)
	first := c.next()
	require.Equal(t, "accepted", first.Type)
	v.WaitOpen(t, 1, 5*time.Second)
	at := time.Now()
	workers[workerOf(first.RunID)].kill()

	second := c.next()
	require.Equal(t, "accepted", second.Type)
	require.Equal(t, "n", second.ID)
	require.NotEqual(t, workerOf(first.RunID), workerOf(second.RunID))
	text, last := c.answer()
	require.Less(t, time.Since(at), 3*time.Second)
	require.Equal(t, []string{"second try", "complete", second.RunID}, []string{text, last.Type, last.RunID})
	require.Len(t, v.Requests(), 2)
	require.Equal(t, "Bearer sk-user", v.Requests()[1].Authorization, "the key moves too")
	resumed := g.dial("/ws/chat/s1")
	resumed.send(`{"type":"resume","run_id":"` + second.RunID + `"}`)
	require.Equal(t, []string{"snapshot", "second try"}, firstTwo(resumed.next()))
}

func TestAQuestionMovesOnce(t *testing.T) {
	v := providertest.New(t, mute())
	g, workers := twoWorkers(t, v)
	c := g.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"n","content":"x","provider":"openai"}`)
	for range 2 {
		workers[workerOf(c.next().RunID)].kill()
	}
	f := c.next()
	require.Equal(t, []string{"error", "WORKER_LOST"}, []string{f.Type, f.Code})
	require.Len(t, v.Requests(), 2)
}

func TestALostWorkersTurnEndsAfterTheFirstChunk(t *testing.T) {
	v := providertest.New(t, slowly("some", " text"))
	for _, tt := range []struct {
		name string
		end  func(*whole)
		code string
	}{
		{"killed", (*whole).kill, "WORKER_LOST"},
		{"stopped", func(w *whole) { w.stop(context.Background()) }, "WORKER_LOST or SHUTTING_DOWN"}, // its goodbye and its last words race
		{"drained", func(w *whole) {
			now, cancel := context.WithCancel(context.Background())
			cancel()
			w.drain(now)
			w.stop(context.Background())
		}, "SHUTTING_DOWN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, workers := twoWorkers(t, v)
			c := g.dial("/ws/chat/s1")
			c.send(`{"type":"chat","id":"n","content":"x","provider":"openai"}`)
			run := c.next().RunID
			require.Equal(t, "some", c.next().Content)
			require.Equal(t, " text", c.next().Content)
			at := time.Now()
			tt.end(workers[workerOf(run)])
			f := c.next()
			require.Less(t, time.Since(at), 3*time.Second)
			require.Equal(t, []string{"error", "some text"}, []string{f.Type, f.Partial})
			require.Contains(t, tt.code, f.Code, f.Message)
			g.knows(1)
			c.send(`{"type":"chat","id":"m","content":"goes on"}`)
			text, _ := c.answer()
			require.Equal(t, "goes on", text)
		})
	}
}

// The bus delivers a job again, at once and after its run ended: one provider
// call, one accept.
func TestARepeatedJobStartsNothing(t *testing.T) {
	s := providertest.Say("once")
	s.Before = 200 * time.Millisecond
	v := providertest.New(t, s)
	w := start(t, asking(v, "sk-1"))
	p := w.tap()
	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"n","content":"x","provider":"openai"}`)
	require.Equal(t, "accepted", c.next().Type)
	require.Eventually(t, func() bool { return len(p.heard(`\.chat\.openai$`)) == 1 }, 2*time.Second, time.Millisecond)
	job := p.heard(`\.chat\.openai$`)[0]
	repeat := func() {
		for range 3 {
			require.NoError(t, p.PublishRequest(job.Subject, job.Reply, job.Data))
		}
		require.NoError(t, p.Flush())
	}
	repeat()
	text, last := c.answer()
	require.Equal(t, []string{"once", "complete"}, []string{text, last.Type})
	repeat()
	c.send(`{"type":"chat","id":"m","content":"x","provider":"openai"}`) // behind the repeats, in their own subscription
	c.answer()
	require.Len(t, v.Requests(), 2)
	require.Equal(t, "2", w.metric(`troupe_runs_total{outcome="complete",provider="openai"}`))
	require.Len(t, w.logged("Run accepted"), 2)
}
