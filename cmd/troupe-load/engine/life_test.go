package engine

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

func TestARefusedClientComesBackWhenItMay(t *testing.T) {
	var mu sync.Mutex
	var refusedAt, backAt time.Time
	f := newFake(t, honest)
	f.opened = func(c *websocket.Conn, n int64) bool {
		mu.Lock()
		defer mu.Unlock()
		if n > 1 {
			backAt = time.Now()
			return true
		}
		refusedAt = time.Now()
		_ = c.Write(t.Context(), websocket.MessageText, []byte(`{"type":"error","code":"CONNECTION_RATE_EXCEEDED","message":"slowly","retry_after":1}`))
		_ = c.Close(websocket.StatusPolicyViolation, "CONNECTION_RATE_EXCEEDED")
		return false
	}
	s := plan(t, named)
	s.Connections, s.Duration = 1, scenario.Duration(1500*time.Millisecond)
	s.Questions.Spread = 0
	r := load(t, s, f.url())
	require.Equal(t, map[string]int64{"CONNECTION_RATE_EXCEEDED": 1}, errorsOf(r))
	require.Equal(t, int64(1), r.Totals.Refused)
	require.Zero(t, r.Totals.Dropped)
	require.Equal(t, int64(2), r.Totals.Connections)
	require.GreaterOrEqual(t, backAt.Sub(refusedAt), 900*time.Millisecond)

	s.Reconnect.Refused = false
	s.Connections = 1
	f.sockets.Store(0)
	_, err := Run(t.Context(), s, Options{URL: f.url(), Metrics: "off"})
	if err != nil { // refused before the ramp was over
		require.ErrorContains(t, err, "CONNECTION_RATE_EXCEEDED")
	}
	require.Equal(t, int64(1), f.sockets.Load())
}

func TestARefusalByHTTPTellsItsCode(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"type":"error","code":"SHUTTING_DOWN","message":"bye"}`)
	}))
	defer srv.Close()
	_, err := Run(t.Context(), plan(t, named+"reconnect: {refused: false}\n"), Options{URL: "ws" + srv.URL[len("http"):], Metrics: "off"})
	require.ErrorContains(t, err, "SHUTTING_DOWN: bye")
}

func TestADroppedClientComesBack(t *testing.T) {
	f := newFake(t, func(say func(string), q asked, c *websocket.Conn) {
		if q.n == 1 {
			_ = c.Close(websocket.StatusTryAgainLater, "SLOW_CONSUMER")
			return
		}
		honest(say, q, c)
	})
	s := plan(t, "questions: {named: true, provider: x, models: y, think: 1ms, spread: 0s}\nreconnect: {back: 0s}\n")
	s.Connections, s.Duration = 1, scenario.Duration(500*time.Millisecond)
	r := load(t, s, f.url())
	require.Equal(t, int64(1), errorsOf(r)[codeFastCut])
	require.Equal(t, int64(1), r.Totals.Dropped)
	require.Equal(t, int64(1), r.Totals.Failed)
	require.Greater(t, r.Totals.Completed, int64(1))
}

// resuming keeps one answer that begins on one socket and goes on on the next.
type resuming struct {
	mu    sync.Mutex
	after []int
	ids   []string
}

func (s *resuming) answer(say func(string), q asked, _ *websocket.Conn) {
	if q.Type == "chat" {
		say(`{"type":"accepted","id":"1","run_id":"r-1"}`)
		say(`{"type":"chunk","id":"1","seq":1,"content":"a"}`)
		return // the rest comes when somebody asks for it
	}
	s.mu.Lock()
	s.after, s.ids = append(s.after, q.After), append(s.ids, q.RunID)
	s.mu.Unlock()
	say(`{"type":"snapshot","id":"1","run_id":"r-1","seq":3,"content":"bc"}`)
	say(`{"type":"chunk","id":"1","seq":4,"content":"d"}`)
	say(`{"type":"complete","id":"1","run_id":"r-1","seq":5,"full_response":"abcd"}`)
}

func TestAnswersAreResumedWhereTheyBrokeOff(t *testing.T) {
	for _, how := range []string{scenario.HowReset, scenario.HowClose} {
		var kept resuming
		f := newFake(t, kept.answer)
		s := plan(t, named+"reconnect: {resume: true, back: 10ms}\nchecks: {max_errors: 0}\n")
		s.Connections, s.Duration, s.Reconnect.How = 2, scenario.Duration(1200*time.Millisecond), how
		s.Reconnect.DropAt = scenario.Moments{scenario.Duration(600 * time.Millisecond)}
		r := load(t, s, f.url())
		for _, c := range r.Checks {
			require.True(t, c.OK, "%s: %s %v", how, c, errorsOf(r))
		}
		require.Equal(t, []int{1, 1}, kept.after)
		require.Equal(t, []string{"r-1", "r-1"}, kept.ids)
		require.Equal(t, int64(2), r.Totals.Resumed)
		require.Equal(t, int64(2), r.Totals.Completed)
		require.Equal(t, int64(2), r.Latencies[report.LatencyResume].Count)
		require.Zero(t, r.Totals.Dropped, "the tool itself did it")
	}
}

func TestUsersWhoStop(t *testing.T) {
	f := newFake(t, func(say func(string), q asked, _ *websocket.Conn) {
		if q.Type == "cancel" {
			say(`{"type":"cancelled","id":"` + q.ID + `","run_id":"r","seq":2,"full_response":"a"}`)
			return
		}
		say(`{"type":"chunk","id":"` + q.ID + `","seq":1,"content":"a"}`)
	})
	s := plan(t, named+"abort: {probability: 1, after: 50ms}\n")
	r := load(t, s, f.url())
	require.Equal(t, int64(4), r.Totals.Cancelled)
	require.Equal(t, int64(4), r.Latencies[report.LatencyCancel].Count)
	require.True(t, check(t, r, breachText).OK)

	s.Abort.How, s.Reconnect.WhenLost = scenario.HowReset, true
	r = load(t, s, f.url())
	require.Equal(t, int64(4), r.Totals.Cancelled, "who left without a word has stopped too")
}

func TestVisitorsComeAskAndLeave(t *testing.T) {
	var sessions sync.Map
	f := newFake(t, func(say func(string), q asked, c *websocket.Conn) {
		sessions.Store(q.session, true)
		honest(say, q, c)
	})
	s := plan(t, "questions: {named: true, provider: x, models: y}\nvisits: {rate: 100, questions: 2}\nchecks: {max_errors: 0}\n")
	s.Duration = scenario.Duration(500 * time.Millisecond)
	r := load(t, s, f.url())
	for _, c := range r.Checks {
		require.True(t, c.OK, "%s %v", c, errorsOf(r))
	}
	require.True(t, r.Visits)
	require.InDelta(t, 50, r.Totals.Connections, 25)
	require.Equal(t, 2*r.Totals.Connections, f.questions.Load(), "two questions each, also where the second fell behind the end")
	n := 0
	sessions.Range(func(any, any) bool { n++; return true })
	require.Equal(t, int(r.Totals.Connections), n, "each is somebody new")
	require.Zero(t, r.Totals.Dropped)
}

func TestPingsAreAnsweredAndFragmentsJoined(t *testing.T) {
	var pongs atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, rw := hijack(t, w, r)
		defer func() { _ = nc.Close() }()
		frame := `{"type":"complete","id":"1","seq":1,"full_response":""}`
		_, _ = rw.Write(served(opPing, true, "are you there"))
		_ = rw.Flush()
		for {
			op, payload, err := clientFrame(rw.Reader)
			if err != nil {
				return
			}
			switch op {
			case opPong:
				require.Equal(t, "are you there", string(payload))
				pongs.Add(1)
			case opText:
				_, _ = rw.Write(served(opText, false, frame[:10]))
				_, _ = rw.Write(served(opPing, true, "are you there"))
				_, _ = rw.Write(served(opContinuation, true, frame[10:]))
				_ = rw.Flush()
			case opClose:
				_, _ = rw.Write(served(opClose, true, string(payload)))
				_ = rw.Flush()
				return
			}
		}
	}))
	defer srv.Close()
	s := plan(t, named)
	s.Connections = 1
	r := load(t, s, "ws"+srv.URL[len("http"):])
	require.Equal(t, int64(1), r.Totals.Completed)
	require.Equal(t, int64(2), pongs.Load())
	require.Empty(t, r.Errors)
}

// A frame that is larger than any lent buffer, and one that comes byte by byte.
func TestLargeAndPiecemealFrames(t *testing.T) {
	big := strings.Repeat("x", 3*bufferSize)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, rw := hijack(t, w, r)
		defer func() { _ = nc.Close() }()
		if _, _, err := clientFrame(rw.Reader); err != nil {
			return
		}
		stream := served(opText, true, `{"type":"chunk","content":"`+big+`"}`)
		stream = append(stream, served(opText, true, `{"type":"chunk","content":"y"}`)...)
		end := served(opText, true, `{"type":"complete","full_response":"`+big+`y"}`)
		_, _ = rw.Write(append(stream, end[:20]...))
		for _, b := range [][]byte{end[20:30], end[30:31], end[31:]} {
			_ = rw.Flush()
			_, _ = rw.Write(b)
		}
		_ = rw.Flush()
		_, goodbye, err := clientFrame(rw.Reader)
		if err == nil {
			_, _ = rw.Write(served(opClose, true, string(goodbye)))
			_ = rw.Flush()
		}
	}))
	defer srv.Close()
	s := plan(t, "questions: {provider: x, models: y, arrival: once, spread: 0s}\n")
	s.Connections = 1
	r := load(t, s, "ws"+srv.URL[len("http"):])
	require.Equal(t, int64(1), r.Totals.Completed)
	require.Empty(t, r.Errors)
	require.True(t, check(t, r, breachText).OK)
}

func TestSlowReadersReadSlowly(t *testing.T) {
	text := strings.Repeat("z", 2000)
	f := newFake(t, func(say func(string), _ asked, _ *websocket.Conn) {
		say(`{"type":"chunk","content":"` + text + `"}`)
		say(`{"type":"complete","full_response":"` + text + `"}`)
	})
	s := plan(t, "questions: {provider: x, models: y, arrival: once, spread: 0s}\nslow_readers: {share: 1, rate: 4000}\n")
	s.Connections = 1
	began := time.Now()
	r := load(t, s, f.url())
	require.Equal(t, int64(1), r.Totals.Completed)
	require.GreaterOrEqual(t, time.Since(began), 700*time.Millisecond, "4 KB at 4 KB a second")
	require.Empty(t, r.Latencies, "its slowness is not the server's")
}

func TestABrokenServerIsToldSo(t *testing.T) {
	code := make(chan uint16, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, rw := hijack(t, w, r)
		defer func() { _ = nc.Close() }()
		_, _, err := clientFrame(rw.Reader)
		require.NoError(t, err)
		_, _ = rw.Write([]byte{0x81, 0x80, 0, 0, 0, 0}) // masked
		_ = rw.Flush()
		op, payload, err := clientFrame(rw.Reader)
		if err == nil && op == opClose {
			code <- uint16(payload[0])<<8 | uint16(payload[1])
		}
	}))
	defer srv.Close()
	s := plan(t, named+"reconnect: {when_lost: false}\n")
	s.Connections = 1
	r := load(t, s, "ws"+srv.URL[len("http"):])
	require.Equal(t, int64(1), errorsOf(r)["protocol"])
	require.Equal(t, uint16(closeProtocol), <-code)
}
