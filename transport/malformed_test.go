package transport

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// malformedBound is websocket.max_message_bytes of these tests: so small that a
// message above it costs little.
const malformedBound = 1000

// TestMalformedMillion sends frames that break RFC 6455, a socket for each, and
// messages that are no request, to both readers. Each frame must be answered by
// the close code of its class and each message by an error; none may panic.
// MALFORMED is how many of each there are; without it 8,000, which take a second or two.
func TestMalformedMillion(t *testing.T) {
	n := 8_000
	if s := os.Getenv("MALFORMED"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	for name, over := range map[string]edgeLink{"goroutine": overTCP, "loop": overLoop} {
		t.Run(name+" frames", func(t *testing.T) { malformedFrames(t, over, n/2) })
		t.Run(name+" messages", func(t *testing.T) { malformedMessages(t, over, n/2) })
	}
}

// malformedFrames plays n of them, from some clients at a time.
func malformedFrames(t *testing.T, over edgeLink, n int) {
	h := newMalformedHouse(t, over)
	const clients = 8
	classes := malformedClasses()
	told := make([]int, len(classes))
	var mu sync.Mutex
	var all sync.WaitGroup
	for client := range clients {
		rng := rand.New(rand.NewPCG(uint64(client), uint64(n)))
		all.Go(func() {
			for i := client; i < n; i += clients {
				class := &classes[i%len(classes)]
				if !h.refuses(class, rng) {
					return
				}
				mu.Lock()
				told[i%len(classes)]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	sum := 0
	for i, class := range classes {
		t.Logf("%7d  %s", told[i], class.name)
		sum += told[i]
	}
	require.Equal(t, n, sum)
	h.unharmed()
	require.EqualValues(t, n, h.edge.metrics.protocolErrors.Load())
}

// malformedHouse serves sockets without HTTP in front: the handshake is tested
// elsewhere, and would cost most of the time.
type malformedHouse struct {
	t        *testing.T
	edge     *edge
	listener net.Listener
	opening  sync.Mutex // one connection is under way at a time: the one accepted is the one dialled
}

func newMalformedHouse(t *testing.T, over edgeLink) *malformedHouse {
	cfg := edgeConfig()
	cfg.MaxMessageBytes = malformedBound
	e := newEdge(t, cfg, over)
	e.gateway.opened = nil
	e.gateway.open = func(s *edgeSession) { s.socket.Next() }
	e.gateway.receive = func(s *edgeSession, r protocol.Request) {
		if bad, ok := r.(*protocol.Bad); ok {
			s.socket.Send(&protocol.Frame{Type: protocol.TypeError, Code: bad.Err.Code, Message: bad.Err.Message})
		} else {
			s.socket.Send(&protocol.Frame{Type: protocol.TypePong})
		}
		s.socket.Next()
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h := &malformedHouse{t: t, edge: e, listener: newListener(inner, false, zerolog.Nop())}
	t.Cleanup(func() { _ = h.listener.Close() })
	return h
}

// dial opens a socket. Its end resets it: a million of them would use up the ports
// if each waited to be forgotten.
func (h *malformedHouse) dial() (*edgeClient, bool) {
	h.opening.Lock()
	nc, err := net.Dial("tcp", h.listener.Addr().String())
	if err != nil {
		h.opening.Unlock()
		h.t.Error(err)
		return nil, false
	}
	served, err := h.listener.Accept()
	h.opening.Unlock()
	if err != nil {
		h.t.Error(err)
		return nil, false
	}
	h.edge.open(served, nil, edgeKey, protocol.Client{Connection: "c1", Address: "127.0.0.1", Session: "s1"})
	_ = nc.(*net.TCPConn).SetLinger(0)
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	c := &edgeClient{t: h.t, nc: nc, r: bufio.NewReaderSize(nc, 512)}
	if _, err := c.r.Discard(len(appendAnswer(nil, edgeKey))); err != nil {
		h.t.Error(err)
		return nil, false
	}
	return c, true
}

// refuses sends one malformed thing and tells whether it got its close code.
func (h *malformedHouse) refuses(class *malformedClass, rng *rand.Rand) bool {
	c, ok := h.dial()
	if !ok {
		return false
	}
	defer c.nc.Close()
	in := class.make(rng)
	if rng.IntN(3) == 0 { // behind something that is well formed
		in = join(masked(ws.OpText, true, pingJSON), in)
	}
	if cut := rng.IntN(2 * len(in)); cut > 0 && cut < len(in) { // half of them in two pieces
		if _, err := c.nc.Write(in[:cut]); err != nil {
			h.t.Errorf("%s: %v", class.name, err)
			return false
		}
		in = in[cut:]
	}
	_, _ = c.nc.Write(in) // the first piece may have been enough
	for {
		op, payload, err := c.hear()
		if err != nil {
			h.t.Errorf("%s: no close frame: %v", class.name, err)
			return false
		}
		if op == ws.OpClose {
			code, reason := ws.ParseCloseFrameData(payload)
			if code != class.code || reason == "" {
				h.t.Errorf("%s: closed with %d %q, not with %d", class.name, code, reason, class.code)
				return false
			}
			return true
		}
	}
}

// hear is next for those who are not the test's own goroutine.
func (c *edgeClient) hear() (ws.OpCode, []byte, error) {
	head, err := ws.ReadHeader(c.r)
	if err != nil {
		return 0, nil, err
	}
	payload := make([]byte, head.Length)
	_, err = io.ReadFull(c.r, payload)
	return head.OpCode, payload, err
}

// unharmed: whatever came, nothing panicked.
func (h *malformedHouse) unharmed() {
	h.t.Helper()
	require.Zero(h.t, h.edge.metrics.panics.Load())
	require.NotContains(h.t, h.edge.log.String(), "panic")
}

// malformedMessages sends n over sockets that live on, fifty at a time.
func malformedMessages(t *testing.T, over edgeLink, n int) {
	h := newMalformedHouse(t, over)
	const clients, atOnce = 4, 50
	var all sync.WaitGroup
	for client := range clients {
		rng := rand.New(rand.NewPCG(uint64(client), uint64(n)))
		all.Go(func() {
			c, ok := h.dial()
			if !ok {
				return
			}
			defer c.nc.Close()
			for left := (n + client) / clients; left > 0; left -= atOnce {
				if !h.answers(c, rng, min(left, atOnce)) {
					return
				}
			}
		})
	}
	all.Wait()
	h.unharmed()
	require.Zero(t, h.edge.metrics.protocolErrors.Load())
}

// answers sends so many messages and reads an error for each.
func (h *malformedHouse) answers(c *edgeClient, rng *rand.Rand, n int) bool {
	var batch []byte
	sent := make([]string, n)
	for i := range sent {
		sent[i] = malformedJSON(rng)
		batch = append(batch, masked(ws.OpText, true, sent[i])...)
	}
	_ = c.nc.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.nc.Write(batch); err != nil {
		h.t.Error(err)
		return false
	}
	for _, text := range sent {
		_, payload, err := c.hear()
		got := string(payload)
		if err != nil || !strings.Contains(got, `"`+string(protocol.InvalidMessage)+`"`) && !strings.Contains(got, `"`+string(protocol.UnsupportedType)+`"`) {
			h.t.Errorf("%q was answered %q, %v", text, got, err)
			return false
		}
	}
	return true
}
