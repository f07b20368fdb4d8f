package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/config"
)

// Opcodes of RFC 6455.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
	final          = 0x80
)

// wire is a client that speaks WebSocket by hand: what a library would refuse
// to send, it sends.
type wire struct {
	*net.TCPConn
	t *testing.T
	r *bufio.Reader
}

// handshake is a request for a chat socket, with further headers.
func handshake(path string, header ...string) string {
	h := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for _, line := range header {
		h += line + "\r\n"
	}
	return h + "\r\n"
}

// connectTCP opens TCP with a small window, so that a reader that stalls is felt.
func (w *whole) connectTCP(window int) *wire {
	w.t.Helper()
	nc, err := net.Dial("tcp", w.addr().String())
	require.NoError(w.t, err)
	tcp, _ := nc.(*net.TCPConn)
	w.t.Cleanup(func() { tcp.Close() })
	if window > 0 {
		require.NoError(w.t, tcp.SetReadBuffer(window))
	}
	require.NoError(w.t, tcp.SetDeadline(time.Now().Add(30*time.Second)))
	return &wire{TCPConn: tcp, t: w.t, r: bufio.NewReader(tcp)}
}

// wire opens a chat socket by hand.
func (w *whole) wire(path string, window int) *wire {
	w.t.Helper()
	c := w.connectTCP(window)
	c.write([]byte(handshake(path)))
	c.upgraded()
	return c
}

func (c *wire) write(b []byte) {
	c.t.Helper()
	_, err := c.Write(b)
	require.NoError(c.t, err)
}

func (c *wire) upgraded() {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	require.NoError(c.t, err)
	require.Equal(c.t, http.StatusSwitchingProtocols, resp.StatusCode)
}

// masked is one masked frame.
func masked(first byte, payload string) []byte {
	return append(frameHeader(first, len(payload)), mask(payload)...)
}

var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

func frameHeader(first byte, n int) []byte {
	b := []byte{first}
	switch {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(b, maskKey[:]...)
}

func mask(payload string) []byte {
	b := []byte(payload)
	for i := range b {
		b[i] ^= maskKey[i%4]
	}
	return b
}

// read returns the next frame of the server.
func (c *wire) read() (op byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var b [2]byte
		_, err = io.ReadFull(c.r, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, err = io.ReadFull(c.r, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.r, payload)
	return head[0] & 0xf, payload, err
}

// text returns the next text frame.
func (c *wire) text() said {
	c.t.Helper()
	for {
		op, payload, err := c.read()
		require.NoError(c.t, err)
		if op == opText {
			return parse(c.t, string(payload))
		}
	}
}

// ended reads to the close frame and returns its code, and every text before.
func (c *wire) ended() (code int, texts []said) {
	c.t.Helper()
	for {
		op, payload, err := c.read()
		require.NoError(c.t, err, "the connection ended without a close frame")
		switch op {
		case opText:
			texts = append(texts, parse(c.t, string(payload)))
		case opClose:
			require.GreaterOrEqual(c.t, len(payload), 2)
			return int(binary.BigEndian.Uint16(payload)), texts
		}
	}
}

func TestWhatBreaksAFrameRule(t *testing.T) {
	w := start(t, wide)
	chat := `{"type":"chat","content":"split","model":"echo-0s"}`
	fragments := func(n int) (b []byte) {
		b = masked(opText, chat)
		for range n - 2 {
			b = append(b, masked(opContinuation, " ")...)
		}
		return append(b, masked(final|opContinuation, " ")...)
	}
	tests := []struct {
		name  string
		bytes []byte
		close int
		code  string
	}{
		{"too big in one frame", masked(final|opText, strings.Repeat("x", 262145)), 1009, "MESSAGE_TOO_BIG"},
		{"too big by its header alone", frameHeader(final|opText, 1<<40), 1009, "MESSAGE_TOO_BIG"},
		{"too big in fragments", append(masked(opText, strings.Repeat("x", 200000)), masked(final|opContinuation, strings.Repeat("x", 62145))...), 1009, "MESSAGE_TOO_BIG"},
		{"binary", masked(final|opBinary, chat), 1003, ""},
		{"not UTF-8", masked(final|opText, "{\"type\":\"chat\",\"content\":\"\xff\"}"), 1007, ""},
		{"half a character", masked(final|opText, "\xe2\x82"), 1007, ""},
		{"129 fragments", fragments(129), 1008, ""},
		{"not masked", append([]byte{final | opText, byte(len(chat))}, chat...), 1002, ""},
		{"reserved bit", masked(final|0x40|opText, chat), 1002, ""},
		{"unknown opcode", masked(final|0x3, chat), 1002, ""},
		{"long control frame", masked(final|opPing, strings.Repeat("x", 126)), 1002, ""},
		{"continuation of nothing", masked(final|opContinuation, chat), 1002, ""},
		{"close code that must not be sent", masked(final|opClose, "\x03\xed"), 1002, ""},
		{"ping flood", []byte(strings.Repeat(string(masked(final|opPing, "")), 100)), 1008, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := w.wire("/ws/chat/s1", 0)
			_, _ = c.Write(tt.bytes) // may be cut off on the way
			code, texts := c.ended()
			c.Close()
			require.Equal(t, tt.close, code)
			if tt.code == "" {
				require.Empty(t, texts)
				return
			}
			require.Len(t, texts, 1)
			require.Equal(t, []string{"error", tt.code}, []string{texts[0].Type, texts[0].Code})
		})
	}
	require.Equal(t, "3", w.metric(`troupe_errors_total{code="MESSAGE_TOO_BIG"}`), "the socket itself said it")
	c := w.wire("/ws/chat/s1", 0)
	c.write(fragments(128))
	require.Equal(t, "split", c.text().Content)
	require.Equal(t, "complete", c.text().Type)
	largest := `{"type":"chat","model":"echo-0s-1kb","content":"` + strings.Repeat("x", 262144-51) + `"}`
	c.write(masked(final|opText, largest+strings.Repeat(" ", 262144-len(largest))))
	require.Equal(t, "chunk", c.text().Type)
	require.Equal(t, "complete", c.text().Type)
	for range 20 {
		c.write(masked(final|opPing, "p"))
	}
	for range 20 {
		op, payload, err := c.read()
		require.NoError(t, err)
		require.Equal(t, "p", string(payload))
		require.EqualValues(t, opPong, op)
	}
	require.Eventually(t, func() bool { return w.gateway.actors.Status().ConnectionPool.Active == 1 }, 6*time.Second, 5*time.Millisecond)
}

// A model's name has 256 bytes at most, not characters: on every way in, named
// and not. A longer one reaches no vendor.
func TestAModelsNameIsBounded(t *testing.T) {
	v := providertest.New(t, providertest.Say("ok"))
	w := start(t, wide, asking(v, "sk-1"))
	c := w.dial("/ws/chat/s1")
	for name, tt := range map[string]struct {
		model string
		taken bool
	}{
		"the longest":    {strings.Repeat("m", 256), true},
		"of two bytes":   {strings.Repeat("é", 128), true},
		"escaped":        {strings.Repeat(`\u006d`, 256), true}, // counts as it is meant, not as it is sent
		"one more":       {strings.Repeat("m", 257), false},
		"129 characters": {strings.Repeat("é", 129), false},
	} {
		frame := `{"type":"chat","messages":[],"content":"q","provider":"openai","model":"` + tt.model + `"`
		for _, id := range []string{"", name} {
			asked := frame
			if id != "" {
				asked += `,"id":"` + id + `"`
			}
			c.send(asked + "}")
			_, f := c.answer()
			if tt.taken {
				require.Equal(t, "complete", f.Type, name+": "+f.Message)
				continue
			}
			require.Equal(t, []string{"error", "INVALID_MESSAGE", id}, []string{f.Type, f.Code, f.ID}, name)
			require.Contains(t, f.Message, "model", name)
			require.NotContains(t, f.Message, tt.model[:8], name)
		}
		status, body, _ := w.post("/api/chat", frame+"}")
		want := map[bool]int{true: http.StatusOK, false: http.StatusBadRequest}[tt.taken]
		require.Equal(t, want, status, name+": "+body)
	}
	c.admitted()
	seen := v.Requests()
	require.Len(t, seen, 9, "three ways of the three that are taken")
	for _, r := range seen {
		require.Len(t, r.Model, 256)
	}
}

func TestBytesThatComeWithTheHandshakeAreNotLost(t *testing.T) {
	w := start(t, wide)
	both := masked(final|opText, `{"type":"chat","content":"early bird","model":"echo-0s"}`)
	later := masked(final|opText, `{"type":"ping"}`)
	for name, parts := range map[string][][]byte{
		"one write":   {append(append([]byte(handshake("/ws/chat/s1")), both...), later...)},
		"cut inside":  {append([]byte(handshake("/ws/chat/s1")), both[:9]...), append(append([]byte(nil), both[9:]...), later...)},
		"only a head": {append([]byte(handshake("/ws/chat/s1")), both[0]), append(append([]byte(nil), both[1:]...), later...)},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				c := w.connectTCP(0)
				for _, part := range parts {
					c.write(part)
				}
				c.upgraded()
				var got []string
				for range 4 { // the ping may overtake the answer, nothing else may
					if f := c.text(); f.Type != "pong" {
						got = append(got, f.Type+" "+f.Content+f.FullResponse)
					}
				}
				require.Equal(t, []string{"chunk early ", "chunk bird", "complete early bird"}, got)
				c.Close()
			}
		})
	}
}

func TestAHandshakeThatNeverEndsIsCut(t *testing.T) {
	w := start(t, wide, with(func(c *config.Config) { c.WebSocket.HandshakeTimeout = 300 * time.Millisecond }))
	whole := handshake("/ws/chat/s1")
	for name, sent := range map[string]string{"nothing": "", "a line": whole[:20], "all but the end": whole[:len(whole)-2]} {
		t.Run(name, func(t *testing.T) {
			at := time.Now()
			c := w.connectTCP(0)
			c.write([]byte(sent))
			_, err := io.Copy(io.Discard, c.r) // an answer may come first; then the end, not our own deadline
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			require.GreaterOrEqual(t, time.Since(at), 250*time.Millisecond)
			require.Less(t, time.Since(at), 3*time.Second)
		})
	}
}

// A client that reads nothing while its answer bursts is cut, and told why
// where its bytes still reach; its run goes on and is whole for another socket.
func TestSlowConsumerIsCutAndItsRunResumes(t *testing.T) {
	w := start(t, wide)
	c := w.wire("/ws/chat/s1", 16<<10)
	c.write(masked(final|opText, `{"type":"chat","id":"slow","content":"0123456789abcdef","model":"echo-0s-1000kb"}`))
	run := c.text().RunID
	require.Eventually(t, func() bool { return w.metric("troupe_slow_consumers_total") == "1" }, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, "1", w.metric(`troupe_errors_total{code="SLOW_CONSUMER"}`))
	code, texts := c.ended()
	require.Equal(t, 1013, code)
	got := joined(t, texts)
	want := strings.Repeat("0123456789abcdef", 64000)
	require.True(t, strings.HasPrefix(want, got), "what did arrive is in order")
	require.Less(t, len(got), len(want))
	last := uint64(0)
	if len(texts) > 0 {
		last = texts[len(texts)-1].Seq
	}
	require.Eventually(t, func() bool { return w.gateway.actors.Status().ConnectionPool.Active == 0 }, 5*time.Second, 5*time.Millisecond)

	back := w.dial("/ws/chat/s1")
	back.send(fmt.Sprintf(`{"type":"resume","run_id":%q,"after":%d}`, run, last))
	rest, end := readOn(back)
	require.Equal(t, "complete", end.Type)
	require.Equal(t, want, end.FullResponse)
	require.Equal(t, want, got+rest)
	require.Equal(t, websocket.StatusNormalClosure, bye(back))
}

// bye closes and returns the server's answer.
func bye(c *peer) websocket.StatusCode {
	if c.Close(websocket.StatusNormalClosure, "") == nil {
		return websocket.StatusNormalClosure
	}
	return -1
}

// joined checks that chunks follow each other and returns their text.
func joined(t *testing.T, frames []said) string {
	t.Helper()
	var b strings.Builder
	seq := uint64(0)
	for _, f := range frames {
		if f.Type != "chunk" {
			continue
		}
		first := f.Seq
		if f.From > 0 {
			require.Less(t, f.From, f.Seq)
			first = f.From
		}
		require.Equal(t, seq+1, first)
		seq = f.Seq
		b.WriteString(f.Content)
	}
	return b.String()
}

// A reader that stalls within the bound gets fewer, joined chunks: nothing is
// lost, and `from` tells what a frame holds.
func TestChunksOfAStalledReaderAreJoined(t *testing.T) {
	w := start(t, wide, with(func(c *config.Config) { c.WebSocket.OutboxBytes = 4 << 20 }))
	c := w.wire("/ws/chat/s1", 16<<10)
	c.write(masked(final|opText, `{"type":"chat","id":"j","content":"word","model":"echo-0s-20000w"}`))
	require.Equal(t, "accepted", c.text().Type)
	require.Eventually(t, func() bool {
		return w.metric(`troupe_runs_total{outcome="complete",provider="echo"}`) == "1" && w.metric("troupe_outbox_bytes") != "0"
	}, 20*time.Second, 5*time.Millisecond)
	var frames []said
	for {
		f := c.text()
		frames = append(frames, f)
		if f.terminal() {
			break
		}
	}
	end := frames[len(frames)-1]
	require.Equal(t, "complete", end.Type)
	require.Equal(t, end.FullResponse, joined(t, frames))
	require.EqualValues(t, 20001, end.Seq)
	wide := 0
	for _, f := range frames {
		if f.From > 0 {
			wide++
		}
	}
	require.Positive(t, wide)
	require.Less(t, len(frames), 20000, "joined")
	require.Eventually(t, func() bool { return w.metric("troupe_outbox_bytes") == "0" }, time.Second, 5*time.Millisecond)
}
