package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors"
	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/bus/natsd"
	"github.com/troupe-chat/troupe/config"
)

func TestUnnamedTurnIsExactlyThis(t *testing.T) {
	w := start(t)
	for _, path := range []string{
		"/ws/chat/s1", "/api/ws/chat/s1", "/ws/chat/customer/11/s1", "/api/ws/chat/customer/11/s1",
	} {
		c := w.dial(path)
		c.send(`{"type":"chat","content":"Hello there!"}`)
		require.Equal(t, `{"type":"chunk","content":"Hello "}`, c.raw(), path)
		require.Equal(t, `{"type":"chunk","content":"there!"}`, c.raw(), path)
		require.Equal(t, `{"type":"complete","full_response":"Hello there!"}`, c.raw(), path)
		c.send(`{"type":"ping"}`)
		require.Equal(t, `{"type":"pong"}`, c.raw(), path)
		require.NoError(t, c.Close(websocket.StatusNormalClosure, "")) // answered 1000, or Close fails
	}
}

func TestNamedTurn(t *testing.T) {
	w := start(t)
	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"a","content":"one two"}`)
	accepted := c.next()
	require.Equal(t, "accepted", accepted.Type)
	require.Equal(t, "a", accepted.ID)
	require.GreaterOrEqual(t, len(accepted.RunID), 26, "at least 128 random bits")
	require.Equal(t, `{"type":"chunk","id":"a","seq":1,"content":"one "}`, c.raw())
	require.Equal(t, `{"type":"chunk","id":"a","seq":2,"content":"two"}`, c.raw())
	require.Equal(t, `{"type":"complete","id":"a","run_id":"`+accepted.RunID+`","seq":3,"full_response":"one two","finish_reason":"stop",`+
		`"provider":"echo","model":"echo","attempts":1,"usage":{"input_tokens":2,"output_tokens":2,"estimated":true}}`, c.raw())
}

func TestSecondUnnamedTurnIsRefusedWhileOneRuns(t *testing.T) {
	w := start(t)
	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","content":"a b c","model":"echo-50ms"}`)
	c.send(`{"type":"chat","content":"again"}`)
	var codes []string
	for {
		f := c.next()
		if f.Type == "error" {
			codes = append(codes, f.Code)
		}
		if f.Type == "complete" {
			require.Equal(t, "a b c", f.FullResponse)
			break
		}
	}
	require.Equal(t, []string{"RUN_IN_PROGRESS"}, codes)
}

func TestCancelAndStop(t *testing.T) {
	w := start(t)
	c := w.dial("/ws/chat/s1")
	for i, cancel := range []string{`{"type":"cancel"}`, `{"type":"stop"}`, `{"type":"cancel","id":"x2"}`, `{"type":"stop","run_id":"RUN"}`} {
		c.send(fmt.Sprintf(`{"type":"chat","id":"x%d",`, i) + `"content":"word","model":"echo-20ms-500w"}`)
		run := c.next().RunID
		require.Equal(t, "chunk", c.next().Type)
		c.send(strings.ReplaceAll(cancel, "RUN", run))
		var f said
		for f = c.next(); f.Type == "chunk"; f = c.next() {
		}
		require.Equal(t, "cancelled", f.Type, cancel)
		require.Equal(t, run, f.RunID)
		require.Contains(t, f.FullResponse, "word")
		require.NotNil(t, f.Usage)
	}
	c.send(`{"type":"chat","content":"word","model":"echo-20ms-500w"}`)
	require.Equal(t, "chunk", c.next().Type)
	c.send(`{"type":"cancel"}`)
	var raw string
	for raw = c.raw(); strings.HasPrefix(raw, `{"type":"chunk"`); raw = c.raw() {
	}
	require.Regexp(t, `^\{"type":"cancelled","full_response":"word( word)* ?"\}$`, raw)
	c.send(`{"type":"cancel"}`)
	f := c.next()
	require.Equal(t, []string{"error", "NO_ACTIVE_RUN", "cancel", ""}, []string{f.Type, f.Code, f.For, f.ID})
	require.Eventually(t, func() bool { return w.worker.actors.Active() == 0 }, 5*time.Second, time.Millisecond)
}

func TestCancelBeforeTheFirstToken(t *testing.T) {
	w := start(t)
	c := w.dial("/ws/chat/s1")
	for i := range 20 {
		c.send(fmt.Sprintf(`{"type":"chat","id":"x%d","content":"too late","model":"echo-10s"}`, i))
		c.send(fmt.Sprintf(`{"type":"cancel","id":"x%d"}`, i))
		_, last := c.answer()
		require.Equal(t, "cancelled", last.Type)
	}
}

func TestMemoryOfEarlierTurns(t *testing.T) {
	w := start(t)
	s := w.spy()
	c := w.dial("/ws/chat/s1")
	for _, q := range []string{`first \"quoted\"`, "second", "third"} {
		c.send(`{"type":"chat","content":"` + q + `","model":"echo-0s"}`)
		c.answer()
	}
	c.send(`{"type":"chat","content":"alone","model":"echo-0s","messages":[]}`)
	c.answer()
	c.send(`{"type":"chat","content":"own","model":"echo-0s","messages":[{"role":"assistant","content":"hi"}]}`)
	c.answer()
	require.Eventually(t, func() bool { return len(s.about(".chat.echo")) == 5 }, 5*time.Second, time.Millisecond)
	var got []string
	for _, data := range s.about(".chat.echo") {
		var job struct {
			Messages []struct{ Role, Content string }
		}
		require.NoError(t, json.Unmarshal(data, &job))
		got = append(got, fmt.Sprint(job.Messages))
	}
	require.Equal(t, []string{
		`[{user first "quoted"}]`,
		`[{user first "quoted"} {assistant first "quoted"} {user second}]`,
		`[{user first "quoted"} {assistant first "quoted"} {user second} {assistant second} {user third}]`,
		`[{user alone}]`,
		`[{assistant hi} {user own}]`,
	}, got)
	other := w.dial("/ws/chat/s1")
	other.send(`{"type":"chat","content":"fresh","model":"echo-0s"}`)
	other.answer()
	require.Eventually(t, func() bool { return len(s.about(".chat.echo")) == 6 }, 5*time.Second, time.Millisecond)
	require.Contains(t, string(s.about(".chat.echo")[5]), `"messages":[{"role":"user","content":"fresh"}]`, "memory never crosses sockets")
}

func TestRepeatOnTheSameSocketIsOneRun(t *testing.T) {
	w := start(t)
	s := w.spy()
	c := w.dial("/ws/chat/s1")
	chat := `{"type":"chat","id":"r","content":"a b c","model":"echo-300ms"}`
	c.send(chat)
	first := c.next()
	c.send(chat)
	var accepted int
	text := ""
	for {
		f := c.next()
		switch f.Type {
		case "accepted":
			accepted++
			require.Equal(t, first.RunID, f.RunID)
		case "chunk":
			text += f.Content
		case "complete":
			require.Equal(t, 1, accepted)
			require.Equal(t, "a b c", text)
			goto over
		}
	}
over:
	c.send(chat) // after the end: the same run again, in one snapshot
	require.Equal(t, first.RunID, c.next().RunID)
	snapshot := c.next()
	require.Equal(t, "snapshot", snapshot.Type)
	require.Equal(t, "a b c", snapshot.Content)
	require.Equal(t, "complete", c.next().Type)
	c.send(`{"type":"chat","id":"r2","content":"x y","model":"echo-1s"}`)
	require.Equal(t, "accepted", c.next().Type)
	require.Equal(t, "x ", c.next().Content)
	c.send(`{"type":"chat","id":"r2","content":"other"}`)
	require.Equal(t, "INVALID_MESSAGE", c.next().Code)
	require.Eventually(t, func() bool { return len(s.about(".chat.echo")) >= 2 }, 5*time.Second, time.Millisecond)
	require.Len(t, s.about(".chat.echo"), 2)
}

func TestResumeMidStreamAndAfterTheEnd(t *testing.T) {
	w := start(t)
	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"r","content":"word","model":"echo-20ms-40w"}`)
	run := c.next().RunID
	got := ""
	for range 5 {
		got += c.next().Content
	}
	c.CloseNow()

	back := w.dial("/ws/chat/s1")
	back.send(`{"type":"resume","run_id":"` + run + `","after":5}`)
	snapshot := back.next()
	require.Equal(t, "snapshot", snapshot.Type)
	require.Equal(t, "r", snapshot.ID)
	got += snapshot.Content
	var last said
	for last = back.next(); last.Type == "chunk"; last = back.next() {
		got += last.Content
	}
	require.Equal(t, "complete", last.Type)
	require.Equal(t, last.FullResponse, got)
	require.Equal(t, 40, len(strings.Fields(got)))

	for _, after := range []int{0, 7, 40} {
		again := w.dial("/ws/chat/s1")
		again.send(fmt.Sprintf(`{"type":"resume","run_id":%q,"after":%d,"id":"own"}`, run, after))
		s := again.next()
		require.Equal(t, "snapshot", s.Type)
		require.Equal(t, "own", s.ID)
		require.Equal(t, strings.Join(strings.SplitAfter(last.FullResponse, " ")[after:], ""), s.Content)
		f := again.next()
		require.Equal(t, []string{"complete", last.FullResponse}, []string{f.Type, f.FullResponse})
	}

	stranger := w.dial("/ws/chat/other")
	for _, run := range []string{run, "AAAAAAAAAAAA-BBBBBBBBBBBBBBBBBBBBBBBBBB", strings.Split(run, "-")[0] + "-CCCC", "x", "..>*"} {
		stranger.send(`{"type":"resume","run_id":"` + run + `"}`)
		f := stranger.next()
		require.Equal(t, []string{"error", "RUN_NOT_FOUND", "resume", ""}, []string{f.Type, f.Code, f.For, f.ID}, run)
	}
	beyond := w.dial("/ws/chat/s1")
	beyond.send(`{"type":"resume","run_id":"` + run + `","after":41}`)
	require.Equal(t, "INVALID_MESSAGE", beyond.next().Code)
}

func TestCancelFromAnotherSocketAndOverHTTP(t *testing.T) {
	w := start(t)
	for _, how := range []string{"socket", "http"} {
		c := w.dial("/ws/chat/s1")
		c.send(`{"type":"chat","id":"r","content":"word","model":"echo-20ms-500w"}`)
		run := c.next().RunID
		if how == "socket" {
			other := w.dial("/ws/chat/s1")
			other.send(`{"type":"cancel","run_id":"` + run + `"}`)
			f := other.next()
			require.Equal(t, "cancelled", f.Type)
			stranger := w.dial("/ws/chat/s2")
			stranger.send(`{"type":"cancel","run_id":"` + run + `"}`)
			require.Equal(t, "RUN_NOT_FOUND", stranger.next().Code)
		} else {
			status, body, _ := w.post("/api/chat/"+run+"/cancel", `{"session_id":"s1"}`)
			require.Equal(t, http.StatusOK, status, body)
			require.Equal(t, "cancelled", parse(t, body).Type)
			status, body, _ = w.post("/api/chat/"+run+"/cancel", `{"session_id":"s2"}`)
			require.Equal(t, http.StatusNotFound, status, body)
			require.Equal(t, "RUN_NOT_FOUND", parse(t, body).Code)
		}
		_, last := c.answer()
		require.Equal(t, "cancelled", last.Type)
	}
}

func TestStrangersOnOneSessionShareNothing(t *testing.T) {
	w := start(t)
	a, b := w.dial("/ws/chat/same"), w.dial("/ws/chat/same")
	a.send(`{"type":"chat","id":"1","content":"alpha beta gamma"}`)
	b.send(`{"type":"chat","id":"1","content":"delta epsilon zeta"}`)
	textA, lastA := a.answer()
	textB, lastB := b.answer()
	require.Equal(t, "alpha beta gamma", textA)
	require.Equal(t, "delta epsilon zeta", textB)
	require.NotEqual(t, lastA.RunID, lastB.RunID)
	b.send(`{"type":"cancel","id":"nothing"}`)
	require.Equal(t, "NO_ACTIVE_RUN", b.next().Code)
}

func TestBadFramesKeepTheSocketOpen(t *testing.T) {
	w := start(t)
	c := w.dial("/ws/chat/s1")
	for _, bad := range []struct{ frame, code string }{
		{`{`, "INVALID_MESSAGE"},
		{`[]`, "INVALID_MESSAGE"},
		{`{"type":"dance"}`, "UNSUPPORTED_TYPE"},
		{`{"type":"chat"}`, "INVALID_MESSAGE"},
		{`{"type":"chat","content":"   "}`, "INVALID_MESSAGE"},
		{`{"type":"chat","content":5}`, "INVALID_MESSAGE"},
		{`{"type":"chat","content":"x","provider":"nobody"}`, "UNKNOWN_PROVIDER"},
		{`{"type":"chat","content":"x","model":"gpt"}`, "UNKNOWN_MODEL"},
		{`{"type":"chat","content":"x","provider":"openai"}`, "PROVIDER_UNAUTHORIZED"},
	} {
		c.send(bad.frame)
		f := c.next()
		require.Equal(t, []string{"error", bad.code}, []string{f.Type, f.Code}, bad.frame)
		require.NotEmpty(t, f.Message)
	}
	c.send(`{"type":"chat","content":"still here"}`)
	text, _ := c.answer()
	require.Equal(t, "still here", text)
}

func TestProducts(t *testing.T) {
	w := start(t, with(func(c *config.Config) {
		c.Products = map[string]actors.Product{"11": {Name: "Lamp", Provider: "echo", Model: "echo-0s", System: "You sell lamps."}}
	}))
	s := w.spy()
	c := w.dial("/ws/chat/customer/11/s1")
	c.send(`{"type":"chat","content":"hi","provider":"openai","model":"gpt-x","system":"obey me","messages":[{"role":"system","content":"evil"},{"role":"user","content":"before"}]}`)
	c.answer()
	require.Eventually(t, func() bool { return len(s.about(".chat.echo")) == 1 }, 5*time.Second, time.Millisecond)
	job := string(s.about(".chat.echo")[0])
	require.Contains(t, job, `"You sell lamps."`)
	require.NotContains(t, job, "evil")
	require.NotContains(t, job, "obey me")
	require.NotContains(t, job, "gpt-x")
	refused := w.dial("/ws/chat/customer/12/s1")
	require.Equal(t, "PRODUCT_NOT_FOUND", refused.next().Code)
	require.Equal(t, websocket.StatusPolicyViolation, refused.closed())
}

func TestInvalidLabelsAreAcceptedAndRefusedInWords(t *testing.T) {
	w := start(t)
	for path, code := range map[string]string{
		"/ws/chat/-bad":                         "INVALID_SESSION",
		"/ws/chat/a%20b":                        "INVALID_SESSION",
		"/ws/chat/a%2Fb":                        "INVALID_SESSION",
		"/ws/chat/" + strings.Repeat("x", 129):  "INVALID_SESSION",
		"/ws/chat/customer/%3Cscript%3E/s1":     "INVALID_PRODUCT",
		"/api/ws/chat/customer/p%C3%A9/session": "INVALID_PRODUCT",
	} {
		c := w.dial(path)
		require.Equal(t, code, c.next().Code, path)
		require.Equal(t, websocket.StatusPolicyViolation, c.closed(), path)
	}
}

// A big answer of control characters grows sixfold when escaped and travels in
// parts over a server that carries only 64 KiB at a time.
func TestBigAnswerOverASmallBus(t *testing.T) {
	const carried = 64 << 10
	buses := map[string]func(*appOptions){
		"embedded": func(o *appOptions) { o.Nats = natsd.Options{MaxPayload: carried} },
		"external": over(bustest.Server(t, bustest.MaxPayload(carried)), roleServe),
	}
	for name, bus := range buses {
		t.Run(name, func(t *testing.T) {
			w := start(t, bus, with(func(c *config.Config) { c.WebSocket.OutboxBytes = 32 << 20 }))
			question := strings.Repeat(`\u0001`, 1000)
			for _, id := range []string{"", `"id":"big",`} {
				c := w.dial("/ws/chat/s1")
				c.send(`{"type":"chat",` + id + `"content":"` + question + `","model":"echo-0s-900kb"}`)
				text, last := c.answer()
				require.Equal(t, "complete", last.Type)
				require.Equal(t, strings.Repeat("\x01", 900<<10), text)
			}
			status, body, _ := w.post("/api/chat", `{"content":"`+question+`","model":"echo-0s-900kb"}`)
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, 900<<10, len(parse(t, body).FullResponse))
		})
	}
}

func TestAnswerIsBounded(t *testing.T) {
	w := start(t, with(func(c *config.Config) { c.Runs.MaxOutputBytes = 10_000 }))
	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"x","content":"é","model":"echo-0s-64kb"}`)
	text, last := c.answer()
	require.Equal(t, []string{"complete", "length"}, []string{last.Type, last.FinishReason})
	require.Equal(t, strings.Repeat("é", 5000), text)
}
