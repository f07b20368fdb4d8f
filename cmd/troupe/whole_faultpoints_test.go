package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/fault"
	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// breakable lets operators set faults, and sets some from the start.
func breakable(lines ...string) func(*appOptions) {
	return func(o *appOptions) {
		wide(o)
		withPort(o.Config)
		o.Config.Faults = config.FaultsConfig{Enabled: true, Inject: lines}
	}
}

// desk asks the addresses of faults, which the operators' own port has.
func (w *whole) desk(method, path, body string) (int, string) {
	w.t.Helper()
	at := "http://" + w.gateway.server.AdminAddr().String() + "/api/debug/faults" + path
	r, err := http.NewRequestWithContext(w.t.Context(), method, at, strings.NewReader(body))
	require.NoError(w.t, err)
	status, answer, _ := w.do(r)
	return status, answer
}

// breaks sets a fault as an operator does and returns its id.
func (w *whole) breaks(body string) string {
	w.t.Helper()
	status, answer := w.desk(http.MethodPost, "", body)
	require.Equal(w.t, http.StatusCreated, status, answer)
	var set struct{ ID string }
	require.NoError(w.t, json.Unmarshal([]byte(answer), &set))
	return set.ID
}

// broke reads the listing of one fault.
func (w *whole) broke(id string) (f fault.Listed) {
	w.t.Helper()
	_, body := w.desk(http.MethodGet, "", "")
	var list struct{ Faults []fault.Listed }
	require.NoError(w.t, json.Unmarshal([]byte(body), &list))
	for _, f := range list.Faults {
		if f.ID == id {
			return f
		}
	}
	require.Fail(w.t, "the fault is not listed", id)
	return f
}

// mends clears one fault.
func (w *whole) mends(id string) {
	w.t.Helper()
	status, _ := w.desk(http.MethodDelete, "/"+id, "")
	require.Equal(w.t, http.StatusNoContent, status)
}

// clears clears whatever is set.
func (w *whole) clears() {
	w.t.Helper()
	status, _ := w.desk(http.MethodDelete, "", "")
	require.Equal(w.t, http.StatusOK, status)
}

// wordy asks for n words, one every 5 ms, and is what the answer must be.
func wordy(id string, n int) (question, answer string) {
	question = fmt.Sprintf(`{"type":"chat","id":%q,"content":"word","model":"echo-5ms-%dw"}`, id, n)
	return question, strings.TrimSuffix(strings.Repeat("word ", n), " ")
}

func TestFaultAddresses(t *testing.T) {
	w := start(t, breakable())
	status, body := w.desk(http.MethodGet, "", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `{"faults":[],"actors":{"bus":["out.job",`)
	for bad, words := range map[string]string{
		`{"actor":"connection","fault":"drop","message":"Started"}`: "drop cannot strike Started",
		`{"actor":"connection","fault":"panic","for":"2h"}`:         `for: \"2h\"`,
		`{"actor":"connection","fault":"panic","who":"me"}`:         `\"who\" is not known`,
		`panic`: "not one JSON object",
	} {
		status, body := w.desk(http.MethodPost, "", bad)
		require.Equal(t, http.StatusBadRequest, status)
		require.Contains(t, body, words)
	}
	id := w.breaks(`{"actor":"roster","fault":"delay","delay":"1ms","message":"rosterTick","for":"1m"}`)
	until(t, "it strikes", func() bool { return w.broke(id).Hit > 0 })
	f := w.broke(id)
	require.Equal(t, []any{"roster", "delay", "1m", "1ms"}, []any{f.Actor, f.Fault, f.For, f.Delay})
	require.Contains(t, f.Last[0].Actor, "/roster")
	require.NotEqual(t, "0", w.metric(`troupe_faults_injected_total{actor="roster",fault="delay"}`))
	require.Equal(t, "0", w.metric(`troupe_faults_injected_total{actor="bus",fault="drop"}`))
	w.mends(id)
	require.True(t, w.broke(id).Over)
	short := w.breaks(`{"actor":"run","fault":"panic","for":"10ms","seed":7}`)
	until(t, "it expires", func() bool { return w.broke(short).Over })
	for _, said := range []string{"Fault set", "Fault cleared", "Fault expired"} {
		require.NotEmpty(t, w.logged(said), said)
	}
	expired := w.logged("Fault expired")
	require.Len(t, expired, 1)
	require.Equal(t, "run panic for=10ms probability=1 seed=7", expired[0]["fault"])
	require.Equal(t, "warn", expired[0]["level"])
}

// TestFaultsAreForOperatorsAlone: strangers find nothing, nor does who may
// operate the server only for asking from this machine, and without
// faults.enabled operators neither.
func TestFaultsAreForOperatorsAlone(t *testing.T) {
	w, off := start(t, breakable()), start(t)
	ask := func(w *whole, method, path string, header ...string) int {
		r, err := http.NewRequestWithContext(t.Context(), method, w.http(path), strings.NewReader(`{"actor":"run","fault":"panic"}`))
		require.NoError(t, err)
		status, _, _ := w.do(r, header...)
		return status
	}
	for _, path := range []string{"/api/debug/faults", "/api/debug/faults/f1"} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			for _, sign := range [][]string{nil, {"X-Forwarded-For", "127.0.0.1"}, {"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
				require.Equal(t, http.StatusNotFound, ask(w, method, path, sign...), "%s %s %s", method, path, sign)
			}
			require.Equal(t, http.StatusNotFound, ask(off, method, path), "%s %s where faults are off", method, path)
		}
	}
	require.Empty(t, w.logged("Fault set"))
	require.Empty(t, off.logged("Fault set"))
	status, _ := w.desk(http.MethodPost, "", `{"actor":"run","fault":"panic"}`)
	require.Equal(t, http.StatusCreated, status)
}

// TestWhoSetsFaultsIsSaid at the start, with the remedy where nobody can.
func TestWhoSetsFaultsIsSaid(t *testing.T) {
	token := protocol.NewSecret([]byte("0123456789abcdef"))
	for _, c := range []struct {
		role string
		http transport.HTTPConfig
		open bool
	}{
		{roleServe, transport.HTTPConfig{}, false},
		{roleServe, transport.HTTPConfig{AdminListen: "127.0.0.1:0"}, true},
		{roleGateway, transport.HTTPConfig{AdminToken: token}, true},
		{roleWorker, transport.HTTPConfig{AdminToken: token}, false},
		{roleWorker, transport.HTTPConfig{AdminListen: "127.0.0.1:0"}, true},
	} {
		said := whoSetsFaults(c.role, c.http)
		require.Equal(t, c.open, strings.HasPrefix(said, "Faults can be set"), "%s: %s", c.role, said)
		if !c.open {
			require.Contains(t, said, "http.admin_listen")
		}
	}
}

// TestFaultsOfAWorker are set on its own port.
func TestFaultsOfAWorker(t *testing.T) {
	s := bustest.Server(t)
	w := start(t, breakable("vendor error message=call for=1h times=1"), over(s, roleWorker), with(withPort))
	g := start(t, over(s, roleGateway))
	g.knows(1)
	status, body := askWorker(t, w.app, "/api/debug/faults")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `"actor":"vendor"`)
	status, _, _ = g.get("/api/debug/faults")
	require.Equal(t, http.StatusNotFound, status)
	c := g.dial("/ws/chat/s1")
	question, answer := wordy("1", 3)
	c.send(question)
	text, last := c.answer()
	require.Equal(t, answer, text)
	require.Equal(t, 2, last.Attempts, "asked again")
	require.Len(t, w.logged("Fault set"), 1)
}

// TestFaultsAtTheStart: a wrong line stops it, and names the place and the remedy.
func TestFaultsAtTheStart(t *testing.T) {
	for lines, words := range map[string]string{
		"[connection explode]":              `faults.inject[0]: fault: "explode" is not allowed: use panic`,
		"[run panic, connection drop=1]":    "faults.inject[1]: ",
		"[bus error message=in.event]":      "faults.inject[0]: message: error cannot strike in.event of bus",
		"[run panic message=piece for=25h]": `for: "25h" is not allowed`,
	} {
		_, _, err := config.Load(config.Sources{Args: []string{
			"--faults.enabled=true", "--faults.inject=" + strings.Trim(lines, "[]"),
		}, Env: []string{}})
		require.ErrorContains(t, err, words)
	}
	_, _, err := config.Load(config.Sources{Args: []string{"--faults.inject=run panic"}, Env: []string{}})
	require.ErrorContains(t, err, "faults.inject: has no effect without faults.enabled")
	code, _, stderr := started(t, nil, "", "serve", "--http.listen=127.0.0.1:0", "--faults.enabled=true", "--faults.inject=cook panic")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, `faults.inject[0]: actor: "cook" is not allowed: use bus, connection`)
}

func TestFaultPointConnectionPanic(t *testing.T) {
	w := start(t, breakable())
	const n = 60
	question, answer := wordy("1", n)
	var all []*peer
	for i := range 8 {
		c := w.dial(fmt.Sprintf("/ws/chat/s%d", i))
		c.send(question)
		all = append(all, c)
	}
	id := w.breaks(`{"actor":"connection","fault":"panic","message":"chunksArrived","after":50,"times":1}`)
	struck := 0
	for _, c := range all {
		text, last := c.answer()
		if last.Type == "complete" {
			require.Equal(t, answer, text)
			c.admitted()
			continue
		}
		struck++
		require.Equal(t, "INTERNAL", last.Code)
		require.True(t, strings.HasPrefix(answer, text))
		require.Equal(t, websocket.StatusInternalError, c.closed())
	}
	require.Equal(t, 1, struck)
	require.Equal(t, 1, w.broke(id).Hit)
	w.quiet(7)
	var told []map[string]any
	for _, line := range w.logged("WebSocket connection closed") {
		if line["code"] == "INTERNAL" {
			told = append(told, line)
		}
	}
	require.Len(t, told, 1, "the actor could not say it, whoever watches it did")
	require.Equal(t, 1.0, told[0]["live_turns"])
	require.Equal(t, "server_closed", told[0]["cause"])
}

func TestFaultPointLimiterHang(t *testing.T) {
	w := start(t, breakable())
	c := w.dial("/ws/chat/s1").admitted()
	id := w.breaks(`{"actor":"limiter","fault":"hang","for":"1h"}`)
	question, answer := wordy("1", 2)
	began := time.Now()
	c.send(question)
	text, _ := c.answer()
	require.Equal(t, answer, text)
	require.Less(t, time.Since(began), time.Second)
	require.Equal(t, "1", w.metric("troupe_limiter_degraded"))
	w.mends(id)
	began = time.Now()
	until(t, "the limiter is back", func() bool { return w.metric("troupe_limiter_degraded") == "0" })
	require.Less(t, time.Since(began), time.Second)
}

func TestFaultPointPoolPanic(t *testing.T) {
	w := start(t, breakable())
	old := w.dial("/ws/chat/old").admitted()
	id := w.breaks(`{"actor":"pool","fault":"panic","message":"acquire","times":1}`)
	c := w.dial("/ws/chat/s1")
	require.Equal(t, "INTERNAL", c.next().Code)
	c.closed()
	require.Equal(t, 1, w.broke(id).Hit)
	old.admitted()
	w.dial("/ws/chat/s2").admitted()
	w.quiet(2)
}

func TestFaultPointRunPanic(t *testing.T) {
	w := start(t, breakable())
	c, witness := w.dial("/ws/chat/s1"), w.dial("/ws/chat/s2")
	id := w.breaks(`{"actor":"run","fault":"panic","message":"piece","after":10,"times":1}`)
	question, answer := wordy("1", 30)
	c.send(question)
	text, last := c.answer()
	require.Equal(t, "INTERNAL", last.Code)
	require.True(t, strings.HasPrefix(answer, text))
	require.Less(t, time.Since(w.broke(id).Last[0].At), time.Second, "told at once")
	c.admitted() // the socket lives
	witness.send(question)
	text, _ = witness.answer()
	require.Equal(t, answer, text)
	w.quiet(2)
}

// TestFaultPointBus: whatever happens on the bus, the text is exact and has one
// end.
func TestFaultPointBus(t *testing.T) {
	const n = 40
	for name, body := range map[string]string{
		"last chunk":     fmt.Sprintf(`{"actor":"bus","fault":"drop","message":"in.event.chunk","after":%d,"times":1}`, n-1),
		"first chunk":    `{"actor":"bus","fault":"drop","message":"in.event.chunk","times":1}`,
		"terminal":       `{"actor":"bus","fault":"drop","message":"in.event.complete","times":1}`,
		"terminal, out":  `{"actor":"bus","fault":"drop","message":"out.event.complete","times":1}`,
		"no terminal":    `{"actor":"bus","fault":"error","message":"out.event.complete","times":2}`,
		"accept":         `{"actor":"bus","fault":"drop","message":"in.reply.accepted","times":1}`,
		"repeat":         `{"actor":"bus","fault":"repeat","message":"in.event"}`,
		"repeat, out":    `{"actor":"bus","fault":"repeat","message":"out"}`,
		"reorder":        `{"actor":"bus","fault":"reorder","message":"in.event","every":7}`,
		"reorder, out":   `{"actor":"bus","fault":"reorder","message":"out.event","every":5}`,
		"delay":          `{"actor":"bus","fault":"delay","message":"in.event.chunk","every":9,"delay":"30ms"}`,
		"panic":          `{"actor":"bus","fault":"panic","message":"in.event.chunk","after":5,"times":2}`,
		"hang":           `{"actor":"bus","fault":"hang","message":"out.event.chunk","after":5,"times":1,"for":"500ms"}`,
		"job twice":      `{"actor":"bus","fault":"repeat","message":"in.job"}`,
		"one in a dozen": `{"actor":"bus","fault":"drop","message":"in.event","probability":0.08,"seed":7}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, breakable())
			c := w.dial("/ws/chat/s1").admitted()
			id := w.breaks(body)
			question, answer := wordy("1", n)
			c.send(question)
			text, last := c.answer()
			require.Equal(t, "complete", last.Type, last.Message)
			require.Equal(t, answer, text)
			require.Equal(t, answer, last.FullResponse)
			require.Positive(t, w.broke(id).Hit)
			require.Equal(t, 1, last.Attempts)
			w.clears()
			c.admitted() // nothing comes behind the end
			w.quiet(1)
		})
	}
}

// TestFaultPointBusRefuses: a question that NATS does not take is told at once.
func TestFaultPointBusRefuses(t *testing.T) {
	w := start(t, breakable())
	c := w.dial("/ws/chat/s1").admitted()
	id := w.breaks(`{"actor":"bus","fault":"error","message":"out.job"}`)
	question, _ := wordy("1", 3)
	c.send(question)
	_, last := c.answer()
	require.Equal(t, "BUS_UNAVAILABLE", last.Code)
	w.mends(id)
	question, answer := wordy("2", 3)
	c.send(question)
	text, _ := c.answer()
	require.Equal(t, answer, text)
}

func TestFaultPointVendorHang(t *testing.T) {
	w := start(t, breakable(), with(func(c *config.Config) { c.Runs.StallTimeout = 300 * time.Millisecond }))
	c := w.dial("/ws/chat/s1")
	id := w.breaks(`{"actor":"vendor","fault":"hang","message":"text","after":5,"times":1,"for":"1h"}`)
	question, answer := wordy("1", 20)
	c.send(question)
	text, last := c.answer()
	require.Equal(t, "PROVIDER_TIMEOUT", last.Code)
	require.True(t, strings.HasPrefix(answer, text))
	since := time.Since(w.broke(id).Last[0].At)
	require.Greater(t, since, 250*time.Millisecond)
	require.Less(t, since, 2*time.Second)
	w.quiet(1)
}

// TestAHangDoesNotHoldUpTheEnd: a process that stops clears its faults first.
func TestAHangDoesNotHoldUpTheEnd(t *testing.T) {
	w := start(t, breakable("pool hang for=1h", "connections hang message=sweepIdle for=1h"))
	until(t, "it hangs", func() bool { return w.metric(`troupe_faults_injected_total{actor="connections",fault="hang"}`) == "1" })
	began := time.Now()
	w.stop(t.Context())
	require.Less(t, time.Since(began), 2*time.Second)
	require.Len(t, w.logged("Fault cleared"), 2)
}

// TestFaultsEndWithTheDrain: what hangs on purpose holds a drain up to its
// deadline, not beyond it.
func TestFaultsEndWithTheDrain(t *testing.T) {
	w := start(t, breakable())
	c := w.dial("/ws/chat/s1")
	question, _ := wordy("1", 10_000)
	c.send(question)
	until(t, "it runs", func() bool { return w.worker.actors.Active() == 1 })
	hang := w.breaks(`{"actor":"bus","fault":"hang","message":"out.beat","for":"1h"}`)
	until(t, "it hangs", func() bool { return w.broke(hang).Hit > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	over := make(chan struct{})
	go func() {
		defer close(over)
		w.drain(ctx)
	}()
	select {
	case <-over:
	case <-time.After(5 * time.Second):
		w.faults.Close() // so that the test ends
		<-over
		require.Fail(t, "the drain hangs")
	}
}

// TestAcceptsAreLate: a question whose accept takes longer than its gateway waits
// for one is asked of one vendor, once.
func TestAcceptsAreLate(t *testing.T) {
	w := start(t, breakable())
	s := w.spy()
	c := w.dial("/ws/chat/s1")
	const questions = 3
	for n := range questions {
		id := w.breaks(`{"actor":"bus","fault":"delay","message":"in.reply","delay":"800ms","times":1}`)
		question, answer := wordy(fmt.Sprint(n), 10)
		c.send(question)
		text := ""
		for f := c.next(); f.Type != "complete"; f = c.next() {
			require.NotEqual(t, "error", f.Type, f.Code)
			text += f.Content
		}
		require.Equal(t, answer, text)
		require.EqualValues(t, 1, w.broke(id).Hit)
	}
	require.Eventually(t, func() bool { return len(s.about(".chat.echo")) >= questions }, 5*time.Second, time.Millisecond)
	require.Len(t, s.about(".chat.echo"), questions)
	require.NotZero(t, strings.Count(string(slices.Concat(s.about(".control")...)), `"withdraw"`))
}
