package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/config"
)

// has requires these fields of a log line, and that none of the others that a
// line of the contract can have is empty.
func has(t *testing.T, line map[string]any, level string, fields map[string]any) {
	t.Helper()
	require.Equal(t, level, line["level"])
	for name, want := range fields {
		require.Equal(t, want, line[name], "%s of %v", name, line)
	}
	for _, name := range []string{"connection", "address", "session"} {
		require.NotEmpty(t, line[name], "%s of %v", name, line)
	}
}

func TestLogMessagesPeopleMonitor(t *testing.T) {
	w := start(t, with(func(c *config.Config) {
		c.Pool.MaxPerIP = 2
		c.Limits.Messages.Max = 1
		c.Limits.Connections.Max = 4
		c.WebSocket.MaxMessageBytes = 4096
	}))
	c := w.dial("/ws/chat/s1", "Origin", "http://localhost:3000").admitted()
	successful := w.logged("WebSocket connection successful")
	require.Len(t, successful, 1)
	has(t, successful[0], "info", map[string]any{"session": "s1", "address": "127.0.0.1", "origin": "http://localhost:3000"})
	id := successful[0]["connection"]

	c.send(`{"type":"chat","content":"x","model":"echo-0s"}`)
	c.answer()
	for range 5 {
		c.send(`{"type":"chat","content":"x","model":"echo-0s"}`)
		_, last := c.answer()
		require.Equal(t, "RATE_LIMIT_EXCEEDED", last.Code)
	}
	limited := w.logged("Rate limit exceeded")
	require.Len(t, limited, 1, "repeats are folded")
	has(t, limited[0], "warn", map[string]any{
		"session": "s1", "connection": id, "address": "127.0.0.1", "limit": "message", "count": 1.0, "max": 1.0, "window": "1m0s",
	})
	require.InDelta(t, 60, limited[0]["retry_after"], 5)

	other := w.dial("/ws/chat/s2").admitted()
	for range 3 {
		w.dial("/ws/chat/s3").refusedWith("CONNECTION_LIMIT_EXCEEDED")
	}
	full := w.logged("Connection limit reached")
	require.Len(t, full, 1, "repeats are folded")
	has(t, full[0], "warn", map[string]any{"session": "s3", "address": "127.0.0.1", "limit": "pool", "scope": "address", "count": 2.0, "retry_after": 5.0})

	status, _, _ := w.upgrade("/ws/chat/s1", "Origin", "https://evil.example")
	require.Equal(t, http.StatusForbidden, status)
	rejected := w.logged("WebSocket connection rejected: Invalid origin")
	require.Len(t, rejected, 1)
	require.Equal(t, []any{"warn", "https://evil.example", "127.0.0.1", "s1"},
		[]any{rejected[0]["level"], rejected[0]["origin"], rejected[0]["address"], rejected[0]["session"]})

	other.send(`{"type":"chat","content":"` + strings.Repeat("x", 5000) + `"}`)
	require.Equal(t, "MESSAGE_TOO_BIG", other.next().Code)
	require.Equal(t, websocket.StatusMessageTooBig, other.closed())
	other.CloseNow()
	require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
	w.quiet(0)
	failed := w.logged("WebSocket connection error")
	require.Len(t, failed, 1)
	has(t, failed[0], "warn", map[string]any{"session": "s2", "cause": "message_too_big"})
	var ours []map[string]any
	for _, line := range w.logged("WebSocket connection closed") {
		if line["connection"] == id {
			ours = append(ours, line)
		}
	}
	require.Len(t, ours, 1)
	has(t, ours[0], "info", map[string]any{"session": "s1", "cause": "client_closed", "live_turns": 0.0})
	require.NotContains(t, ours[0], "code")

	w.dial("/ws/chat/-").refusedWith("INVALID_SESSION")
	w.quiet(0)
	lines := w.logged("WebSocket connection closed")
	has(t, lines[len(lines)-1], "info", map[string]any{"session": "-", "cause": "server_closed", "code": "INVALID_SESSION"})
}

// Whatever a stranger sends, one event is one line, in both formats.
func TestLogIsOneLinePerEvent(t *testing.T) {
	for _, format := range []string{"json", "console"} {
		t.Run(format, func(t *testing.T) {
			var out lockedBuffer
			log, output := newLogger(&out, config.LogConfig{Level: "debug", Format: format})
			w := start(t, func(o *appOptions) { o.Log = log })
			hostile := "a\n2026-01-01 FTL forged\r\n{\"level\":\"fatal\"}\x1b[31m\u2028\x00\x7f\xff"
			c := w.dial("/ws/chat/" + url.PathEscape(hostile))
			require.Equal(t, "INVALID_SESSION", c.next().Code)
			c.closed()
			c = w.dial("/ws/chat/customer/" + url.PathEscape(hostile) + "/s1")
			require.Equal(t, "INVALID_PRODUCT", c.next().Code)
			c.closed()
			w.upgrade("/ws/chat/"+url.PathEscape(hostile), "Origin", "http://\x80\xff\u2028evil\t.example")
			w.get("/"+url.PathEscape(hostile), "X-Forwarded-For", "\t\x80\u2028")
			w.get("/metrics", "Host", "x", "Via", "\x80")
			w.post("/api/chat", `{"session_id":"\n\u001b[31m","content":"x"}`)
			c = w.dial("/ws/chat/s1")
			c.send(`{"type":"chat","id":"\n\u001b[31mforged","provider":"no\nbody","model":"\nforged","content":"x"}`)
			require.Equal(t, "UNKNOWN_PROVIDER", c.next().Code)
			c.send(`{"type":"chat","id":"\nforged","model":"\nforged","content":"\nforged"}`)
			c.answer()
			c.send(`{"type":"resume","run_id":"\nforged"}`)
			c.next()
			require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
			w.quiet(0)
			output.flush()
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			require.Greater(t, len(lines), 8)
			for _, line := range lines {
				if format == "json" {
					require.True(t, json.Valid([]byte(line)), line)
				} else {
					require.Regexp(t, `^\d\d:\d\d:\d\d\.\d\d\d (DBG|INF|WRN|ERR) `, line, "every line begins as ours do")
				}
				require.NotContains(t, line, "\x1b")
				require.NotContains(t, line, "\r")
			}
		})
	}
}

// Debug tells of lifecycles: an answer of five words and one of five hundred
// leave the same lines. What people ask and what they are answered is in none.
func TestNothingPerChunkAndNoContent(t *testing.T) {
	v := providertest.New(t, providertest.Say("canary-answer"))
	w := start(t, asking(v, "sk-canary-deployment"))
	c := w.dial("/ws/chat/s1").admitted()
	until(t, "the line of the connection itself is out", func() bool { return len(w.logged("WebSocket connection successful")) == 1 })
	counted := func(model string) int {
		ends := func() int { return len(w.logged("Run ended")) + len(w.logged("Turn ended")) }
		before := ends()
		lines := linesAbout(w)
		c.send(`{"type":"chat","id":"` + model + `","content":"canary-question","system":"canary-system","model":"` + model + `"}`)
		_, last := c.answer()
		require.Equal(t, "complete", last.Type)
		until(t, "the last lines of run and turn are out", func() bool { return ends() == before+2 })
		return linesAbout(w) - lines
	}
	few := counted("echo-0s-5w")
	require.Positive(t, few)
	require.Equal(t, few, counted("echo-0s-500w"))

	c.send(`{"type":"chat","content":"canary-question","provider":"openai","model":"a-model-that-answered","api_keys":{"openai":"sk-canary-user"}}`)
	text, _ := c.answer()
	require.Equal(t, "canary-answer", text)
	c.send(`{"type":"chat","content":"canary-question","model":"canary-model-that-nobody-has"}`)
	_, last := c.answer()
	require.Equal(t, "UNKNOWN_MODEL", last.Code)
	w.post("/api/chat", `{"content":"canary-question","provider":"openai","client_key":"canary-client-key-0123456789","api_keys":{"openai":"sk-canary-http"}}`)
	require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
	w.quiet(0)
	require.Contains(t, w.log.String(), `"model":"a-model-that-answered"`, "what was paid for is named")
	for _, canary := range []string{"canary", "sk-"} {
		require.NotContains(t, w.log.String(), canary)
	}
}

// linesAbout counts the lines of connections and runs, leaving out those of
// protoactor and NATS, which come when they like.
func linesAbout(w *whole) (n int) {
	for line := range strings.Lines(w.log.String()) {
		if !strings.Contains(line, `"lib":"protoactor"`) && !strings.Contains(line, "Embedded NATS server") {
			n++
		}
	}
	return n
}

// What the libraries say passes through our bridges without a value: neither
// dead letters nor panics nor the server's debug lines show what was sent.
func TestLibrariesLogNoValues(t *testing.T) {
	f := &faults{}
	w := start(t, f.install)
	c := w.dial("/ws/chat/s1").admitted()
	f.once("connection", "*actors.asked")
	c.send(`{"type":"chat","id":"canary-id","content":"canary-question","api_keys":{"openai":"sk-canary"}}`)
	require.Equal(t, "INTERNAL", c.next().Code)
	c.closed()
	f.once("run", "*actors.piece")
	c = w.dial("/ws/chat/s1").admitted()
	c.send(`{"type":"chat","content":"canary-question"}`)
	_, last := c.answer()
	require.Equal(t, "INTERNAL", last.Code)
	f.once("roster", "*actors.beatHeard")
	until(t, "it came back", func() bool { return w.status().Actors.Restarts["roster"] == 1 })
	require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
	w.quiet(0)
	until(t, "what was late became dead letters", func() bool { return w.metric("troupe_dead_letters_total") != "0" })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.drain(ctx)
	w.stop(t.Context())

	log := w.log.String()
	require.Contains(t, log, `"lib":"protoactor"`)
	require.Contains(t, log, "Embedded NATS server")
	require.Contains(t, log, "Panic caught")
	require.NotContains(t, log, "canary")
	for line := range strings.Lines(log) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &m), line)
		if m["lib"] == "protoactor" {
			for name := range m {
				require.Contains(t, []string{"level", "lib", "actor", "message"}, name, line)
			}
		}
	}
}

// A log at info says how each thing went, not what was said.
func TestInfoIsALineForEachFact(t *testing.T) {
	var out lockedBuffer
	log, output := newLogger(&out, config.LogConfig{Level: zerolog.LevelInfoValue, Format: "json"})
	w := start(t, func(o *appOptions) { o.Log = log })
	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"x","content":"canary","model":"echo-0s-200w"}`)
	c.answer()
	require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
	w.quiet(0)
	output.flush()
	count := map[string]int{}
	for line := range strings.Lines(out.String()) {
		var m struct{ Message, Session, Run string }
		require.NoError(t, json.Unmarshal([]byte(line), &m))
		if m.Session != "" {
			require.Equal(t, "s1", m.Session)
			count[m.Message]++
		}
	}
	require.Equal(t, map[string]int{
		"WebSocket connection successful": 1, "Run accepted": 1, "Run ended": 1, "Turn ended": 1, "WebSocket connection closed": 1,
	}, count, fmt.Sprint(out.String()))
	require.NotContains(t, out.String(), "canary")
}
