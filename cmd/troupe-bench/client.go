package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// client is one WebSocket of the measuring side. It is written by hand, for
// this purpose: it must cost little, cost the same on both sides, and share no
// code with what it measures.
type client struct {
	nc   net.Conn
	buf  []byte
	r, w int // buf[r:w] was read and not yet looked at

	at   time.Time // of the latest read
	text []byte    // of the chunks of the turn under way

	chunks atomic.Int64 // seen so far; for whoever watches the crowd
	timed  bool         // the words are the time at which they were said: keep their delays
	delays []float64    // in microseconds, of the words that were said
	from   time.Time    // from then on; zero = of all
	to     time.Time    // until then
}

const (
	readBuffer    = 4 << 10
	clientTimeout = 30 * time.Second // for anything at all: a measurement that stands still is broken

	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
)

// dial connects and shakes hands as the i-th user, who has a session and an
// address of his own: limits have a key for each of them.
func dial(ctx context.Context, addr string, i int) (*client, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(1+i>>16), byte(i>>8), byte(i))}}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := nc.SetDeadline(time.Now().Add(clientTimeout)); err != nil {
		return nil, err
	}
	c := &client{nc: nc, buf: make([]byte, readBuffer)}
	if err := c.handshake(addr, "bench-"+strconv.Itoa(i)); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *client) handshake(host, session string) error {
	const key = "dHJvdXBlLWJlbmNoLWtleQ==" // 16 bytes; one key does for all
	_, err := io.WriteString(c.nc, "GET /ws/chat/"+session+" HTTP/1.1\r\nHost: "+host+
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+key+"\r\n\r\n")
	if err != nil {
		return err
	}
	for {
		if end := bytes.Index(c.buf[c.r:c.w], []byte("\r\n\r\n")); end >= 0 {
			answer := c.buf[c.r : c.r+end]
			c.r += end + 4
			if !bytes.HasPrefix(answer, []byte("HTTP/1.1 101 ")) {
				return fmt.Errorf("handshake refused: %.200q", answer)
			}
			return nil
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// close resets the connection: thousands of sockets must not linger.
func (c *client) close() {
	if tcp, ok := c.nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.nc.Close()
}

// leave says goodbye before the connection goes.
func (c *client) leave() {
	_, _ = c.nc.Write([]byte{0x80 | opClose, 0x80 | 2, 0, 0, 0, 0, 0x03, 0xe8}) // 1000, masked with zeros
	_ = c.nc.Close()
}

// ask sends one unnamed chat to a provider, without earlier turns: no floor
// remembers any.
func (c *client) ask(provider, model string) error {
	text := `{"type":"chat","provider":"` + provider + `","model":"` + model + `","messages":[],"content":"` + question + `"}`
	frame := []byte{0x80 | opText, 0x80 | 126, byte(len(text) >> 8), byte(len(text)), 0, 0, 0, 0} // masked with zeros
	if err := c.nc.SetDeadline(time.Now().Add(clientTimeout)); err != nil {
		return err
	}
	_, err := c.nc.Write(append(frame, text...))
	return err
}

// The frames of an unnamed turn, around their text. The question holds nothing
// that would be escaped.
const (
	chunkStart    = `{"type":"chunk","content":"`
	completeStart = `{"type":"complete","full_response":"`
	frameEnd      = `"}`
)

// inside returns what stands between start and frameEnd.
func inside(payload []byte, start string) ([]byte, bool) {
	end := len(payload) - len(frameEnd)
	if end < len(start) || string(payload[:len(start)]) != start || string(payload[end:]) != frameEnd {
		return nil, false
	}
	return payload[len(start):end], true
}

// step reads one frame of the turn under way and tells whether it was the last.
func (c *client) step() (done bool, err error) {
	op, payload, err := c.next()
	switch {
	case err != nil:
		return false, err
	case op == opPing:
		return false, nil // no round takes as long as a missing pong may
	case op != opText:
		return false, fmt.Errorf("unexpected frame, opcode %d: %.200q", op, payload)
	}
	if text, ok := inside(payload, chunkStart); ok {
		c.text = append(c.text, text...)
		c.chunks.Add(1)
		if c.timed {
			return false, c.clock(text)
		}
		return false, nil
	}
	full, ok := inside(payload, completeStart)
	if !ok {
		return false, unexpected(payload)
	}
	if !bytes.Equal(full, c.text) {
		return false, fmt.Errorf("the chunks make %d bytes, the answer says %d", len(c.text), len(full))
	}
	return true, nil
}

// refusal is an error frame: the server says that it cannot answer, with its
// code. Nothing was lost unnoticed.
type refusal struct{ code string }

// Error implements error.
func (r refusal) Error() string { return "the server answered with " + r.code }

// unexpected tells a refusal from a frame that should not be.
func unexpected(payload []byte) error {
	var frame struct{ Type, Code string }
	if json.Unmarshal(payload, &frame) == nil && frame.Type == "error" && frame.Code != "" {
		return refusal{frame.Code}
	}
	return fmt.Errorf("unexpected frame: %.200q", payload)
}

// clock notes how long each word of a chunk was under way. Words that shared a
// chunk arrived at the same time.
func (c *client) clock(text []byte) error {
	for word := range strings.FieldsSeq(string(text)) {
		said, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return fmt.Errorf("a word is no time: %w", err)
		}
		if at := time.UnixMicro(said); c.from.IsZero() || !at.Before(c.from) && at.Before(c.to) {
			c.delays = append(c.delays, micros(c.at.Sub(at)))
		}
	}
	return nil
}

// finish reads to the end of the turn and checks that it said want.
func (c *client) finish(want string) error {
	got, err := c.rest()
	if err == nil && got != want {
		err = fmt.Errorf("%d words arrived, %d were due", len(strings.Fields(got)), len(strings.Fields(want)))
	}
	return err
}

// finishClock reads to the end of a turn whose words are times, and checks that
// so many came, in the order in which they were said.
func (c *client) finishClock(words int) error {
	got, err := c.rest()
	if err != nil {
		return err
	}
	times := strings.Fields(got)
	if len(times) != words {
		return fmt.Errorf("%d words arrived, %d were due", len(times), words)
	}
	if !slices.IsSorted(times) { // all have 16 digits
		return errors.New("words arrived in another order than they were said")
	}
	return nil
}

// rest reads to the end of the turn and returns its text.
func (c *client) rest() (string, error) {
	for {
		done, err := c.step()
		if err != nil {
			return "", err
		}
		if done {
			got := string(c.text)
			c.text = c.text[:0]
			return got, nil
		}
	}
}

// next reads one frame; the payload is valid until the call after.
func (c *client) next() (op byte, payload []byte, err error) {
	if err := c.need(2); err != nil {
		return 0, nil, err
	}
	head, size := 2, int(c.buf[c.r+1])
	switch size {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	if err := c.need(head); err != nil {
		return 0, nil, err
	}
	switch head {
	case 4:
		size = int(binary.BigEndian.Uint16(c.buf[c.r+2:]))
	case 10:
		size = int(binary.BigEndian.Uint64(c.buf[c.r+2:]))
	}
	if size < 0 || size > 16<<20 {
		return 0, nil, errors.New("a frame announces more than 16 MiB")
	}
	if err := c.need(head + size); err != nil {
		return 0, nil, err
	}
	op = c.buf[c.r] & 0x0f
	payload = c.buf[c.r+head : c.r+head+size]
	c.r += head + size
	return op, payload, nil
}

// need makes sure that n bytes can be looked at.
func (c *client) need(n int) error {
	for c.w-c.r < n {
		if len(c.buf)-c.r < n {
			c.makeRoom(n)
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
	return nil
}

// makeRoom moves what is left to the front, of a larger buffer if need be.
func (c *client) makeRoom(n int) {
	into := c.buf
	if len(into) < n {
		into = make([]byte, max(n, 2*len(c.buf)))
	}
	c.w = copy(into, c.buf[c.r:c.w])
	c.buf, c.r = into, 0
}

func (c *client) fill() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.w == len(c.buf) {
		c.makeRoom(len(c.buf) + 1)
	}
	n, err := c.nc.Read(c.buf[c.w:])
	c.at = time.Now()
	c.w += n
	if n > 0 {
		return nil
	}
	return err
}
