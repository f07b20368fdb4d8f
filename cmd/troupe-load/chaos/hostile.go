package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
)

// Kinds of clients that a step sends.
const (
	clientsSlow      = "slow"      // ask for a long answer and read 100 bytes a second; the first reads nothing
	clientsHalfOpen  = "half-open" // never finish the handshake
	clientsSilent    = "silent"    // finish it and say nothing
	clientsMalformed = "malformed" // send frames and JSON that are none
	clientsFlood     = "flood"     // ask faster than the limit
	clientsLeave     = "leave"     // some of the plan's own streams go away
)

// Ways of leave.
const (
	leaveClose   = "close"
	leaveReset   = "reset"
	leaveSilence = "silence"
)

func clientKinds() []string {
	return []string{clientsSlow, clientsHalfOpen, clientsSilent, clientsMalformed, clientsFlood, clientsLeave}
}

// slowRate is what a slow client reads.
const slowRate = 100 // bytes a second

// clientStep sends clients and waits until they have gone.
func (r *round) clientStep(ctx context.Context, s *Step, h *harm, rng *rand.Rand) error {
	if s.Clients == clientsLeave {
		r.sendAway(ctx, s, h, rng)
		return nil
	}
	h.Clients = s.Count
	ctx, cancel := context.WithTimeout(ctx, max(since(s.For), time.Second))
	defer cancel()
	var all crew.Crew
	var sent, closed, unclean atomic.Int64
	for i := range s.Count {
		g := r.gates[i%len(r.gates)]
		all.Start(s.Clients+" client", func() {
			switch s.Clients {
			case clientsSlow:
				r.slow(ctx, g, i, s.Count)
			case clientsHalfOpen:
				hold(ctx, g, "GET /ws/chat/half HTTP/1.1\r\nHost: "+hostOf(g)+"\r\nUpgr")
			case clientsSilent:
				hold(ctx, g, upgrade(g, fmt.Sprintf("silent-%d", i)))
			case clientsMalformed:
				r.malformed(ctx, g, rand.New(rand.NewPCG(r.o.Seed, uint64(i))), &sent, &closed, &unclean)
			case clientsFlood:
				r.flood(ctx, g)
			}
		})
	}
	all.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.Clients == clientsMalformed {
		h.Hits = int(sent.Load())
		h.Note = fmt.Sprintf("%d malformed messages; %d sockets closed with a code, %d without", sent.Load(), closed.Load(), unclean.Load())
	}
	r.wrong = append(r.wrong, all.Failures()...)
	return nil
}

// sendAway makes some of the live streams leave. The silent ones hold their
// sockets until the step is over.
func (r *round) sendAway(ctx context.Context, s *Step, h *harm, rng *rand.Rand) {
	live := r.book.following()
	rng.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
	release := make(chan struct{})
	defer close(release)
	for _, f := range live {
		if h.Clients == s.Count {
			break
		}
		if f.send(s.How, release) {
			r.mu.Lock()
			h.Clients++
			h.Streams[f.turn.N] = time.Now()
			r.mu.Unlock()
		}
	}
	r.mu.Lock()
	h.Hits = h.Clients
	r.mu.Unlock()
	if s.How == leaveSilence {
		crew.Sleep(ctx, since(s.For))
	}
}

func hostOf(g follow.Gateway) string {
	u, err := url.Parse(g.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

func upgrade(g follow.Gateway, session string) string {
	return "GET /ws/chat/" + session + " HTTP/1.1\r\nHost: " + hostOf(g) + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
}

// hold opens a connection, says something, and listens until the other side or
// the step ends.
func hold(ctx context.Context, g follow.Gateway, text string) {
	nc, err := (&net.Dialer{Timeout: follow.OpenTimeout}).DialContext(ctx, "tcp", hostOf(g))
	if err != nil {
		return
	}
	defer func() { _ = nc.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(nc, text); err == nil {
		_, _ = io.Copy(io.Discard, nc)
	}
}

// slowConn reads a bounded number of bytes a second; with rate 0 nothing at all
// once it is slowed.
type slowConn struct {
	net.Conn
	ctx    context.Context
	rate   int
	slowed *atomic.Bool
}

// Read implements net.Conn.
func (c *slowConn) Read(b []byte) (int, error) {
	if !c.slowed.Load() {
		return c.Conn.Read(b)
	}
	if c.rate == 0 {
		<-c.ctx.Done()
		return 0, c.ctx.Err()
	}
	if !crew.Sleep(c.ctx, time.Second/10) {
		return 0, c.ctx.Err()
	}
	return c.Conn.Read(b[:min(len(b), max(1, c.rate/10))])
}

// slowModel answers slowWord over and over, 2 MiB of it in pieces of 16 KiB, some
// 16 MB a second for all slow clients together: much text and little work, so that
// only the reading is slow.
func slowModel(clients int) string {
	return fmt.Sprintf("echo-%dms-2048kb", min(10_000, max(50, clients)))
}

func slowWord() string { return strings.Repeat("slow", 4<<10) }

// slow asks for a long answer and hardly reads it.
func (r *round) slow(ctx context.Context, g follow.Gateway, i, clients int) {
	var slowed atomic.Bool
	rate := slowRate
	if i == 0 {
		rate = 0
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx2 context.Context, network, addr string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx2, network, addr)
		if err != nil {
			return nil, err
		}
		if t, ok := nc.(*net.TCPConn); ok {
			_ = t.SetReadBuffer(4 << 10)
		}
		return &slowConn{Conn: nc, ctx: ctx, rate: rate, slowed: &slowed}, nil
	}}
	conn, _, err := websocket.Dial(ctx, fmt.Sprintf("%s/ws/chat/slow-%d-%d", g.URL, time.Now().UnixNano(), i), &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(follow.ReadLimit)
	slowed.Store(true)
	data, err := json.Marshal(map[string]any{"type": "chat", "id": turnID, "content": slowWord(), "provider": ProviderEcho, "model": slowModel(clients), "messages": []any{}, "on_disconnect": "cancel"})
	if err != nil || conn.Write(ctx, websocket.MessageText, data) != nil {
		return
	}
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			return
		}
	}
}
