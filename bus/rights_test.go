package bus_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/bus/bustest"
)

// deployed runs the server configuration that the project ships.
func deployed(t testing.TB, switches ...string) (*bustest.NATS, *bustest.CA) {
	t.Helper()
	ca := bustest.NewCA(t)
	ca.Issue("server", time.Now().Add(time.Hour))
	return bustest.Server(t, bustest.Deployed(t, ca, switches...)), ca
}

// may tells whether the server lets this client do something. Its refusal comes
// before the answer to the flush and names what it refused.
func may(t *testing.T, nc *nats.Conn, op, subject, group string) bool {
	t.Helper()
	refusal := fmt.Sprintf("Publish to %q", subject)
	switch op {
	case "publish":
		require.NoError(t, nc.Publish(subject, nil))
	case "subscribe":
		refusal = fmt.Sprintf("Subscription to %q", subject)
		if group != "" {
			refusal += fmt.Sprintf(" using queue %q", group)
		}
		sub, err := nc.QueueSubscribeSync(subject, group)
		require.NoError(t, err)
		defer func() { _ = sub.Unsubscribe() }() // the server may have done so
	}
	require.NoError(t, nc.Flush())
	err := nc.LastError()
	return err == nil || !strings.HasSuffix(err.Error(), "Permissions Violation for "+refusal)
}

func TestRightsOfTheShippedServer(t *testing.T) {
	s, ca := deployed(t)
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	gateway := tool(t, s.TLS("gateway", bustest.GatewayPassword), nats.RootCAs(ca.File()), quiet)
	worker := tool(t, s.TLS("worker", bustest.WorkerPassword), nats.RootCAs(ca.File()), quiet)
	const (
		yes, no = true, false
		pub     = "publish"
		sub     = "subscribe"
		ours    = "troupe-worker"
	)
	for _, tt := range []struct {
		op, subject, group string
		gateway, worker    bool
	}{
		// Questions: from gateways to the queue group and nobody beside it.
		{pub, "troupe.v1.chat.echo", "", yes, no},
		{pub, "troupe.v1.chat.a.b", "", no, no},
		{pub, "troupe.v1.chat", "", no, no},
		{sub, "troupe.v1.chat.echo", ours, no, yes},
		{sub, "troupe.v1.chat.*", ours, no, yes},
		{sub, "troupe.v1.chat.echo", "", no, no},
		{sub, "troupe.v1.chat.*", "", no, no},
		{sub, "troupe.v1.chat.>", "", no, no},
		{sub, "troupe.v1.chat.echo", "spies", no, no},
		{sub, "troupe.v1.chat.echo", "stage-worker", no, no},

		// Answers: from workers to gateways.
		{pub, "troupe.v1.gateway.g1.events", "", no, yes},
		{pub, "troupe.v1.gateway.g1.r.1", "", no, yes},
		{pub, "troupe.v1.gateway.g1.other", "", no, no},
		{pub, "troupe.v1.gateway.g1.r.1.2", "", no, no},
		{pub, "troupe.v1.gateway.g1", "", no, no},
		{sub, "troupe.v1.gateway.g1.>", "", yes, no},
		{sub, "troupe.v1.gateway.g1.events", "", yes, no},
		{sub, "troupe.v1.gateway.>", "", no, no},

		// Words to runs.
		{pub, "troupe.v1.worker.w1.control", "", yes, no},
		{pub, "troupe.v1.worker.w1.other", "", no, no},
		{sub, "troupe.v1.worker.w1.control", "", no, yes},
		{sub, "troupe.v1.worker.w1.other", "", no, no},
		{sub, "troupe.v1.worker.>", "", no, no},

		// Beats: everybody hears all, nobody speaks for the other side. A key is
		// sealed to whoever beats as a worker.
		{pub, "troupe.v1.beat.gateway.g1", "", yes, no},
		{pub, "troupe.v1.beat.worker.w1", "", no, yes},
		{pub, "troupe.v1.beat.operator.o1", "", no, no},
		{sub, "troupe.v1.beat.>", "", yes, yes},
		{sub, "troupe.v1.beat.worker.w1", "", yes, yes},

		// What runs cost: workers say it, and only who bills hears it.
		{pub, "troupe.v1.usage", "", no, yes},
		{pub, "troupe.v1.usage.a", "", no, no},
		{sub, "troupe.v1.usage", "", no, no},

		// Discovery: workers are asked, nobody here asks.
		{sub, "$SRV.PING", "", no, yes},
		{sub, "$SRV.INFO", "", no, yes},
		{sub, "$SRV.STATS", "", no, yes},
		{sub, "$SRV.PING.troupe-worker", "", no, yes},
		{sub, "$SRV.PING.troupe-worker.w1", "", no, yes},
		{sub, "$SRV.>", "", no, no},
		{sub, "$SRV.*", "", no, no},
		{sub, "$SRV.OTHER", "", no, no},
		{sub, "$SRV.PING.stage-worker", "", no, no},
		{sub, "$SRV.PING.other.id", "", no, no},
		{pub, "$SRV.PING", "", no, no},
		{pub, "$SRV.STATS.troupe-worker.w1", "", no, no},

		// Inboxes: nobody has one, and nobody writes into one unasked.
		{pub, "_INBOX.a.b", "", no, no},
		{sub, "_INBOX.a.b", "", no, no},
		{sub, "_INBOX.>", "", no, no},

		// Another deployment, the rest of the world, the server itself.
		{pub, "stage.v1.chat.echo", "", no, no},
		{sub, "stage.v1.chat.echo", "stage-worker", no, no},
		{sub, "stage.v1.chat.echo", ours, no, no},
		{pub, "stage.v1.gateway.g1.events", "", no, no},
		{sub, "stage.v1.gateway.g1.>", "", no, no},
		{pub, "stage.v1.worker.w1.control", "", no, no},
		{sub, "stage.v1.beat.>", "", no, no},
		{pub, "stage.v1.beat.worker.w1", "", no, no},
		{pub, "troupe.v2.chat.echo", "", no, no},
		{sub, "troupe.>", "", no, no},
		{sub, "troupe.v1.>", "", no, no},
		{sub, "*.v1.beat.>", "", no, no},
		{sub, ">", "", no, no},
		{sub, "*", "", no, no},
		{sub, ">", ours, no, no},
		{pub, "anything", "", no, no},
		{sub, "$SYS.>", "", no, no},
		{pub, "$SYS.REQ.SERVER.PING", "", no, no},
		{pub, "$JS.API.STREAM.LIST", "", no, no},
		{sub, "$JS.>", "", no, no},
	} {
		name := fmt.Sprintf("%s %s %s", tt.op, tt.subject, tt.group)
		require.Equal(t, tt.gateway, may(t, gateway, tt.op, tt.subject, tt.group), "gateway: %s", name)
		require.Equal(t, tt.worker, may(t, worker, tt.op, tt.subject, tt.group), "worker: %s", name)
	}
}

// Only who shows a password gets in, in the clear nobody does.
func TestTheShippedServerRefusesStrangers(t *testing.T) {
	s, ca := deployed(t)
	host := strings.TrimPrefix(s.URL(), "nats://")
	for name, url := range map[string]string{
		"nobody":               "tls://" + host,
		"wrong password":       s.TLS("gateway", "guess"),
		"the other's password": s.TLS("gateway", bustest.WorkerPassword),
		"the hash itself":      s.TLS("worker", "$2a$04$"),
		"unknown user":         s.TLS("admin", bustest.GatewayPassword),
		"operator is off":      s.TLS("operator", bustest.OperatorPassword),
	} {
		_, err := nats.Connect(url, nats.RootCAs(ca.File()))
		require.ErrorIs(t, err, nats.ErrAuthorization, name)
	}
}

// The rights suffice: a question, its answer, a word to a run, beats, and a
// person who asks for workers.
func TestTheShippedRightsSuffice(t *testing.T) {
	s, ca := deployed(t, bustest.WithOperator, bustest.WithOperatorTail)
	var log lockedBuffer
	secured := func(user, password string) *bus.Bus {
		cfg := to(s.TLS(user, password), "troupe")
		cfg.TLS.CA = ca.File()
		return connect(t, cfg, bus.Options{Log: zerolog.New(&log)})
	}
	gateway, worker := secured("gateway", bustest.GatewayPassword), secured("worker", bustest.WorkerPassword)
	announce(t, worker, "w1")
	beats, ear := make(chan string, 16), newEar()
	for _, b := range []*bus.Bus{gateway, worker} {
		_, err := b.ListenBeats(func(b *bus.Beat, _ time.Time) { beats <- b.Role })
		require.NoError(t, err)
	}
	_, err := gateway.ListenGateway("g1", ear)
	require.NoError(t, err)
	out := bus.NewOutgoing(worker, 0)
	_, err = worker.Work("echo", func(j *bus.Job, reply string) {
		_ = worker.Reply(reply, &bus.Reply{Type: bus.ReplyAccepted, Run: "w1-r1", Worker: "w1"})
		out.Publish(j.Gateway, &bus.Event{Type: bus.EventComplete, To: j.To, Seq: 1, Finish: "stop"}, true)
	})
	require.NoError(t, err)
	_, err = worker.ListenControl("w1", func(_ *bus.Control, reply string) {
		_ = worker.Reply(reply, &bus.Reply{Type: bus.ReplyMissing, Worker: "w1"})
	})
	require.NoError(t, err)
	flush(t, gateway, worker)

	require.NoError(t, gateway.Ask(job(1)))
	require.Equal(t, bus.ReplyAccepted, receive(t, ear.ch).reply.Type)
	require.Equal(t, bus.EventComplete, receive(t, ear.ch).event.Type)
	require.NoError(t, gateway.Control("w1", &bus.Control{Type: bus.ControlCancel, Run: "w1-r1", Gateway: "g1", To: 1, Session: "s"}))
	require.Equal(t, bus.ReplyMissing, receive(t, ear.ch).reply.Type)
	require.NoError(t, gateway.Beat(&bus.Beat{Role: bus.RoleGateway, ID: "g1"}))
	require.NoError(t, worker.Beat(&bus.Beat{Role: bus.RoleWorker, ID: "w1"}))
	heard := map[string]int{}
	for range 4 {
		heard[receive(t, beats)]++
	}
	require.Equal(t, map[string]int{bus.RoleGateway: 2, bus.RoleWorker: 2}, heard)
	require.NoError(t, out.Close(t.Context()))

	person := tool(t, s.TLS("operator", bustest.OperatorPassword), nats.RootCAs(ca.File()), nats.CustomInboxPrefix("_INBOX.operator"))
	for range 3 { // each answer is a right of its own
		var ping micro.Ping
		ask(t, person, "$SRV.PING.troupe-worker", &ping)
		require.Equal(t, "w1", ping.ID)
	}
	require.NotContains(t, log.String(), "Violation")
}

// A right that is missing is said with what it is about, once.
func TestAMissingRightIsSaid(t *testing.T) {
	s, ca := deployed(t)
	var log lockedBuffer
	cfg := to(s.TLS("gateway", bustest.GatewayPassword), "stage")
	cfg.TLS.CA = ca.File()
	b := connect(t, cfg, bus.Options{Log: zerolog.New(&log)})
	_, err := b.ListenBeats(func(*bus.Beat, time.Time) {})
	require.NoError(t, err)
	flush(t, b)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), `"message":"Bus error"`) }, patience, time.Millisecond)
	require.Contains(t, log.String(), `"key":"bus.prefix"`)
	require.Contains(t, log.String(), "stage.v1.beat.>")
	require.True(t, b.Connected())
}

// The file for a cluster is the one for a server and routes, over TLS with
// certificates of both ends.
func TestTheShippedCluster(t *testing.T) {
	ca := bustest.NewCA(t)
	ca.Issue("server", time.Now().Add(time.Hour))
	one := bustest.Deployed(t, ca)("")
	t.Setenv("TROUPE_NATS_SERVER", "nats-1")
	t.Setenv("TROUPE_NATS_ROUTES", "[tls://nats-1.example.com:6222, tls://nats-2.example.com:6222]")
	dir := t.TempDir()
	file := filepath.Join(dir, "cluster.conf")
	cluster := strings.ReplaceAll(bustest.Shipped(t, "cluster.conf"), "/etc/nats/tls/", ca.Dir+"/")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nats-server.conf"), []byte(one), 0o600))
	require.NoError(t, os.WriteFile(file, []byte(cluster), 0o600))
	o, err := server.ProcessConfigFile(file)
	require.NoError(t, err)
	require.Equal(t, []any{"nats-1", "troupe", 6222}, []any{o.ServerName, o.Cluster.Name, o.Cluster.Port})
	require.Len(t, o.Routes, 2)
	require.Equal(t, tls.RequireAndVerifyClientCert, o.Cluster.TLSConfig.ClientAuth)
	require.NotNil(t, o.TLSConfig)
	require.Len(t, o.Users, 2)
	for _, u := range o.Users {
		require.NotEmpty(t, u.Permissions.Publish.Allow, u.Username)
		require.NotEmpty(t, u.Permissions.Subscribe.Allow, u.Username)
	}
	require.EqualValues(t, 1<<20, o.MaxPayload)
}

// The page and the file name the same rights.
func TestTheShippedRightsAreDocumented(t *testing.T) {
	ca := bustest.NewCA(t)
	ca.Issue("server", time.Now().Add(time.Hour))
	file := filepath.Join(t.TempDir(), "nats-server.conf")
	require.NoError(t, os.WriteFile(file, []byte(bustest.Deployed(t, ca)("")), 0o600))
	o, err := server.ProcessConfigFile(file)
	require.NoError(t, err)
	page, err := os.ReadFile(filepath.Join("..", "docs", "bus.md"))
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "\n## Rights\n")
	require.True(t, found)
	subject := regexp.MustCompile("`((?:troupe\\.v1|\\$SRV)\\.[^`]*)`(?: as `([^`]*)`)?")
	for _, u := range o.Users {
		_, row, found := strings.Cut(section, "\n| "+u.Username+" |")
		require.True(t, found, u.Username)
		row, _, _ = strings.Cut(row, "\n")
		publish, subscribe, _ := strings.Cut(row, "|")
		listed := func(cell string) (all []string) {
			for _, m := range subject.FindAllStringSubmatch(cell, -1) {
				all = append(all, strings.TrimSpace(m[1]+" "+m[2]))
				if strings.HasPrefix(m[1], "$SRV.") {
					all = append(all, m[1]+".troupe-worker", m[1]+".troupe-worker.*")
				}
			}
			return all
		}
		require.ElementsMatch(t, u.Permissions.Publish.Allow, listed(publish), u.Username)
		require.ElementsMatch(t, u.Permissions.Subscribe.Allow, listed(subscribe), u.Username)
	}
}
