package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/pressure"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// strain is what a test says instead of the runtime.
type strain struct {
	read atomic.Pointer[func() pressure.Reading]
}

func (s *strain) Read() pressure.Reading {
	if read := s.read.Load(); read != nil {
		return (*read)()
	}
	return pressure.Reading{}
}

func (s *strain) Freshen() {}

func (s *strain) says(read func() pressure.Reading) { s.read.Store(&read) }

func (s *strain) memory(percent uint64) {
	s.says(func() pressure.Reading { return pressure.Reading{Memory: percent, Limit: 100} })
}

// strained has a whole Troupe believe what s says, of memory: how busy the
// machine of the tests is counts for nothing.
func strained(s *strain) func(*appOptions) {
	return func(o *appOptions) {
		o.Strain = s
		o.Config.Overload = pressure.Config{Enabled: true, Memory: []int{80, 90, 95}}
	}
}

func (w *whole) stage(n int) {
	w.t.Helper()
	until(w.t, fmt.Sprintf("stage %d", n), func() bool { return w.status().Pressure.Stage == n })
}

func TestOverloadInStages(t *testing.T) {
	t.Parallel()
	s := &strain{}
	w := start(t, wide, strained(s))
	runs := w.dial("/ws/chat/s1")
	runs.send(`{"type":"chat","id":"1","content":"a b c d e f g h i j","model":"echo-300ms"}`)
	require.Equal(t, "accepted", runs.next().Type)

	s.memory(81)
	w.stage(1)
	other := w.dial("/ws/chat/s2")
	other.send(`{"type":"chat","id":"1","content":"too late"}`)
	no := other.next()
	require.Equal(t, []string{"error", "OVERLOADED", "1"}, []string{no.Type, no.Code, no.ID})
	require.Positive(t, no.RetryAfter)
	status, body, header := w.post("/api/chat", `{"content":"too late"}`)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "OVERLOADED", parse(t, body).Code)
	require.Equal(t, strconv.Itoa(parse(t, body).RetryAfter), header.Get("Retry-After"))
	status, body, _ = w.get("/api/health")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `"status":"degraded"`)
	require.Contains(t, body, `"pressure":1`)

	s.memory(92)
	w.stage(2)
	refused := w.dial("/ws/chat/s3") // a browser could not read why a handshake failed
	require.Equal(t, "OVERLOADED", refused.next().Code)
	require.Equal(t, websocket.StatusTryAgainLater, refused.closed())
	require.Equal(t, "2", w.metric("troupe_pressure_stage"))
	status, _, _ = w.get("/readyz")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "1", w.metric(`troupe_shed_total{what="connection"}`))

	_, last := runs.answer()
	require.Equal(t, "complete", last.Type, "what ran goes on")
	s.memory(10)
	w.stage(0)
	other.send(`{"type":"chat","id":"2","content":"now","model":"echo-0s"}`)
	_, last = other.answer()
	require.Equal(t, "complete", last.Type)
	changes := []any{}
	for _, message := range []string{"Under pressure: no new questions", "Under pressure: no new questions and connections", "Pressure is over: everything is taken again"} {
		for _, line := range w.logged(message) {
			changes = append(changes, line["stage"])
		}
	}
	require.Equal(t, []any{1., 1., 2., 0.}, changes, "a line for each change, up and down")
}

// At stage three readers that are behind are cut and can resume; those that keep
// up are not.
func TestOverloadCutsSlowReaders(t *testing.T) {
	t.Parallel()
	s := &strain{}
	w := start(t, wide, strained(s), with(func(c *config.Config) { c.WebSocket.OutboxBytes = 8 << 20 }))
	good := w.dial("/ws/chat/good")
	slow := w.wire("/ws/chat/slow", 4096)
	slow.write(masked(final|opText, `{"type":"chat","id":"1","content":"word","model":"echo-0s-20000w"}`))
	until(t, "much waits for it", func() bool {
		n, _ := strconv.ParseFloat(w.metric("troupe_outbox_bytes"), 64)
		return n > 100_000 && w.metric(`troupe_runs_total{outcome="complete",provider="echo"}`) == "1"
	})
	s.memory(97)
	w.stage(3)
	code, texts := slow.ended()
	require.Equal(t, 1013, code)
	require.Equal(t, "accepted", texts[0].Type)
	require.Equal(t, "1", w.metric(`troupe_shed_total{what="reader"}`))
	s.memory(10)
	w.stage(0)
	back := w.dial("/ws/chat/slow")
	back.send(`{"type":"resume","run_id":"` + texts[0].RunID + `"}`)
	f := back.next()
	require.Equal(t, "snapshot", f.Type)
	require.Len(t, f.Content, 20_000*len("word ")-1)
	good.send(`{"type":"ping"}`)
	require.Equal(t, "pong", good.next().Type)
}

func TestOffendersWhole(t *testing.T) {
	t.Parallel()
	w := start(t, wide, with(func(c *config.Config) {
		c.Limits.Offenders.Max = 3
		c.HTTP.TrustedProxies = []string{"127.0.0.0/8"}
		c.HTTP.AdminToken = protocol.NewSecret([]byte("0123456789abcdef"))
	}))
	from := func(address string) []string { return []string{"X-Forwarded-For", address} }
	for range 3 {
		c := w.dial("/ws/chat/s1", from("203.0.113.1")...)
		require.NoError(t, c.Write(t.Context(), websocket.MessageBinary, []byte("no")))
		require.Equal(t, websocket.StatusUnsupportedData, c.closed())
	}
	until(t, "its address is known", func() bool { return w.status().RateLimiter.Offenders > 0 })
	var no said
	until(t, "the door is closed", func() bool {
		c := w.dial("/ws/chat/s1", from("203.0.113.1")...)
		c.send(`{"type":"ping"}`)
		no = c.next()
		return no.Type == "error"
	})
	require.Equal(t, "CONNECTION_RATE_EXCEEDED", no.Code)
	require.Positive(t, no.RetryAfter)
	status, body, header := w.post("/api/chat", `{"content":"x"}`, from("203.0.113.1")...)
	require.Equal(t, http.StatusTooManyRequests, status, body)
	require.NotEmpty(t, header.Get("Retry-After"))
	for range 3 {
		status, body, _ = w.post("/api/chat", `{no`, from("203.0.113.3")...)
		require.Equal(t, http.StatusBadRequest, status, body)
	}
	until(t, "the door is closed to exchanges", func() bool {
		status, _, _ = w.post("/api/chat", `{"content":"x"}`, from("203.0.113.3")...)
		return status == http.StatusTooManyRequests
	})
	w.dial("/ws/chat/s1", from("203.0.113.2")...).admitted()
	for range 5 { // the proxy itself is never to blame
		c := w.dial("/ws/chat/s1")
		require.NoError(t, c.Write(t.Context(), websocket.MessageBinary, []byte("no")))
		c.closed()
	}
	w.dial("/ws/chat/s1").admitted()
	status, _, _ = w.post("/api/debug/reset-rate-limits", "", "Authorization", "Bearer 0123456789abcdef")
	require.Equal(t, http.StatusOK, status)
	w.dial("/ws/chat/s1", from("203.0.113.1")...).admitted()
}

// flood asks so many questions a second for a while, each whether the others
// are answered or not.
type flood struct {
	complete, refused, silent, other atomic.Int64 // silent: refused without saying when to come back
}

func (f *flood) run(w *whole, client *http.Client, perSecond int, long time.Duration) {
	var asking sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for over := time.After(long); ; {
		select {
		case <-over:
			asking.Wait()
			return
		case <-tick.C:
			asking.Go(func() { f.ask(w, client) })
		}
	}
}

// ask asks one question that takes two seconds.
func (f *flood) ask(w *whole, client *http.Client) {
	resp, err := client.Post(w.http("/api/chat"), "application/json", strings.NewReader(`{"content":"a b c d e f g h i j k","model":"echo-200ms"}`))
	if err != nil {
		f.other.Add(1)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	var said said
	_ = json.NewDecoder(resp.Body).Decode(&said)
	switch {
	case said.Type == "complete":
		f.complete.Add(1)
	case said.Code == "OVERLOADED" && (said.RetryAfter == 0 || resp.Header.Get("Retry-After") == ""):
		f.silent.Add(1)
	case said.Code == "OVERLOADED":
		f.refused.Add(1)
	default:
		f.other.Add(1)
	}
}

// Twice and five times what it can: memory here is what runs, a unit for each
// answer, and 25 of them are as much as there is. As much is answered as at its
// best, whoever is refused is told when to come back, and five seconds later
// nothing is left of it.
func TestGoodputUnderOverload(t *testing.T) {
	t.Parallel()
	s := &strain{}
	w := start(t, wide, strained(s))
	s.says(func() pressure.Reading {
		return pressure.Reading{Memory: 4 * uint64(w.status().Runs.Active), Limit: 100}
	})
	transport := &http.Transport{MaxIdleConnsPerHost: 500}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	const capacity = 8 // a second: 16 answers at once, which is 64 %
	const long = 6 * time.Second
	var peak flood
	peak.run(w, client, capacity, 3*time.Second)
	require.Zero(t, peak.refused.Load()+peak.other.Load(), "there was no reason")
	best := float64(peak.complete.Load()) / 3
	for _, times := range []int{2, 5} {
		var f flood
		f.run(w, client, times*capacity, long)
		good := float64(f.complete.Load()) / long.Seconds()
		t.Logf("%d ×: %.1f answered a second of %.1f at best; refused %d", times, good, best, f.refused.Load())
		require.GreaterOrEqual(t, good, .9*best)
		require.Positive(t, f.refused.Load())
		require.Zero(t, f.silent.Load(), "a refusal says when to come back")
		require.Zero(t, f.other.Load())
		require.Eventually(t, func() bool {
			var once flood
			once.ask(w, client)
			return once.complete.Load() == 1 && w.status().Pressure.Stage == 0
		}, 5*time.Second, 100*time.Millisecond, "normal again")
	}
	w.quiet(0)
}
