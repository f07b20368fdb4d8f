package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus/bustest"
)

// routeClient is a user at one server with the subscription that its role has.
type routeClient struct {
	*nats.Conn
	sub *nats.Subscription
}

func (k *natsCluster) client(n *natsNode, user, subject string) routeClient {
	k.t.Helper()
	nc, err := nats.Connect(n.url(user), nats.RootCAs(k.ca.File()), nats.NoReconnect())
	require.NoError(k.t, err)
	k.t.Cleanup(nc.Close)
	sub, err := nc.SubscribeSync(subject)
	require.NoError(k.t, err)
	require.NoError(k.t, nc.Flush())
	return routeClient{nc, sub}
}

// tell says something until it is heard: what a server's clients listen to
// reaches the other servers in its own time.
func (c routeClient) tell(t *testing.T, other routeClient, subject, text string) {
	t.Helper()
	until(t, text, func() bool {
		require.NoError(t, c.Publish(subject, []byte(text)))
		m, err := other.sub.NextMsg(100 * time.Millisecond)
		for ; err == nil; m, err = other.sub.NextMsg(time.Millisecond) {
			if string(m.Data) == text {
				return true
			}
		}
		return false
	})
}

// Each server of the cluster passes on what either user may say, to each other
// one.
func TestTheShippedClusterIsMeshed(t *testing.T) {
	k := shippedCluster(t)
	var gateways, workers []routeClient
	for _, n := range k.nodes {
		gateways = append(gateways, k.client(n, roleGateway, "troupe.v1.gateway."+n.name+".>"))
		workers = append(workers, k.client(n, roleWorker, "troupe.v1.worker."+n.name+".control"))
	}
	for i, from := range k.nodes {
		for j, to := range k.nodes {
			if i == j {
				continue
			}
			way := from.name + " to " + to.name
			workers[i].tell(t, gateways[j], "troupe.v1.gateway."+to.name+".events", "an answer from "+way)
			gateways[i].tell(t, workers[j], "troupe.v1.worker."+to.name+".control", "a word from "+way)
		}
	}
	for i, n := range k.nodes {
		for _, c := range []routeClient{gateways[i], workers[i]} {
			require.NoError(t, c.Flush())
			require.NoError(t, c.LastError(), n.name)
		}
	}
}

// A route needs a certificate of the cluster's own authority. Every server
// refuses who has none, and says why; who has one is let in, by the same file.
func TestTheShippedClusterRefusesStrangers(t *testing.T) {
	k := shippedCluster(t)
	foreign := bustest.NewCA(t)
	foreign.Issue("server", time.Now().Add(time.Hour))
	ours, err := os.ReadFile(k.ca.File())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(foreign.Dir, "ca.pem"), ours, 0o600)) // it trusts us
	for _, tt := range []struct {
		name, says string
		file       shippedFile
	}{
		{"of another authority", "signed by unknown authority", shippedFile{certs: foreign.Dir, scheme: "tls"}},
		{"without TLS", "does not look like a TLS handshake", shippedFile{certs: k.ca.Dir, scheme: "nats", bend: withoutRouteTLS(t)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := k.refusals(tt.says)
			stranger := k.launch(clusterSize, tt.file)
			for i, n := range k.nodes {
				until(t, n.name+" refuses it", func() bool { return k.refusals(tt.says)[i] > before[i] })
			}
			// With TLS 1.3 who knocks may believe for a moment that it is in.
			until(t, "it has no route", func() bool { return len(stranger.neighbours()) == 0 })
			k.meshed()
			stranger.Kill()
		})
	}
	k.nodes = append(k.nodes, k.launch(clusterSize, shippedFile{certs: k.ca.Dir, scheme: "tls"}))
	k.meshed()
}

// refusals counts, for each server, the routes that it refused for a reason.
func (k *natsCluster) refusals(reason string) (counts []int) {
	for _, n := range k.nodes {
		count := 0
		for line := range strings.Lines(n.log.String()) {
			if strings.Contains(line, "TLS route handshake error") && strings.Contains(line, reason) {
				count++
			}
		}
		counts = append(counts, count)
	}
	return counts
}

// withoutRouteTLS takes the TLS of the routes out of cluster.conf, the last
// thing in it.
func withoutRouteTLS(t *testing.T) func(string) string {
	return func(text string) string {
		head, _, found := strings.Cut(text, "\n  tls {\n")
		require.True(t, found, "deploy/nats/cluster.conf has TLS for its routes")
		return fmt.Sprintf("%s\n}\n", head)
	}
}
