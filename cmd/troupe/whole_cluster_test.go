package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/bus/natsproc"
)

// shippedFile is deploy/nats/cluster.conf for one server of a test. It is taken
// as it is but for three things: where the certificates lie, the address of the
// routes, as all servers share a machine, and what bend does to it.
type shippedFile struct {
	certs  string // folder of server.pem, server.key and ca.pem
	scheme string // of the routes
	bend   func(text string) string
}

// natsNode is a running one. Its monitor listens where it likes.
type natsNode struct {
	*natsproc.Server
	t    *testing.T
	name string
	log  *lockedBuffer
}

// natsCluster is three servers that run deploy/nats/cluster.conf with
// nats-server.conf beside it, and places for more.
type natsCluster struct {
	t     *testing.T
	ca    *bustest.CA
	one   string // nats-server.conf
	ports []int  // of the routes, then of clients
	nodes []*natsNode
}

// clusterSize is how many servers a natsCluster has; one more may knock.
const clusterSize = 3

// shippedCluster starts the servers and returns when each has a route to each.
func shippedCluster(t *testing.T) *natsCluster {
	t.Helper()
	ca := bustest.NewCA(t)
	ca.Issue("server", time.Now().Add(time.Hour))
	k := &natsCluster{t: t, ca: ca, one: bustest.Deployed(t, ca)("")}
	for len(k.ports) < 2*(clusterSize+1) {
		port, err := natsproc.FreePort()
		require.NoError(t, err)
		if !slices.Contains(k.ports, port) {
			k.ports = append(k.ports, port)
		}
	}
	for i := range clusterSize {
		k.nodes = append(k.nodes, k.launch(i, shippedFile{certs: ca.Dir, scheme: "tls"}))
	}
	k.meshed()
	return k
}

// launch runs the i-th server. Its environment is what the top of the file says.
func (k *natsCluster) launch(i int, f shippedFile) *natsNode {
	k.t.Helper()
	text := bustest.Shipped(k.t, "cluster.conf")
	for old, with := range map[string]string{
		"/etc/nats/tls/":       filepath.ToSlash(f.certs) + "/",
		"listen: 0.0.0.0:6222": fmt.Sprintf("listen: 127.0.0.1:%d", k.ports[i]),
	} {
		require.Contains(k.t, text, old, "deploy/nats/cluster.conf")
		text = strings.ReplaceAll(text, old, with)
	}
	if f.bend != nil {
		text = f.bend(text)
	}
	dir := k.t.TempDir()
	require.NoError(k.t, os.WriteFile(filepath.Join(dir, "nats-server.conf"), []byte(k.one), 0o600))
	n := &natsNode{t: k.t, name: fmt.Sprintf("nats-%d", i+1), log: &lockedBuffer{}}
	k.environment(n.name, f.scheme)
	var err error
	n.Server, err = natsproc.Start(k.t.Context(), natsproc.Options{
		Dir: dir, Name: "cluster", Config: text, Log: n.log, Port: k.ports[clusterSize+1+i],
	})
	require.NoError(k.t, err)
	k.t.Cleanup(func() {
		n.Kill()
		if k.t.Failed() {
			k.t.Logf("%s: %s", n.name, n.log)
		}
	})
	return n
}

// environment is what a server that starts next will see.
func (k *natsCluster) environment(name, scheme string) {
	var routes []string
	for _, port := range k.ports[:clusterSize] {
		routes = append(routes, fmt.Sprintf("%s://127.0.0.1:%d", scheme, port))
	}
	k.t.Setenv("TROUPE_NATS_SERVER", name)
	k.t.Setenv("TROUPE_NATS_ROUTES", "["+strings.Join(routes, ", ")+"]")
}

// meshed waits until every server has a route to each other one and to no more.
func (k *natsCluster) meshed() {
	k.t.Helper()
	for i, n := range k.nodes {
		var others []string
		for j, other := range k.nodes {
			if j != i {
				others = append(others, other.name)
			}
		}
		until(k.t, n.name+" has its routes", func() bool { return slices.Equal(others, n.neighbours()) })
	}
}

var monitorAt = regexp.MustCompile(`Starting http monitor on (127\.0\.0\.1:\d+)`)

// neighbours names the servers at the other end of this one's routes.
func (n *natsNode) neighbours() (names []string) {
	n.t.Helper()
	at := monitorAt.FindAllStringSubmatch(n.log.String(), -1)
	require.NotEmpty(n.t, at, "%s says where its monitor is", n.name)
	resp, err := http.Get("http://" + at[len(at)-1][1] + "/routez")
	require.NoError(n.t, err)
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Routes []struct {
			Name string `json:"remote_name"`
		} `json:"routes"`
	}
	require.NoError(n.t, json.NewDecoder(resp.Body).Decode(&answer))
	for _, r := range answer.Routes {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return slices.Compact(names) // a pair has several connections
}

// url is where a user finds a server.
func (n *natsNode) url(user string) string {
	password := map[string]string{roleGateway: bustest.GatewayPassword, roleWorker: bustest.WorkerPassword}[user]
	return fmt.Sprintf("tls://%s:%s@%s", user, password, n.Addr())
}

// as puts a role on some of the servers, with the user of that name.
func (k *natsCluster) as(role string, at ...*natsNode) func(*appOptions) {
	var urls []string
	for _, n := range at {
		urls = append(urls, n.url(role))
	}
	return func(o *appOptions) {
		o.Role = role
		o.Config.Bus.URL = strings.Join(urls, ",")
		o.Config.Bus.TLS.CA = k.ca.File()
		wide(o)
	}
}

// busServer is where a role was connected last.
func (w *whole) busServer() string {
	w.t.Helper()
	lines := w.logged("Bus connected")
	if len(lines) == 0 {
		return ""
	}
	return lines[len(lines)-1]["server"].(string)
}

// A gateway at one server, a worker at another: questions, answers and words to
// runs cross the routes.
func TestAQuestionCrossesTheShippedCluster(t *testing.T) {
	k := shippedCluster(t)
	worker := start(t, k.as(roleWorker, k.nodes[1]))
	g := start(t, k.as(roleGateway, k.nodes[0]))
	g.knows(1)
	require.Equal(t, []string{k.nodes[0].Addr(), k.nodes[1].Addr()}, []string{g.busServer(), worker.busServer()})

	c := g.dial("/ws/chat/s1")
	const question = "Größer als 数 — and \"quoted\", \\ 🎭?"
	asked, err := json.Marshal(map[string]string{"type": "chat", "id": "a", "content": question})
	require.NoError(t, err)
	c.send(string(asked))
	text, last := c.answer()
	require.Equal(t, []string{question, "complete"}, []string{text, last.Type})
	const words = 300
	c.send(fmt.Sprintf(`{"type":"chat","id":"b","content":"word","model":"echo-0s-%dw"}`, words))
	text, last = c.answer()
	require.Equal(t, "complete", last.Type)
	require.Equal(t, strings.TrimSpace(strings.Repeat("word ", words)), text)

	c.send(`{"type":"chat","id":"c","content":"word","model":"echo-20ms-500w"}`)
	require.Equal(t, "accepted", c.next().Type)
	c.send(`{"type":"cancel","id":"c"}`)
	_, last = readOn(c)
	require.Equal(t, "cancelled", last.Type)
	g.quietBus()
	worker.quietBus()
}

// A gateway that names all servers goes on at another one when its own is
// killed: the answer that runs is whole, and the next question is answered. The
// server that comes back finds its routes.
func TestTheShippedClusterLosesAServer(t *testing.T) {
	k := shippedCluster(t)
	g := start(t, k.as(roleGateway, k.nodes...))
	until(t, "the gateway is connected", g.gateway.bus.Connected)
	at := slices.IndexFunc(k.nodes, func(n *natsNode) bool { return n.Addr() == g.busServer() })
	require.GreaterOrEqual(t, at, 0, g.busServer())
	lost := k.nodes[at] // clients take the servers in an order of their own
	worker := start(t, k.as(roleWorker, k.nodes[(at+1)%clusterSize]))
	g.knows(1)

	const words = 200
	c, idle := g.dial("/ws/chat/s1"), g.dial("/ws/chat/s2")
	c.send(fmt.Sprintf(`{"type":"chat","id":"n","content":"word","model":"echo-5ms-%dw"}`, words))
	for range 20 {
		require.Contains(t, []string{"accepted", "chunk"}, c.next().Type)
	}
	killed := time.Now()
	lost.Kill()
	until(t, "the gateway is at another server", func() bool { return g.busServer() != lost.Addr() })
	require.Less(t, time.Since(killed), 2*time.Second)
	g.knows(1)
	idle.send(`{"type":"chat","content":"same socket, other server"}`)
	text, last := idle.answer()
	require.Equal(t, []string{"same socket, other server", "complete"}, []string{text, last.Type}, last.Code)
	_, last = readOn(c)
	require.Equal(t, []string{"complete", strings.TrimSpace(strings.Repeat("word ", words))}, []string{last.Type, last.FullResponse}, last.Code)
	require.Len(t, worker.logged("Run accepted"), 2, "no question was asked twice")

	k.environment(lost.name, "tls")
	require.NoError(t, lost.Start(t.Context()))
	k.meshed()
}
