package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// asked is a question as a server reads it.
type asked struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Content string `json:"content"`
	RunID   string `json:"run_id"`
	After   int    `json:"after"`
	Key     string `json:"client_key"`
	session string
	n       int64 // of all questions
}

// fake is a server for tests: answer says what it does with each message.
type fake struct {
	*httptest.Server
	questions atomic.Int64
	sockets   atomic.Int64
	opened    func(c *websocket.Conn, n int64) bool // false: that was it
	answer    func(say func(string), q asked, c *websocket.Conn)
}

func newFake(t *testing.T, answer func(say func(string), q asked, c *websocket.Conn)) *fake {
	t.Helper()
	f := &fake{answer: answer}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) url() string { return "ws" + strings.TrimPrefix(f.URL, "http") }

// ServeHTTP implements http.Handler.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"stream.v1"}})
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	if n := f.sockets.Add(1); f.opened != nil && !f.opened(c, n) {
		return
	}
	for {
		_, b, err := c.Read(r.Context())
		if err != nil {
			return
		}
		q := asked{Content: string(b), session: r.URL.Path, n: f.questions.Add(1)}
		_ = json.Unmarshal(b, &q) // a foreign one need not be JSON
		f.answer(func(frame string) { _ = c.Write(r.Context(), websocket.MessageText, []byte(frame)) }, q, c)
	}
}

// plan is a small load; change bends it.
func plan(t *testing.T, text string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Parse("test", []byte("connections: 4\nramp: 0\nwarm_up: 0s\nduration: 300ms\ntimeouts: {finish: 5s, handshake: 5s}\n"+text))
	require.NoError(t, err)
	return s
}

func load(t *testing.T, s *scenario.Scenario, url string) *report.Result {
	t.Helper()
	r, err := Run(t.Context(), s, Options{URL: url, Metrics: "off", Tool: "test"})
	require.NoError(t, err)
	return r
}

// check returns the named check.
func check(t *testing.T, r *report.Result, name string) report.Check {
	t.Helper()
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	require.Fail(t, "no such check", name)
	return report.Check{}
}

// errorsOf are the codes and how often each was seen.
func errorsOf(r *report.Result) map[string]int64 {
	m := map[string]int64{}
	for _, e := range r.Errors {
		m[e.Code] = e.Count
	}
	return m
}

// honest answers a question as it should be: two words and the end.
func honest(say func(string), q asked, _ *websocket.Conn) {
	for seq, word := range []string{"two ", "words"} {
		say(fmt.Sprintf(`{"type":"chunk","id":"%s","seq":%d,"content":"%s"}`, q.ID, seq+1, word))
	}
	say(fmt.Sprintf(`{"type":"complete","id":"%s","run_id":"r","seq":3,"full_response":"two words"}`, q.ID))
}

const named = "questions: {named: true, provider: x, models: y, arrival: once, spread: 0s}\n"

func TestAnHonestServerPasses(t *testing.T) {
	f := newFake(t, honest)
	r := load(t, plan(t, named+"checks: {max_errors: 0, p99: {first_chunk: 5s}, at_least: {completed: 1}}\n"), f.url())
	for _, c := range r.Checks {
		require.True(t, c.OK, c)
	}
	require.Equal(t, int64(4), r.Totals.Questions)
	require.Equal(t, int64(4), r.Totals.Completed)
	require.Equal(t, int64(8), r.Totals.Chunks)
	require.Equal(t, int64(12), r.Totals.Frames)
	require.Equal(t, int64(4), r.Latencies[report.LatencyFirst].Count)
	require.Equal(t, int64(4), r.Latencies[report.LatencyGap].Count)
	require.Equal(t, int64(4), r.Latencies[report.LatencyHandshake].Count)
	require.NotEmpty(t, r.Latencies[report.LatencyAnswer].Buckets)
	require.GreaterOrEqual(t, r.Seconds, 0.29)
	require.Contains(t, r.Plan, "connections: 4")
}

func TestALyingServerIsFound(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		frames     []string
	}{
		{"a chunk is missing", breachLoss, []string{
			`{"type":"chunk","id":"1","seq":1,"content":"a"}`, `{"type":"chunk","id":"1","seq":3,"content":"b"}`,
			`{"type":"complete","id":"1","seq":4,"full_response":"ab"}`,
		}},
		{"chunks are swapped", breachOrder, []string{
			`{"type":"chunk","id":"1","seq":1,"content":"a"}`, `{"type":"chunk","id":"1","seq":1,"content":"b"}`,
			`{"type":"complete","id":"1","seq":2,"full_response":"ab"}`,
		}},
		{"the end says more", breachText, []string{`{"type":"chunk","id":"1","seq":1,"content":"a"}`, `{"type":"complete","id":"1","seq":2,"full_response":"ab"}`}},
		{"two ends", breachEnds, []string{`{"type":"complete","id":"1","seq":1,"full_response":""}`, `{"type":"complete","id":"1","seq":1,"full_response":""}`}},
		{"a chunk behind the end", breachEnds, []string{`{"type":"complete","id":"1","seq":1,"full_response":""}`, `{"type":"chunk","id":"1","seq":2,"content":"b"}`}},
		{"an error behind the end", breachEnds, []string{`{"type":"complete","id":"1","seq":1,"full_response":""}`, `{"type":"error","id":"1","code":"X","message":"m"}`}},
		{"stopped by nobody", breachEnds, []string{`{"type":"cancelled","id":"1","run_id":"r","seq":1,"full_response":""}`}},
		{"a chunk without a number", breachOrder, []string{`{"type":"chunk","id":"1","content":"a"}`, `{"type":"complete","id":"1","seq":1,"full_response":"a"}`}},
		{"somebody else's chunk", breachEnds, []string{`{"type":"chunk","id":"9","seq":1,"content":"a"}`, `{"type":"complete","id":"1","seq":1,"full_response":""}`}},
	} {
		f := newFake(t, func(say func(string), _ asked, _ *websocket.Conn) {
			for _, frame := range tt.frames {
				say(frame)
			}
		})
		r := load(t, plan(t, named), f.url())
		require.False(t, check(t, r, tt.want).OK, tt.name)
		require.NotZero(t, errorsOf(r)[tt.want], tt.name)
		for _, e := range r.Errors {
			if e.Code == tt.want {
				require.Contains(t, e.Example, "load-", "%s: the example names the session", tt.name)
			}
		}
	}
}

func TestAnEchoIsReadWordByWord(t *testing.T) {
	lie := false
	f := newFake(t, func(say func(string), q asked, _ *websocket.Conn) {
		text := q.Content
		if lie {
			text = strings.ToUpper(text[:1]) + text[1:]
		}
		say(fmt.Sprintf(`{"type":"chunk","content":%q}`, text))
		say(fmt.Sprintf(`{"type":"complete","full_response":%q}`, text))
	})
	s := "questions: {provider: echo, models: echo, arrival: once, spread: 0s}\n"
	require.True(t, check(t, load(t, plan(t, s), f.url()), breachText).OK)
	lie = true
	require.False(t, check(t, load(t, plan(t, s), f.url()), breachText).OK)
}

func TestAnAnswerWithoutAnEndIsUnfinishedOrTimesOut(t *testing.T) {
	silent := func(func(string), asked, *websocket.Conn) {}
	f := newFake(t, silent)
	short := plan(t, named)
	short.Timeouts.Finish = scenario.Duration(100 * time.Millisecond)
	r := load(t, short, f.url())
	require.Equal(t, int64(4), r.Totals.Unfinished)
	require.False(t, check(t, r, breachEnds).OK)

	s := plan(t, named)
	s.Timeouts.Answer, s.Duration = scenario.Duration(500*time.Millisecond), scenario.Duration(1500*time.Millisecond)
	r = load(t, s, f.url())
	require.Equal(t, int64(4), errorsOf(r)["timeout"])
	require.Equal(t, int64(4), r.Totals.Failed)
	require.Zero(t, r.Totals.Unfinished)
	ends := check(t, r, breachEnds)
	require.False(t, ends.OK)
	require.Equal(t, "4 questions without an end within 500ms", ends.Detail)
	for _, name := range []string{report.LatencyFirst, report.LatencyAnswer} { // else who hangs most looks fastest
		require.Equal(t, int64(4), r.Latencies[name].Count, name)
		require.GreaterOrEqual(t, r.Latencies[name].P50, 0.5, name)
	}

	s.Checks.Allow = []string{"timeout"} // somebody who wants to see them hang
	require.True(t, check(t, load(t, s, f.url()), breachEnds).OK)
}

func TestOneQuestionThatHangsTakesNoOtherWithIt(t *testing.T) {
	f := newFake(t, func(say func(string), q asked, _ *websocket.Conn) {
		if q.n > 1 {
			honest(say, q, nil)
		}
	})
	s := plan(t, "questions: {named: true, provider: x, models: y, arrival: constant, rate: 10, per_connection: 8}\n")
	s.Connections, s.Duration = 1, scenario.Duration(2*time.Second)
	s.Timeouts.Answer = scenario.Duration(500 * time.Millisecond)
	r := load(t, s, f.url())
	require.Equal(t, int64(1), errorsOf(r)["timeout"])
	require.LessOrEqual(t, r.Totals.Failed, int64(2), "one may have been asked at the moment at which the socket was cut")
	require.Greater(t, r.Totals.Completed, int64(10))
}

func TestRatesAreOfTheMeasuredTime(t *testing.T) {
	f := newFake(t, func(say func(string), q asked, _ *websocket.Conn) {
		time.Sleep(800 * time.Millisecond) // behind the end of what is measured
		honest(say, q, nil)
	})
	r := load(t, plan(t, named+"checks: {at_least: {completed: 0.1}}\n"), f.url())
	require.Equal(t, int64(4), r.Totals.Completed)
	require.Zero(t, r.Totals.Answered)
	require.False(t, check(t, r, "completed a second").OK)
	require.Zero(t, r.Totals.Connected, "the ramp's do not count")
	require.Equal(t, int64(4), r.Totals.Connections)
}

func TestNothingIsMissedWhileTheServerTellsItsFigures(t *testing.T) {
	f := newFake(t, honest)
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(400 * time.Millisecond) }))
	defer slow.Close()
	s := plan(t, "questions: {named: true, provider: x, models: y, arrival: constant, rate: 100}\n")
	s.WarmUp, s.Duration = scenario.Duration(100*time.Millisecond), scenario.Duration(time.Second)
	r, err := Run(t.Context(), s, Options{URL: f.url(), Metrics: slow.URL})
	require.NoError(t, err)
	require.GreaterOrEqual(t, r.Totals.Questions, int64(99))
	require.GreaterOrEqual(t, r.Latencies[report.LatencyFirst].Count, r.Totals.Questions*9/10)
	require.Greater(t, r.Seconds, 0.9)
}

func TestErrorsCountByTheirCode(t *testing.T) {
	f := newFake(t, func(say func(string), q asked, _ *websocket.Conn) {
		say(`{"type":"error","id":"` + q.ID + `","code":"OVERLOADED","message":"full","retryable":true}`)
	})
	r := load(t, plan(t, named+"checks: {max_errors: 3}\n"), f.url())
	require.Equal(t, int64(4), errorsOf(r)["OVERLOADED"])
	require.Equal(t, int64(4), r.Totals.Failed)
	require.False(t, check(t, r, "errors").OK)
	r = load(t, plan(t, named+"checks: {max_errors: 0, allow: [OVERLOADED]}\n"), f.url())
	require.True(t, check(t, r, "errors").OK)
}

func TestInterruptionStillReports(t *testing.T) {
	f := newFake(t, honest)
	s := plan(t, "questions: {named: true, provider: x, models: y, spread: 0s, think: 10ms}\n")
	s.Duration = scenario.Duration(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	f.answer = func(say func(string), q asked, c *websocket.Conn) {
		honest(say, q, c)
		if q.n == 20 {
			cancel()
		}
	}
	r, err := Run(ctx, s, Options{URL: f.url(), Metrics: "off"})
	require.NoError(t, err)
	require.GreaterOrEqual(t, r.Totals.Completed, int64(15))
	require.Less(t, r.Seconds, 60.0)
	require.True(t, check(t, r, breachEnds).OK, "nobody waited for the others")
}

func TestNobodyThereIsAnError(t *testing.T) {
	f := newFake(t, honest)
	url := f.url()
	f.Close()
	_, err := Run(t.Context(), plan(t, named), Options{URL: url, Metrics: "off"})
	require.ErrorContains(t, err, "nobody listens there")
	_, err = Run(t.Context(), plan(t, named), Options{URL: "http://x", Metrics: "off"})
	require.ErrorContains(t, err, "give an address like ws://127.0.0.1:8000")
	_, err = Run(t.Context(), plan(t, "visits: {rate: 100}\n"), Options{URL: url, Metrics: "off"})
	require.ErrorContains(t, err, "came in: connect: ")
	require.ErrorContains(t, err, "nobody listens there")
	s := plan(t, named)
	s.Connections = 50_000_000
	_, err = Run(t.Context(), s, Options{URL: url, Metrics: "off"})
	require.ErrorContains(t, err, "connections do not fit")
}
