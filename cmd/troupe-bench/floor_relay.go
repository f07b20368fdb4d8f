package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/gobwas/ws"
	"github.com/nats-io/nats.go"
)

// relayAsk is the subject of the plain relay's questions.
const relayAsk = "relay.ask"

// What a reply of the plain relay's worker is, by its first byte.
const (
	relayChunk = 'c' // the next words
	relayEnd   = 'e' // the whole answer
)

// relay is the plain relay's gateway: sockets on one side, NATS on the other. A
// question goes to the worker as it came; what comes back to relay.<process>.<n>
// goes to the n-th socket, one frame and one write per message. No actors, no
// admission, no resume, no bounds.
type relay struct {
	nc      *nats.Conn
	replies string // relay.<process>.

	mu      sync.Mutex
	last    uint64
	sockets map[uint64]net.Conn

	frame []byte // the subscription's callbacks come one at a time
}

// relayMain takes the address of NATS.
func relayMain(ctx context.Context, args []string) (string, error) {
	nc, err := connectNATS(ctx, args)
	if err != nil {
		return "", err
	}
	r := &relay{nc: nc, replies: "relay." + rand.Text() + ".", sockets: map[uint64]net.Conn{}}
	if err := subscribe(nc, r.replies+"*", r.deliver); err != nil {
		return "", err
	}
	l, err := listenLoopback(ctx)
	if err != nil {
		return "", err
	}
	go acceptUpgraded(l, r.serve)
	return l.Addr().String(), nil
}

// connectNATS connects a half of the plain relay, until ctx ends.
func connectNATS(ctx context.Context, args []string) (*nats.Conn, error) {
	if len(args) != 1 {
		return nil, errors.New("want one argument, the address of NATS")
	}
	nc, err := nats.Connect("nats://" + args[0])
	if err == nil {
		context.AfterFunc(ctx, nc.Close)
	}
	return nc, err
}

// subscribe has f called for every message, and none ever dropped; when it
// returns the server knows.
func subscribe(nc *nats.Conn, subject string, f nats.MsgHandler) error {
	sub, err := nc.Subscribe(subject, f)
	if err != nil {
		return err
	}
	return errors.Join(sub.SetPendingLimits(-1, -1), nc.Flush())
}

// serve takes one question after the other.
func (r *relay) serve(conn net.Conn) {
	n := r.add(conn)
	defer func() {
		r.remove(n)
		_ = conn.Close()
	}()
	reply := r.replies + strconv.FormatUint(n, 10)
	for {
		question, err := readMessage(conn)
		if err != nil {
			return
		}
		if r.nc.PublishRequest(relayAsk, reply, question) != nil {
			return
		}
	}
}

// readMessage reads one frame of a client.
func readMessage(conn net.Conn) ([]byte, error) {
	h, err := ws.ReadHeader(conn)
	if err != nil {
		return nil, err
	}
	if h.OpCode != ws.OpText || h.Length > 1<<20 {
		return nil, errors.New("want text of at most 1 MiB")
	}
	text := make([]byte, h.Length)
	if _, err := io.ReadFull(conn, text); err != nil {
		return nil, err
	}
	ws.Cipher(text, h.Mask, 0)
	return text, nil
}

func (r *relay) add(conn net.Conn) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	r.sockets[r.last] = conn
	return r.last
}

func (r *relay) remove(n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sockets, n)
}

// deliver writes one message of the worker to its socket.
func (r *relay) deliver(m *nats.Msg) {
	n, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, r.replies), 10, 64)
	if err != nil || len(m.Data) == 0 {
		return
	}
	r.mu.Lock()
	conn := r.sockets[n]
	r.mu.Unlock()
	if conn == nil {
		return
	}
	start := chunkStart
	if m.Data[0] == relayEnd {
		start = completeStart
	}
	var frame []byte
	r.frame, frame = textFrame(r.frame, start, m.Data[1:])
	if _, err := conn.Write(frame); err != nil {
		_ = conn.Close() // serve sees it
	}
}

// maxHeader is the longest header of a frame without a mask.
const maxHeader = 10

// textFrame makes a frame of start, text as a JSON string's inside, and
// frameEnd, in buf: it returns buf for the next call, and the frame in it.
func textFrame(buf []byte, start string, text []byte) (again, frame []byte) {
	buf = append(buf[:0], make([]byte, maxHeader)...)
	buf = append(buf, start...)
	buf = appendEscaped(buf, text)
	buf = append(buf, frameEnd...)
	at, size := 0, len(buf)-maxHeader
	switch {
	case size < 126:
		at = maxHeader - 2
		buf[at+1] = byte(size)
	case size < 1<<16:
		at = maxHeader - 4
		buf[at+1] = 126
		binary.BigEndian.PutUint16(buf[at+2:], uint16(size))
	default:
		buf[at+1] = 127
		binary.BigEndian.PutUint64(buf[at+2:], uint64(size))
	}
	buf[at] = 0x80 | opText
	return buf, buf[at:]
}

// appendEscaped appends text as it stands inside a JSON string.
func appendEscaped(b, text []byte) []byte {
	const hex = "0123456789abcdef"
	from := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, text[from:i]...)
		from = i + 1
		if c < ' ' {
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			b = append(b, '\\', c)
		}
	}
	return append(b, text[from:]...)
}
