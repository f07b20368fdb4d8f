package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// seat is a socket without a wire: it tells when its client was let in or sent
// away, and when a question had its end.
type seat struct {
	judged, answered       chan struct{}
	sayJudged, sayAnswered func()
}

func newSeat() *seat {
	s := &seat{judged: make(chan struct{}), answered: make(chan struct{})}
	s.sayJudged = sync.OnceFunc(func() { close(s.judged) })
	s.sayAnswered = sync.OnceFunc(func() { close(s.answered) })
	return s
}

func (s *seat) Next() { s.sayJudged() }

func (s *seat) Send(f *protocol.Frame) {
	if f.Type == protocol.TypeComplete || f.Type == protocol.TypeError || f.Type == protocol.TypeCancelled {
		s.sayAnswered()
	}
}

func (s *seat) Queue(f *protocol.Frame) { s.Send(f) }

func (s *seat) Close(protocol.Code) { s.sayJudged(); s.sayAnswered() }

// exported counts the series of /metrics, everybody's, as Prometheus counts them.
func (w *whole) exported() (series int) {
	w.t.Helper()
	status, body, _ := w.get("/metrics")
	require.Equal(w.t, http.StatusOK, status)
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "#") {
			series++
		}
	}
	return series
}

// TestSeriesAfterAMillionSessions: the whole of /metrics, as the program registers
// it, has as many series after a million sessions, each with an id, a product and
// an origin of its own, from fifty thousand addresses, as before, and fewer than
// a thousand. Some of them ask, for models of their own too; some more are
// refused at the edge.
func TestSeriesAfterAMillionSessions(t *testing.T) {
	const hands, asks, edges = 16, 499, 9_999
	million := 1_000_000
	if raceDetected {
		million /= 50 // make test runs the whole without the detector
	}
	w := start(t, breakable(), func(o *appOptions) {
		o.Log = zerolog.Nop()                     // it would hold three lines of each
		o.Config.Limits = config.Default().Limits // each of them decides, and refuses
	})
	before := w.exported()
	t.Log(before, "series")
	require.Less(t, before, 1000)
	require.Greater(t, before, 300, "something is not registered")
	const crowded = 20 // clients of one address, of which the limit refuses some
	var opened atomic.Int64
	session := func(i int) {
		name := fmt.Sprint("s-", i)
		s := newSeat()
		held := w.gateway.actors.Open(s, protocol.Client{
			Connection: name, Session: name, Product: name, Customer: i%3 == 0, Origin: "http://" + name + ".example",
			Address: fmt.Sprintf("10.%d.%d.%d", i/crowded>>16&255, i/crowded>>8&255, i/crowded&255), Kind: []protocol.Kind{protocol.WebSocket, protocol.HTTP}[i%2],
		})
		<-s.judged
		if i%asks == 0 {
			held.Receive(&protocol.Chat{ID: name, Content: "x", Provider: []string{"echo", name}[i/asks%2], Model: []string{"echo-0s", name}[i/asks/2%2]})
			<-s.answered
		}
		held.Closed(protocol.CauseClient)
		opened.Add(1)
	}
	var crowd sync.WaitGroup
	for hand := range hands {
		crowd.Go(func() {
			for i := hand; i < million; i += hands {
				session(i)
			}
		})
	}
	crowd.Wait()
	require.EqualValues(t, million, opened.Load())
	for i := 0; i < million; i += edges {
		name := fmt.Sprint("e-", i)
		_, _, _ = w.post("/api/chat", fmt.Sprintf(`{"content":"x","session_id":%q,"model":%q}`, name, name), "Origin", "http://"+name+".example")
	}
	for figure, least := range map[string]int{
		"troupe_connections_total accepted": million / 20, "troupe_connections_total rejected": million / 4,
		"troupe_limit_decisions_total session rejected": million / 10, "troupe_shed_total offender": million / 1000,
		"troupe_runs_total complete echo": million / 10_000, "troupe_errors_total ORIGIN_NOT_ALLOWED": million / edges,
	} {
		require.GreaterOrEqual(t, w.figures()[figure], float64(least), "%s: this proves nothing", figure)
	}
	require.Equal(t, before, w.exported())
}
