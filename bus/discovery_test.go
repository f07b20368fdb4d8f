package bus_test

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/bus/bustest"
)

// tool is a NATS client that knows nothing of this project.
func tool(t testing.TB, url string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, append([]nats.Option{nats.RetryOnFailedConnect(true)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	require.Eventually(t, nc.IsConnected, patience, time.Millisecond)
	return nc
}

// ask is one question to a service, answered into v.
func ask(t testing.TB, nc *nats.Conn, subject string, v any) {
	t.Helper()
	m, err := nc.Request(subject, nil, patience)
	require.NoError(t, err, subject)
	decoder := json.NewDecoder(strings.NewReader(string(m.Data)))
	decoder.DisallowUnknownFields() // nothing that the tools do not know
	require.NoError(t, decoder.Decode(v), string(m.Data))
}

func someLoad() bus.Load {
	return bus.Load{Active: 3, Capacity: 10, Providers: []bus.ProviderLoad{
		{Name: "echo", Type: "echo", State: "ready", Received: 7, Busy: 2, Failed: 1},
		{Name: "openai", Type: "openai", State: "needs_key"},
	}}
}

func announce(t testing.TB, b *bus.Bus, id string) *bus.Service {
	t.Helper()
	s, err := b.Announce(bus.Announcement{ID: id, Version: "v1.2.3-rc.1", Load: someLoad})
	require.NoError(t, err)
	flush(t, b)
	return s
}

func TestAWorkerIsDiscovered(t *testing.T) {
	s := bustest.Server(t)
	b := connect(t, to(s.URL(), "troupe"), bus.Options{})
	announce(t, b, "w1")
	nc := tool(t, s.URL())

	who := micro.ServiceIdentity{
		Name: "troupe-worker", ID: "w1", Version: "1.2.3-rc.1",
		Metadata: map[string]string{"role": "worker", "version": "v1.2.3-rc.1", "providers": "echo,openai"},
	}
	for _, tail := range []string{"", ".troupe-worker", ".troupe-worker.w1"} {
		var ping micro.Ping
		ask(t, nc, "$SRV.PING"+tail, &ping)
		require.Equal(t, micro.Ping{ServiceIdentity: who, Type: "io.nats.micro.v1.ping_response"}, ping)

		var info micro.Info
		ask(t, nc, "$SRV.INFO"+tail, &info)
		require.NotEmpty(t, info.Description)
		require.Equal(t, micro.Info{
			ServiceIdentity: who, Type: "io.nats.micro.v1.info_response", Description: info.Description,
			Endpoints: []micro.EndpointInfo{
				{Name: "echo", Subject: "troupe.v1.chat.echo", QueueGroup: "troupe-worker", Metadata: map[string]string{"type": "echo", "state": "ready"}},
				{Name: "openai", Subject: "troupe.v1.chat.openai", QueueGroup: "troupe-worker", Metadata: map[string]string{"type": "openai", "state": "needs_key"}},
			},
		}, info)

		var stats micro.Stats
		ask(t, nc, "$SRV.STATS"+tail, &stats)
		require.WithinDuration(t, time.Now(), stats.Started, time.Minute)
		require.Equal(t, micro.Stats{
			ServiceIdentity: who, Type: "io.nats.micro.v1.stats_response", Started: stats.Started,
			Endpoints: []*micro.EndpointStats{
				{
					Name: "echo", Subject: "troupe.v1.chat.echo", QueueGroup: "troupe-worker", NumRequests: 7, NumErrors: 3,
					Data: json.RawMessage(`{"busy":2,"failed":1,"active":3,"capacity":10,"draining":false}`),
				},
				{
					Name: "openai", Subject: "troupe.v1.chat.openai", QueueGroup: "troupe-worker",
					Data: json.RawMessage(`{"busy":0,"failed":0,"active":3,"capacity":10,"draining":false}`),
				},
			},
		}, stats)
	}
}

// An endpoint that is listed is no second listener: a job reaches the queue
// group once, and a worker that left it gets none while it stays listed.
func TestDiscoveryTakesNoJob(t *testing.T) {
	s := bustest.Server(t)
	b, g := connect(t, to(s.URL(), "troupe"), bus.Options{}), connect(t, to(s.URL(), "troupe"), bus.Options{})
	announce(t, b, "w1")
	ear := newEar()
	_, err := g.ListenGateway("g1", ear)
	require.NoError(t, err)
	require.NoError(t, g.Ask(job(1)))
	require.Equal(t, "none", receive(t, ear.ch).what)

	var jobs atomic.Int64
	queue, err := b.Work("echo", func(_ *bus.Job, reply string) {
		jobs.Add(1)
		_ = b.Reply(reply, &bus.Reply{Type: bus.ReplyBusy, Worker: "w1"})
	})
	require.NoError(t, err)
	flush(t, b)
	require.NoError(t, g.Ask(job(2)))
	require.Equal(t, "reply", receive(t, ear.ch).what)
	require.EqualValues(t, 1, jobs.Load())
	require.NoError(t, queue.Close(t.Context()))
	flush(t, b)
	require.NoError(t, g.Ask(job(3)))
	require.Equal(t, "none", receive(t, ear.ch).what)
	var ping micro.Ping
	ask(t, tool(t, s.URL()), "$SRV.PING.troupe-worker", &ping)
}

func TestDiscoveryOfSeveralWorkers(t *testing.T) {
	s := bustest.Server(t)
	ours, other := connect(t, to(s.URL(), "troupe"), bus.Options{}), connect(t, to(s.URL(), "stage"), bus.Options{})
	announce(t, ours, "w1")
	gone := announce(t, ours, "w2")
	announce(t, other, "w3")
	nc := tool(t, s.URL())
	listed := func(subject string, want int) (ids []string) {
		inbox := nc.NewInbox()
		sub, err := nc.SubscribeSync(inbox)
		require.NoError(t, err)
		require.NoError(t, nc.PublishRequest(subject, inbox, nil))
		for range want {
			m, err := sub.NextMsg(patience)
			require.NoError(t, err)
			var ping micro.Ping
			require.NoError(t, json.Unmarshal(m.Data, &ping))
			ids = append(ids, ping.ID)
		}
		return ids
	}
	require.ElementsMatch(t, []string{"w1", "w2", "w3"}, listed("$SRV.PING", 3))
	require.ElementsMatch(t, []string{"w1", "w2"}, listed("$SRV.PING.troupe-worker", 2))
	require.Equal(t, []string{"w3"}, listed("$SRV.PING.stage-worker", 1))

	require.NoError(t, gone.Close(t.Context()))
	flush(t, ours)
	require.ElementsMatch(t, []string{"w1", "w3"}, listed("$SRV.PING", 2))
	_, err := nc.Request("$SRV.INFO.troupe-worker.w2", nil, patience)
	require.ErrorIs(t, err, nats.ErrNoResponders)
}

func TestDiscoveryLivesThroughARestartOfTheServer(t *testing.T) {
	s := bustest.Server(t)
	b := connect(t, to(s.URL(), "troupe"), bus.Options{})
	announce(t, b, "w1")
	s.Kill()
	require.Eventually(t, func() bool { return !b.Connected() }, patience, time.Millisecond)
	s.Start()
	require.Eventually(t, b.Connected, patience, time.Millisecond)
	flush(t, b)
	var ping micro.Ping
	ask(t, tool(t, s.URL()), "$SRV.PING.troupe-worker.w1", &ping)
	require.Equal(t, "w1", ping.ID)
}

// Where an answer goes is a stranger's word: it must not turn a worker into
// somebody who speaks to gateways, or to the server's own services.
func TestDiscoveryAnswersToInboxesAlone(t *testing.T) {
	s := bustest.Server(t)
	b := connect(t, to(s.URL(), "troupe"), bus.Options{})
	announce(t, b, "w1")
	nc := tool(t, s.URL())
	all, err := nc.SubscribeSync(">")
	require.NoError(t, err)
	refused := []string{"troupe.v1.gateway.g1.events", "troupe.v1.beat.worker.w9", "$JS.API.STREAM.LIST"}
	for _, reply := range refused {
		require.NoError(t, nc.PublishRequest("$SRV.INFO", reply, nil))
	}
	require.NoError(t, nc.Publish("$SRV.INFO", nil)) // nowhere to answer to
	require.NoError(t, nc.PublishRequest("$SRV.PING", "inbox.1", nil))
	var heard []string
	for len(heard) == 0 || heard[len(heard)-1] != "inbox.1" {
		m, err := all.NextMsg(patience)
		require.NoError(t, err)
		if !strings.HasPrefix(m.Subject, "$SRV.") {
			heard = append(heard, m.Subject)
		}
	}
	require.Equal(t, []string{"inbox.1"}, heard)
	require.Eventually(t, func() bool { return b.Malformed() == uint64(len(refused)) }, patience, time.Millisecond) // other subscriptions
}

func TestAnnounceRefusesABadID(t *testing.T) {
	s := bustest.Server(t)
	b := connect(t, to(s.URL(), "troupe"), bus.Options{})
	_, err := b.Announce(bus.Announcement{ID: "w.>", Load: someLoad})
	require.ErrorIs(t, err, bus.ErrToken)
	require.NoError(t, b.Close(t.Context()))
	_, err = b.Announce(bus.Announcement{ID: "w1", Load: someLoad})
	require.ErrorIs(t, err, bus.ErrClosed)
}
