package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// figures are all our series with their values; a histogram is its count. What
// depends on how the kernel cuts the bytes is left out.
func (w *whole) figures() map[string]float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	require.NoError(w.t, err)
	out := map[string]float64{}
	volatile := regexp.MustCompile(`^troupe_(frames_.*|socket_writes_total|pings_total|outbox_bytes|dead_letters_total)$`)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "troupe_") || volatile.MatchString(f.GetName()) {
			continue
		}
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			switch {
			case m.GetHistogram() != nil:
				out[name] = float64(m.GetHistogram().GetSampleCount())
			case m.GetCounter() != nil:
				out[name] = m.GetCounter().GetValue()
			default:
				out[name] = m.GetGauge().GetValue()
			}
		}
	}
	return out
}

// moves says by how much every figure changed while act ran; one that is not
// named must not have changed. The last figures of a run are written just after
// its client was told, so they are waited for.
func (w *whole) moves(what string, want map[string]float64, act func()) {
	w.t.Helper()
	before := w.figures()
	act()
	var got map[string]float64
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got = w.figures()
		maps.DeleteFunc(got, func(name string, v float64) bool { return v == before[name] })
		for name := range got {
			got[name] -= before[name]
		}
		if maps.Equal(got, want) || time.Now().After(end) {
			break
		}
	}
	require.Equal(w.t, want, got, what)
}

// TestMetricsOfAKnownLoad asks for exactly so much and finds exactly so much
// counted, and nothing else.
func TestMetricsOfAKnownLoad(t *testing.T) {
	v := providertest.New(t, slowly("some"))
	w := start(t, with(func(c *config.Config) {
		c.Limits = limit.Config{Messages: limit.Rule{Max: 3, Window: time.Hour}}
		c.Pool.MaxConnections, c.Pool.MaxPerIP = 100, 4
		c.Providers["openai"] = provider.Config{
			Type: provider.TypeOpenAI, BaseURL: v.URL(), DefaultModel: "m", APIKeys: []protocol.Secret{protocol.NewSecret([]byte("sk-known-load"))},
		}
	}))
	require.Equal(t, 100.0, w.figures()["troupe_pool_limit"])
	require.Equal(t, 1.0, w.figures()["troupe_workers"])
	until(t, "the key is shown", func() bool { return w.figures()["troupe_provider_keys openai ready"] == 1 })

	var c [4]*peer
	w.moves("four connections", map[string]float64{
		"troupe_connections open": 4, "troupe_connections_total accepted": 4, "troupe_handshakes_total ok": 4, "troupe_pool_slots": 4,
		"troupe_limit_decisions_total connection allowed": 4, "troupe_limit_decisions_total session allowed": 4,
	}, func() {
		for i := range c {
			c[i] = w.dial(fmt.Sprint("/ws/chat/s", i)).admitted()
		}
	})
	w.moves("one beyond the pool", map[string]float64{
		"troupe_connections_total rejected": 1, "troupe_handshakes_total ok": 1, "troupe_errors_total CONNECTION_LIMIT_EXCEEDED": 1,
		"troupe_limit_decisions_total connection allowed": 1, "troupe_limit_decisions_total session allowed": 1,
	}, func() { w.dial("/ws/chat/s5").refusedWith("CONNECTION_LIMIT_EXCEEDED") })
	w.moves("two foreign origins and a handshake without a key", map[string]float64{
		"troupe_handshakes_total origin": 2, "troupe_handshakes_total bad": 1, "troupe_errors_total ORIGIN_NOT_ALLOWED": 2,
	}, func() {
		for range 2 {
			status, _, _ := w.upgrade("/ws/chat/s", "Origin", "https://evil.example")
			require.Equal(t, http.StatusForbidden, status)
		}
		status, _, _ := w.get("/ws/chat/s", "Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "13")
		require.Equal(t, http.StatusBadRequest, status)
	})
	w.moves("three answers of four words, and one question too many", map[string]float64{
		"troupe_limit_decisions_total message allowed": 3, "troupe_limit_decisions_total message rejected": 1,
		"troupe_errors_total RATE_LIMIT_EXCEEDED": 1,
		"troupe_runs_total complete echo":         3, "troupe_provider_calls_total echo ok": 3, "troupe_chunks_total": 12,
		"troupe_tokens_total input true echo": 4 + 12 + 20, "troupe_tokens_total output true echo": 12, // with the memory of the session
		"troupe_time_to_first_token_seconds": 3, "troupe_chunk_gap_seconds": 3,
	}, func() {
		for range 3 {
			c[0].send(`{"type":"chat","content":"a b c d","model":"echo-1ms"}`)
			_, last := c[0].answer()
			require.Equal(t, "complete", last.Type)
		}
		c[0].send(`{"type":"chat","content":"too many"}`)
		require.Equal(t, "RATE_LIMIT_EXCEEDED", c[0].next().Code)
	})
	w.moves("two answers that are cancelled after a word", map[string]float64{
		"troupe_limit_decisions_total message allowed": 2,
		"troupe_runs_total cancelled openai":           2, "troupe_provider_calls_total openai other": 2, "troupe_chunks_total": 2,
		"troupe_tokens_total input true openai": 2, "troupe_tokens_total output true openai": 2,
		"troupe_time_to_first_token_seconds": 2, "troupe_chunk_gap_seconds": 2, "troupe_cancel_seconds": 2,
	}, func() {
		for i := range 2 {
			c[i+1].send(`{"type":"chat","id":"c","content":"x","provider":"openai"}`)
			require.Equal(t, "accepted", c[i+1].next().Type)
			require.Equal(t, "chunk", c[i+1].next().Type)
			require.Equal(t, 1.0, w.figures()["troupe_runs_active openai"])
			c[i+1].send(`{"type":"cancel","id":"c"}`)
			require.Equal(t, "cancelled", c[i+1].next().Type)
		}
	})
	w.moves("a provider that nobody has", map[string]float64{"troupe_errors_total UNKNOWN_PROVIDER": 1}, func() {
		c[3].send(`{"type":"chat","content":"x","provider":"nobody"}`)
		require.Equal(t, "error", c[3].next().Type)
	})
	w.moves("they leave", map[string]float64{"troupe_connections open": -4, "troupe_pool_slots": -4}, func() {
		for _, one := range c {
			one.CloseNow()
		}
	})
	w.moves("one that does not read", map[string]float64{
		"troupe_connections_total accepted": 1, "troupe_handshakes_total ok": 1,
		"troupe_limit_decisions_total connection allowed": 1, "troupe_limit_decisions_total session allowed": 1,
		"troupe_limit_decisions_total message allowed": 1,
		"troupe_slow_consumers_total":                  1, "troupe_errors_total SLOW_CONSUMER": 1,
		"troupe_runs_total complete echo": 1, "troupe_provider_calls_total echo ok": 1,
		"troupe_chunks_total": 250, "troupe_tokens_total output true echo": 250, "troupe_tokens_total input true echo": 1, // 4 KiB each
		"troupe_time_to_first_token_seconds": 1, "troupe_chunk_gap_seconds": 1,
	}, func() {
		slow := w.wire("/ws/chat/slow", 16<<10)
		slow.write(masked(final|opText, `{"type":"chat","id":"slow","content":"0123456789abcdef","model":"echo-0s-1000kb"}`))
		require.NotEmpty(t, slow.text().RunID)
		until(t, "it is cut", func() bool { return w.figures()["troupe_slow_consumers_total"] == 1 })
		slow.Close()
	})
}

// TestSeriesAreBounded: what clients write, in whatever place, never becomes a
// label. After some thousand sessions with ids, products, providers, models,
// keys and origins of their own there are the same series as before, and fewer
// than a thousand.
func TestSeriesAreBounded(t *testing.T) {
	w := start(t, wide)
	before := gathered(t, w.registry, ofRole(roleServe))
	t.Log(before, "series")
	require.Less(t, before, 1000)
	const clients, each = 8, 250
	hostile := []string{`x"} 1`, "x\ny", "éé", "a{b=\"c\"}", "../../metrics", strings.Repeat("l", 60), "%s%n", "troupe_runs_total"}
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprint(hostile[i%len(hostile)], client, "-", i)
				body := fmt.Sprintf(`{"content":%q,"session_id":%q,"id":%q,"provider":%q,"model":%q,"product_id":%q}`,
					name, name, name, []string{"echo", name}[i%2], []string{"echo-0s", name}[i/2%2], name)
				resp, err := http.Post(w.http("/api/chat"), "application/json", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp, err = http.Get(w.http("/" + url.PathEscape(name))); err == nil {
					resp.Body.Close()
				}
				if i%5 > 0 {
					continue
				}
				if c, _, err := w.tryDial("/ws/chat/"+url.PathEscape(name), "Origin", "http://"+fmt.Sprint("o", client, "-", i)+".example"); err == nil {
					c.CloseNow()
				}
				if c, _, err := w.tryDial("/ws/chat/" + url.PathEscape(name)); err == nil {
					_ = c.Write(t.Context(), 1, []byte(fmt.Sprintf(`{"type":%q,"id":%q,"content":"x","api_keys":{%q:"k"}}`, []string{"chat", name}[i/5%2], name, name)))
					_, _, _ = c.Read(t.Context())
					c.CloseNow()
				}
			}
		})
	}
	wg.Wait()
	require.Greater(t, w.figures()["troupe_handshakes_total origin"], 100.0)
	require.Greater(t, w.figures()["troupe_handshakes_total ok"], 100.0)
	require.Equal(t, before, gathered(t, w.registry, ofRole(roleServe)))
}
