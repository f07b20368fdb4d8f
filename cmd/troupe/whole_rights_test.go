package main

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/config"
)

// shipped runs the server configuration that the project ships.
func shipped(t *testing.T, switches ...string) (*bustest.NATS, *bustest.CA) {
	t.Helper()
	ca := bustest.NewCA(t)
	ca.Issue("server", time.Now().Add(time.Hour))
	return bustest.Server(t, bustest.Deployed(t, ca, switches...)), ca
}

// asUser puts a role on a shipped server, with the user of that name.
func asUser(s *bustest.NATS, ca *bustest.CA, role string) func(*appOptions) {
	password := map[string]string{roleGateway: bustest.GatewayPassword, roleWorker: bustest.WorkerPassword}[role]
	return func(o *appOptions) {
		o.Role = role
		o.Config.Bus.URL = s.TLS(role, password)
		o.Config.Bus.TLS.CA = ca.File()
		wide(o)
	}
}

// quietBus fails where the server refused something that a role needs.
func (w *whole) quietBus() {
	w.t.Helper()
	require.NotContains(w.t, strings.ToLower(w.log.String()), "permissions violation")
	require.Empty(w.t, w.logged("Bus error"))
}

func TestGatewayAndWorkerWithTheShippedRights(t *testing.T) {
	v := providertest.New(t, providertest.Say("by", " the vendor"))
	s, ca := shipped(t, bustest.WithOperator, bustest.WithOperatorTail)
	worker := start(t, asUser(s, ca, roleWorker), asking(v))
	g := start(t, asUser(s, ca, roleGateway))
	g.knows(1)

	c := g.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"a","content":"Hello there!"}`)
	text, last := c.answer()
	require.Equal(t, []string{"Hello there!", "complete"}, []string{text, last.Type})
	c.send(`{"type":"chat","id":"k","content":"x","provider":"openai","api_keys":{"openai":"sk-of-the-user"}}`)
	text, _ = c.answer()
	require.Equal(t, "by the vendor", text, "the key reached its worker")

	c.send(`{"type":"chat","id":"r","content":"word","model":"echo-20ms-500w"}`)
	run := c.next().RunID
	other := g.dial("/ws/chat/s1")
	other.send(`{"type":"resume","run_id":"` + run + `"}`)
	require.Equal(t, "snapshot", other.next().Type)
	other.send(`{"type":"cancel"}`)
	_, last = readOn(other)
	require.Equal(t, "cancelled", last.Type)

	person, err := nats.Connect(s.TLS("operator", bustest.OperatorPassword), nats.RootCAs(ca.File()), nats.CustomInboxPrefix("_INBOX.operator"))
	require.NoError(t, err)
	defer person.Close()
	m, err := person.Request("$SRV.STATS.troupe-worker."+worker.worker.actors.ID(), nil, 5*time.Second)
	require.NoError(t, err)
	var stats micro.Stats
	require.NoError(t, json.Unmarshal(m.Data, &stats))
	require.Equal(t, []string{"troupe-worker", worker.worker.actors.ID(), "0.0.0", "test"}, []string{stats.Name, stats.ID, stats.Version, stats.Metadata["version"]})
	served := map[string]string{}
	for _, e := range stats.Endpoints {
		served[e.Name] = e.Subject
		require.Contains(t, string(e.Data), `"capacity":`+jsonNumber(worker.worker.actors.Load().Capacity))
	}
	require.Equal(t, "troupe.v1.chat.echo", served["echo"])
	require.Equal(t, "troupe.v1.chat.openai", served["openai"])

	g.quietBus()
	worker.quietBus()
}

func jsonNumber(n int) string {
	data, _ := json.Marshal(n) // a number
	return string(data)
}

// The shipped server may ask for certificates too, instead of none.
func TestAClientShowsItsCertificate(t *testing.T) {
	s, ca := shipped(t, bustest.WithClientCertify)
	cert, key := ca.Issue("client", time.Now().Add(time.Hour))
	show := with(func(c *config.Config) { c.Bus.TLS.Cert, c.Bus.TLS.Key = cert, key })
	start(t, asUser(s, ca, roleWorker), show)
	g := start(t, asUser(s, ca, roleGateway), show)
	g.knows(1)
	status, body, _ := g.post("/api/chat", `{"content":"over TLS"}`)
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "over TLS", parse(t, body).FullResponse)
}

// Whatever is wrong at the door of the bus: the log names the key and what to
// do, nothing ends, the gateway is not ready, and no password is told. Where
// the fault can be put right outside, it comes up by itself.
func TestWhatIsWrongWithTheBusIsSaid(t *testing.T) {
	type fault struct {
		name, key, remedy string
		switches          []string
		server            func(*testing.T, *bustest.CA)                                // before it starts
		wrong             func(*testing.T, *bustest.CA, *bustest.NATS, *config.Config) // in the gateway's configuration
		repair            func(*bustest.CA, *bustest.NATS)
	}
	past := time.Now().Add(-time.Hour)
	for _, tt := range []fault{
		{
			name: "wrong password", key: "bus.url", remedy: "password",
			wrong: func(_ *testing.T, _ *bustest.CA, s *bustest.NATS, c *config.Config) {
				c.Bus.URL = s.TLS("gateway", "hunter2")
			},
		},
		{
			name: "wrong credentials", key: "bus.credentials", remedy: "replace the file",
			wrong: func(t *testing.T, _ *bustest.CA, s *bustest.NATS, c *config.Config) {
				c.Bus.URL = strings.Replace(s.URL(), "nats://", "tls://", 1)
				c.Bus.Credentials = filepath.Join(t.TempDir(), "gateway.creds")
				require.NoError(t, os.WriteFile(c.Bus.Credentials, foreignCredentials(), 0o600))
			},
		},
		{
			name: "wrong authority", key: "bus.tls.ca", remedy: "bus.tls.ca",
			wrong: func(t *testing.T, _ *bustest.CA, _ *bustest.NATS, c *config.Config) {
				c.Bus.TLS.CA = bustest.NewCA(t).File()
			},
		},
		{
			name: "expired certificate of the server", key: "bus.url", remedy: "renew",
			server: func(_ *testing.T, ca *bustest.CA) { ca.Issue("server", past) },
			repair: func(ca *bustest.CA, s *bustest.NATS) {
				ca.Issue("server", time.Now().Add(time.Hour))
				s.Kill()
				s.Start()
			},
		},
		{
			name: "certificate for another host", key: "bus.url", remedy: "another host",
			server: func(_ *testing.T, ca *bustest.CA) { ca.Issue("server", time.Now().Add(time.Hour), "nats.example.com") },
		},
		{
			name: "no certificate of ours", key: "bus.tls.cert", remedy: "bus.tls.key",
			switches: []string{bustest.WithClientCertify},
		},
		{
			name: "expired certificate of ours", key: "bus.tls.cert", remedy: "valid today",
			switches: []string{bustest.WithClientCertify},
			wrong: func(_ *testing.T, ca *bustest.CA, _ *bustest.NATS, c *config.Config) {
				c.Bus.TLS.Cert, c.Bus.TLS.Key = ca.Issue("client", past)
			},
			repair: func(ca *bustest.CA, _ *bustest.NATS) { ca.Issue("client", time.Now().Add(time.Hour)) },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ca := bustest.NewCA(t)
			ca.Issue("server", time.Now().Add(time.Hour))
			if tt.server != nil {
				tt.server(t, ca)
			}
			s := bustest.Server(t, bustest.Deployed(t, ca, tt.switches...))
			g := start(t, asUser(s, ca, roleGateway), with(func(c *config.Config) {
				if tt.wrong != nil {
					tt.wrong(t, ca, s, c)
				}
			}))
			const message = "Bus cannot reach its server, retrying"
			require.Eventually(t, func() bool { return len(g.logged(message)) > 0 }, 10*time.Second, 5*time.Millisecond)
			line := g.logged(message)[0]
			require.Equal(t, tt.key, line["key"], line)
			require.Contains(t, line["remedy"], tt.remedy)
			status, _, _ := g.get("/readyz")
			require.Equal(t, http.StatusServiceUnavailable, status)
			status, _, _ = g.get("/livez")
			require.Equal(t, http.StatusOK, status)
			require.NotContains(t, g.log.String(), "hunter2")
			require.NotContains(t, g.log.String(), bustest.GatewayPassword)
			if tt.repair == nil {
				return
			}
			tt.repair(ca, s)
			require.Eventually(t, func() bool {
				status, _, _ := g.get("/readyz")
				return status == http.StatusOK
			}, 10*time.Second, 10*time.Millisecond)
		})
	}
}

// foreignCredentials are well-formed ones that no server knows: a token, and a
// new Ed25519 seed in the spelling of NATS, with its checksum.
func foreignCredentials() []byte {
	const seedOfUser = 18<<11 | 20<<6 // two prefixes of five bits, padded
	raw := binary.BigEndian.AppendUint16(nil, seedOfUser)
	raw = append(raw, make([]byte, 32)...)
	_, _ = rand.Read(raw[2:]) // does not fail
	var sum uint16
	for _, b := range raw {
		sum ^= uint16(b) << 8
		for range 8 {
			if carry := sum >> 15; carry == 1 {
				sum = sum<<1 ^ 0x1021
			} else {
				sum <<= 1
			}
		}
	}
	seed := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(binary.LittleEndian.AppendUint16(raw, sum))
	return []byte("-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n\n" +
		"-----BEGIN USER NKEY SEED-----\n" + seed + "\n------END USER NKEY SEED------\n")
}

// A certificate that is wrong only after a restart of the server is said too,
// where the client by itself would only try on.
func TestACertificateThatExpiresMeanwhileIsSaid(t *testing.T) {
	s, ca := shipped(t)
	g := start(t, asUser(s, ca, roleGateway))
	require.Eventually(t, g.gateway.bus.Connected, 10*time.Second, time.Millisecond)
	ca.Issue("server", time.Now().Add(-time.Hour))
	s.Kill()
	s.Start()
	require.Eventually(t, func() bool {
		for _, line := range g.logged("Bus cannot reach its server, retrying") {
			if line["key"] == "bus.url" && strings.Contains(line["remedy"].(string), "renew") {
				return true
			}
		}
		return false
	}, 10*time.Second, 5*time.Millisecond)
	ca.Issue("server", time.Now().Add(time.Hour))
	s.Kill()
	s.Start()
	require.Eventually(t, g.gateway.bus.Connected, 10*time.Second, time.Millisecond)
}
