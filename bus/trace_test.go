package bus_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/bus/bustest"
)

const someTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// TestTraceTravels: the header of a job is its trace, and not there without one.
func TestTraceTravels(t *testing.T) {
	overBoth(t, func(t *testing.T, dial func(string) *bus.Bus) {
		gateway, worker := dial("troupe"), dial("troupe")
		jobs := make(chan *bus.Job, 8)
		_, err := worker.Work("echo", func(j *bus.Job, _ string) { jobs <- j })
		require.NoError(t, err)
		flush(t, worker)
		for _, trace := range []string{someTrace, "", "00-too-short"} {
			j := job(1)
			j.Trace = trace
			require.NoError(t, gateway.Ask(j))
			got := receive(t, jobs)
			require.Equal(t, map[bool]string{true: trace}[len(trace) == len(someTrace)], got.Trace)
		}
	})
}

// TestTraceMakesRoom: a job that fills its message goes without its trace.
func TestTraceMakesRoom(t *testing.T) {
	s := bustest.Server(t, bustest.MaxPayload(64<<10))
	gateway, worker := connect(t, to(s.URL(), "troupe"), bus.Options{}), connect(t, to(s.URL(), "troupe"), bus.Options{})
	jobs := make(chan *bus.Job, 8)
	_, err := worker.Work("echo", func(j *bus.Job, _ string) { jobs <- j })
	require.NoError(t, err)
	flush(t, worker)
	j := job(2)
	j.Trace = someTrace
	j.System = strings.Repeat("x", gateway.MaxPayload()-600)
	without := 0
	for ; ; j.System += strings.Repeat("x", 16) { // until it does not fit at all
		if err := gateway.Ask(j); err != nil {
			require.ErrorIs(t, err, bus.ErrTooLarge)
			break
		}
		if receive(t, jobs).Trace == "" {
			without++
		}
	}
	require.Positive(t, without, "the last ones had no room for it")
}

// TestTraceHostile: what others put there is judged by length and number before
// anything looks at it.
func TestTraceHostile(t *testing.T) {
	s := bustest.Server(t)
	worker := connect(t, to(s.URL(), "troupe"), bus.Options{})
	jobs := make(chan *bus.Job, 8)
	_, err := worker.Work("echo", func(j *bus.Job, _ string) { jobs <- j })
	require.NoError(t, err)
	flush(t, worker)
	nc, err := nats.Connect(s.URL())
	require.NoError(t, err)
	defer nc.Close()
	body := []byte(`{"job":"J","gateway":"g1","to":"7","session":"s","provider":"echo","messages":[{"role":"user","content":"hi"}],"on_disconnect":"grace","sent":1,"deadline":2}`)
	ask := func(h nats.Header) string {
		require.NoError(t, nc.PublishMsg(&nats.Msg{
			Subject: "troupe.v1.chat.echo", Reply: "troupe.v1.gateway.g1.r.7", Header: h, Data: bytes.Clone(body),
		}))
		return receive(t, jobs).Trace
	}
	require.Equal(t, someTrace, ask(nats.Header{"traceparent": {someTrace}}))
	require.Empty(t, ask(nats.Header{"traceparent": {someTrace, someTrace}}))
	require.Empty(t, ask(nats.Header{"traceparent": {someTrace + "-x"}}))
	require.Empty(t, ask(nats.Header{"traceparent": {strings.Repeat("x", 1<<14)}}))
	require.Empty(t, ask(nats.Header{"Other": {someTrace}}))
}
