package natsproc_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus/natsproc"
)

func cluster(t *testing.T, n int) []*natsproc.Server {
	t.Helper()
	servers, err := natsproc.Cluster(t.Context(), n, t.TempDir(), "max_payload: 65536")
	require.NoError(t, err)
	require.Len(t, servers, n)
	for _, s := range servers {
		t.Cleanup(s.Kill)
	}
	return servers
}

// requireHears: a message published at one node reaches a subscriber of another.
func requireHears(t *testing.T, at, from *natsproc.Server) {
	t.Helper()
	listener, speaker := connect(t, at), connect(t, from)
	sub, err := listener.SubscribeSync("news")
	require.NoError(t, err)
	require.NoError(t, listener.FlushTimeout(patience))
	// Interest travels between the nodes on its own time: say it until it is heard.
	require.Eventually(t, func() bool {
		require.NoError(t, speaker.Publish("news", []byte("hello")))
		msg, err := sub.NextMsg(100 * time.Millisecond)
		return err == nil && string(msg.Data) == "hello"
	}, patience, time.Millisecond)
}

func TestClusterHealsAfterAKill(t *testing.T) {
	servers := cluster(t, 3)
	requireHears(t, servers[2], servers[0])
	require.EqualValues(t, 65536, connect(t, servers[1]).MaxPayload())

	addr := servers[0].Addr()
	servers[0].Kill()
	require.NoError(t, natsproc.Meshed(t.Context(), servers), "the two that are left are connected")
	requireHears(t, servers[2], servers[1])

	require.NoError(t, servers[0].Start(t.Context()))
	require.Equal(t, addr, servers[0].Addr())
	require.NoError(t, natsproc.Meshed(t.Context(), servers))
	requireHears(t, servers[2], servers[0])
}

// TestClusterTellsClientsNoOtherAddress: who was given a proxy's address must not
// find a way around it.
func TestClusterTellsClientsNoOtherAddress(t *testing.T) {
	servers := cluster(t, 3)
	c := connect(t, servers[0])
	require.Empty(t, c.DiscoveredServers())
	require.Equal(t, []string{servers[0].URL()}, c.Servers())

	servers[1].Kill() // an update of the cluster goes to clients, too
	require.NoError(t, servers[1].Start(t.Context()))
	require.NoError(t, natsproc.Meshed(t.Context(), servers))
	require.NoError(t, c.FlushTimeout(patience))
	require.Empty(t, c.DiscoveredServers())
	require.Equal(t, nats.CONNECTED, c.Status())
}

func TestClusterSaysWhatIsWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		n            int
		config, says string
	}{
		"no nodes":        {0, "", "1 to 16"},
		"too many":        {17, "", "1 to 16"},
		"a configuration": {3, "no_such_field: 1", "no_such_field"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := natsproc.Cluster(t.Context(), tt.n, t.TempDir(), tt.config)
			require.ErrorContains(t, err, tt.says)
		})
	}
	alone, err := natsproc.Start(t.Context(), natsproc.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(alone.Kill)
	require.ErrorContains(t, natsproc.Meshed(t.Context(), []*natsproc.Server{alone}), "not part of a cluster")
}
