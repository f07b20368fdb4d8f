package main

import (
	"encoding/binary"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serverFrame is an unmasked text frame.
func serverFrame(text string) []byte {
	b := []byte{0x81}
	switch n := len(text); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, text...)
}

// fed is a client that reads these bytes, so many at a time.
func fed(t *testing.T, data []byte, step int) *client {
	near, far := net.Pipe()
	t.Cleanup(func() { _ = near.Close() })
	go func() {
		defer func() { _ = far.Close() }()
		for len(data) > 0 {
			n := min(step, len(data))
			if _, err := far.Write(data[:n]); err != nil {
				return
			}
			data = data[n:]
		}
	}()
	return &client{nc: near, buf: make([]byte, readBuffer)}
}

func TestClientReadsFramesOfEverySize(t *testing.T) {
	texts := []string{"", "a", strings.Repeat("b", 125), strings.Repeat("c", 126), strings.Repeat("d", 5000), strings.Repeat("e", 70_000), "f"}
	var wire []byte
	for _, s := range texts {
		wire = append(wire, serverFrame(s)...)
	}
	for _, step := range []int{1, 3, 4096, len(wire)} {
		c := fed(t, wire, step)
		for _, want := range texts {
			op, payload, err := c.next()
			require.NoError(t, err)
			require.EqualValues(t, opText, op)
			require.Equal(t, want, string(payload))
		}
	}
}

func TestClientFindsEveryLoss(t *testing.T) {
	chunk := func(s string) []byte { return serverFrame(`{"type":"chunk","content":"` + s + `"}`) }
	complete := func(s string) []byte { return serverFrame(`{"type":"complete","full_response":"` + s + `"}`) }
	join := func(frames ...[]byte) (out []byte) {
		for _, f := range frames {
			out = append(out, f...)
		}
		return out
	}
	for name, tt := range map[string]struct {
		wire []byte
		want string
	}{
		"whole":          {join(chunk("Where "), chunk("do"), complete("Where do")), ""},
		"joined":         {join(chunk("Where do"), complete("Where do")), ""},
		"chunk lost":     {join(chunk("Where "), complete("Where do")), "the chunks make 6 bytes, the answer says 8"},
		"chunk doubled":  {join(chunk("Where "), chunk("Where "), chunk("do"), complete("Where do")), "the chunks make 14 bytes"},
		"both are short": {join(chunk("Where"), complete("Where")), "1 words arrived, 2 were due"},
		"a refusal":      {join(chunk("Where "), serverFrame(`{"type":"error","code":"X"}`)), "the server answered with X"},
		"another frame":  {join(chunk("Where "), serverFrame(`{"type":"notice","code":"X"}`)), "unexpected frame"},
		"closed":         {join(chunk("Where "), []byte{0x88, 0}), "unexpected frame, opcode 8"},
		"cut":            {chunk("Where "), "EOF"},
		"hostile length": {[]byte{0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0}, "16 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			err := fed(t, tt.wire, len(tt.wire)).finish("Where do")
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// TestClientTellsTheDelay: words that are times make delays, and their order and
// number is checked.
func TestClientTellsTheDelay(t *testing.T) {
	said := time.Now().Add(-time.Second).UnixMicro()
	frames := func(words ...string) (wire []byte) {
		for _, w := range words {
			wire = append(wire, serverFrame(chunkStart+w+frameEnd)...)
		}
		return append(wire, serverFrame(completeStart+strings.Join(words, "")+frameEnd)...)
	}
	word := func(after int64) string { return strconv.FormatInt(said+after, 10) + " " }
	for name, tt := range map[string]struct {
		wire []byte
		want string
	}{
		"whole":     {frames(word(0), word(5), word(5)), ""},
		"joined":    {frames(word(0), word(5)+word(6)), ""},
		"reordered": {frames(word(0), word(6), word(5)), "another order"},
		"lost":      {frames(word(0), word(5)), "2 words arrived, 3 were due"},
		"no time":   {frames(word(0), "Where ", word(5)), "no time"},
	} {
		t.Run(name, func(t *testing.T) {
			c := fed(t, tt.wire, len(tt.wire))
			c.timed = true
			err := c.finishClock(3)
			if tt.want != "" {
				require.ErrorContains(t, err, tt.want)
				return
			}
			require.NoError(t, err)
			require.Len(t, c.delays, 3)
			for _, d := range c.delays {
				require.Greater(t, d, 999_000.0)
				require.Less(t, d, 1_000_000+micros(clientTimeout))
			}
		})
	}
}

func TestDelaysAreOfTheSteadyTime(t *testing.T) {
	now := time.Now()
	c := &client{timed: true, at: now, from: now.Add(-31 * time.Millisecond), to: now.Add(-15 * time.Millisecond)}
	var said []string
	for _, ago := range []time.Duration{40, 30, 20, 10, 5} {
		said = append(said, strconv.FormatInt(now.Add(-ago*time.Millisecond).UnixMicro(), 10))
	}
	require.NoError(t, c.clock([]byte(strings.Join(said, " "))))
	require.Len(t, c.delays, 2)
	require.InDelta(t, 30_000, c.delays[0], 2)
	require.InDelta(t, 20_000, c.delays[1], 2)
}
