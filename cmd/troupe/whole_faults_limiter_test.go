package main

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/config"
)

func TestLimiterHangs(t *testing.T) {
	f := &faults{}
	w := start(t, f.install)
	c := w.dial("/ws/chat/s1").admitted()

	release := make(chan struct{})
	let := sync.OnceFunc(func() { f.clear(); close(release) })
	t.Cleanup(let)
	f.set(func(kind, _ string) {
		if kind == "limiter" {
			<-release
		}
	})
	began := time.Now()
	c.send(`{"type":"chat","content":"still here","model":"echo-0s"}`)
	text, _ := c.answer()
	require.Equal(t, "still here", text)
	require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond, "the first decision waits for the limiter")
	require.Equal(t, "1", w.metric("troupe_limiter_degraded"))
	require.Equal(t, "fallback", w.status().RateLimiter.State)
	require.Positive(t, w.status().RateLimiter.Stats.Fallback)
	code, body, _ := w.get("/api/health")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, `"status":"degraded"`)
	require.Contains(t, body, `"limiter":"fallback"`)

	other := w.dial("/ws/chat/s2").admitted()
	for range 15 { // half of 30
		other.send(`{"type":"chat","content":"x","model":"echo-0s"}`)
		_, last := other.answer()
		require.Equal(t, "complete", last.Type)
	}
	other.send(`{"type":"chat","content":"x","model":"echo-0s"}`)
	_, last := other.answer()
	require.Equal(t, "RATE_LIMIT_EXCEEDED", last.Code)
	require.Positive(t, last.RetryAfter)

	let()
	until(t, "the limiter is back", func() bool { return w.status().RateLimiter.State == "ok" })
	require.Equal(t, "0", w.metric("troupe_limiter_degraded"))
	require.Len(t, w.logged("Limiter does not answer: the fallback bucket decides until it is back"), 1)
	require.Len(t, w.logged("Limiter is back"), 1)
	for range 15 { // what the fallback admitted was charged to the window
		other.send(`{"type":"chat","content":"x","model":"echo-0s"}`)
		_, last = other.answer()
		require.Equal(t, "complete", last.Type)
	}
	other.send(`{"type":"chat","content":"x","model":"echo-0s"}`)
	_, last = other.answer()
	require.Equal(t, "RATE_LIMIT_EXCEEDED", last.Code)
}

func TestLimiterPanicsForTwoSeconds(t *testing.T) {
	f := &faults{}
	w := start(t, f.install, with(func(c *config.Config) { c.Limits.Messages.Max = 200_000 }))
	c := w.dial("/ws/chat/s1").admitted()
	f.set(func(kind, _ string) {
		if kind == "limiter" {
			panic("again")
		}
	})
	t.Cleanup(f.clear)
	over := time.After(2 * time.Second)
	for n, going := 0, true; going; n++ {
		select {
		case <-over:
			going = false
			require.Greater(t, n, 10)
		default:
		}
		c.send(`{"type":"chat","id":"` + fmt.Sprint("x", n) + `","content":"still here","model":"echo-0s"}`)
		text, last := c.answer()
		require.Equal(t, []string{"complete", "still here"}, []string{last.Type, text}, last.Message)
	}
	require.Equal(t, "1", w.metric("troupe_limiter_degraded"))
	w.dial("/ws/chat/s2").admitted()
	f.clear()
	until(t, "the limiter is back", func() bool { return w.status().RateLimiter.State == "ok" })
	require.Positive(t, w.status().Actors.Restarts["limiter"])
	require.NotEqual(t, "0", w.metric(`troupe_actor_restarts_total{kind="limiter"}`))
}

// While the limiter comes and goes, each of many pipelined questions gets
// exactly one end.
func TestPipelinedQuestionsWhileTheLimiterComesAndGoes(t *testing.T) {
	f := &faults{}
	w := start(t, f.install, with(func(c *config.Config) { c.Limits.Messages.Max, c.Runs.PerConnection = 5000, 1000 }))
	c := w.dial("/ws/chat/s1").admitted()
	var decisions atomic.Uint64
	f.set(func(kind, message string) {
		if kind == "limiter" && message == "*actors.decide" && decisions.Add(1)%5 == 0 {
			panic("now and then")
		}
	})
	t.Cleanup(f.clear)
	const questions = 300
	for n := range questions {
		c.send(fmt.Sprintf(`{"type":"chat","id":"x%d","content":"hi","model":"echo-0s"}`, n))
	}
	ends := map[string]int{}
	for len(ends) < questions {
		if frame := c.next(); frame.terminal() {
			require.Equal(t, "complete", frame.Type)
			ends[frame.ID]++
			require.Equal(t, 1, ends[frame.ID], frame.ID)
		}
	}
	f.clear()
	c.admitted() // nothing came after the last end
}
