package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-chat/troupe/config"
)

func TestDrain(t *testing.T) {
	before := goleak.IgnoreCurrent()
	f := &faults{}
	w := start(t, f.install, with(func(c *config.Config) { c.HTTP.AdminListen = "127.0.0.1:0" }))
	f.set(func(kind, message string) {
		if kind == "run" && message == "*actors.shutDown" {
			<-time.After(150 * time.Millisecond) // the last words of a busy worker come late
		}
	})
	admin := w.gateway.server.AdminAddr().String()
	idle := w.dial("/ws/chat/idle").admitted()
	known := w.dial("/ws/chat/known")
	known.send(`{"type":"chat","id":"k","content":"hello","model":"echo-0s"}`)
	known.answer()
	long := w.dial("/ws/chat/long")
	long.send(`{"type":"chat","id":"l","content":"word","model":"echo-20ms-5000w"}`)
	run := long.next().RunID
	unnamed := w.dial("/ws/chat/unnamed")
	unnamed.send(`{"type":"chat","content":"word","model":"echo-20ms-5000w"}`)
	require.Equal(t, "chunk", unnamed.next().Type)
	overHTTP := make(chan string, 1)
	go func() {
		resp, err := http.Post(w.http("/api/chat"), "application/json", strings.NewReader(`{"content":"word","model":"echo-20ms-5000w"}`))
		if err != nil {
			overHTTP <- err.Error()
			return
		}
		defer resp.Body.Close()
		var f said
		err = json.NewDecoder(resp.Body).Decode(&f)
		overHTTP <- fmt.Sprint(resp.StatusCode, f.Code, strings.HasPrefix(f.Partial, "word word"), err)
	}()
	until(t, "three stream", func() bool { return w.worker.actors.Active() == 3 })
	short := w.dial("/ws/chat/short")
	short.send(`{"type":"chat","id":"s","content":"word","model":"echo-20ms-30w"}`)
	require.Equal(t, "accepted", short.next().Type)
	require.Equal(t, 4, w.worker.actors.Active()) // short will be over soon

	drained := make(chan time.Duration, 1)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	go func() {
		w.drain(ctx)
		drained <- time.Since(began)
	}()

	require.Equal(t, "reconnect", known.next().Type)
	require.Equal(t, websocket.StatusGoingAway, known.closed())
	_, _, err := idle.Read(t.Context())
	require.Equal(t, websocket.StatusGoingAway, websocket.CloseStatus(err), "an unnamed client is closed without a frame of its own")

	text, last := answerAfterReconnect(short, "")
	require.Equal(t, "complete", last.Type)
	require.Len(t, strings.Fields(text), 30)
	require.Equal(t, websocket.StatusGoingAway, short.closed())

	status, body := getFrom(t, "http://"+admin+"/api/health")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, `"status":"draining"`)
	status, _ = getFrom(t, "http://"+admin+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	status, _ = getFrom(t, "http://"+admin+"/livez")
	require.Equal(t, http.StatusOK, status)
	late := w.dial("/ws/chat/late")
	require.Equal(t, "SHUTTING_DOWN", late.next().Code)
	require.Equal(t, websocket.StatusGoingAway, late.closed())
	status, _, _ = w.get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	status, body, _ = w.post("/api/chat", `{"content":"late"}`)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "SHUTTING_DOWN", parse(t, body).Code)

	long.send(`{"type":"chat","id":"new","content":"one more"}`)
	text, last = answerAfterReconnect(long, "new")
	require.Equal(t, []string{"error", "SHUTTING_DOWN", "l", run}, []string{last.Type, last.Code, last.ID, last.RunID})
	require.Equal(t, text, last.Partial)
	require.Greater(t, len(strings.Fields(text)), 30)
	require.Equal(t, websocket.StatusGoingAway, long.closed())

	var raw string
	for raw = unnamed.raw(); strings.HasPrefix(raw, `{"type":"chunk"`); raw = unnamed.raw() {
	}
	require.Equal(t, "SHUTTING_DOWN", parse(t, raw).Code)
	_, _, err = unnamed.Read(t.Context())
	require.Equal(t, websocket.StatusGoingAway, websocket.CloseStatus(err), "one error, then the end")
	require.Equal(t, "503SHUTTING_DOWNtrue<nil>", strings.ReplaceAll(<-overHTTP, " ", ""))

	took := <-drained
	require.GreaterOrEqual(t, took, 1500*time.Millisecond)
	require.Less(t, took, 2500*time.Millisecond, "the deadline and a second")
	require.Zero(t, w.status().ConnectionPool.Active)
	w.stop(t.Context())
	for _, c := range []*peer{idle, known, short, long, unnamed} {
		c.CloseNow()
	}
	http.DefaultClient.CloseIdleConnections()
	until(t, "no goroutine is left", func() bool { return goleak.Find(before) == nil }) // protoactor's throttle ends by itself within a second
}

// answerAfterReconnect reads one turn to its end. The server says reconnect
// exactly once on the way, and refuses the turn of this id.
func answerAfterReconnect(c *peer, refused string) (text string, last said) {
	c.t.Helper()
	var b strings.Builder
	reconnects, refusals := 0, 0
	for {
		f := c.next()
		switch {
		case f.Type == "chunk":
			b.WriteString(f.Content)
		case f.Type == "reconnect":
			reconnects++
		case refused != "" && f.ID == refused:
			require.Equal(c.t, "SHUTTING_DOWN", f.Code)
			refusals++
		case f.terminal():
			require.Equal(c.t, 1, reconnects)
			require.Equal(c.t, refused != "", refusals == 1)
			return b.String(), f
		}
	}
}

func getFrom(t *testing.T, url string) (int, string) {
	t.Helper()
	w := &whole{t: t}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	status, body, _ := w.do(r)
	return status, body
}

// A drain without live turns does not wait for its deadline.
func TestDrainOfNobody(t *testing.T) {
	w := start(t)
	reading := w.dial("/ws/chat/s1").admitted().CloseRead(t.Context()) // answers the close
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	began := time.Now()
	w.drain(ctx)
	require.Less(t, time.Since(began), 3*time.Second)
	<-reading.Done()
}
