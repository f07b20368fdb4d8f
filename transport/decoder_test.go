package transport

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// said is an event that outlives its buffer.
type said struct {
	Op   ws.OpCode
	Data string
	Code ws.StatusCode
}

// decodeAll feeds b in pieces, whose sizes cut names one after the other, and
// checks the memory bound on the way.
func decodeAll(t testing.TB, bound int, b []byte, cut func(left int) int) (all []said, err error) {
	d := decoder{max: bound}
	b = append([]byte(nil), b...) // decoding overwrites
	for len(b) > 0 {
		n := cut(len(b))
		piece := b[:n:n]
		b = b[n:]
		for len(piece) > 0 {
			var ev event
			piece, ev, err = d.feed(piece)
			require.LessOrEqual(t, cap(d.message), max(bound, firstGrowth))
			if err != nil {
				return all, err
			}
			if ev.op != ws.OpContinuation {
				all = append(all, said{ev.op, string(ev.data), ev.code})
			}
			if ev.op == ws.OpText {
				d.release()
			}
		}
	}
	return all, nil
}

func whole(left int) int { return left }
func bytewise(int) int   { return 1 }

func text(s string) said { return said{Op: ws.OpText, Data: s} }

func closeBody(code ws.StatusCode, reason string) string {
	return string(ws.NewCloseFrameBody(code, reason))
}

func header(bytes ...byte) []byte { return bytes }

func TestDecoderFollowsTheRFC(t *testing.T) {
	long := strings.Repeat("ab", 40000)
	ping := strings.Repeat("p", 125)
	zero := header(0, 0, 0, 0)
	for _, tc := range []struct {
		name string
		in   []byte
		want []said
		code ws.StatusCode // 0 = no error
	}{
		{"empty text", masked(ws.OpText, true, ""), []said{text("")}, 0},
		{"125 bytes", masked(ws.OpText, true, long[:125]), []said{text(long[:125])}, 0},
		{"126 bytes", masked(ws.OpText, true, long[:126]), []said{text(long[:126])}, 0},
		{"65535 bytes", masked(ws.OpText, true, long[:65535]), []said{text(long[:65535])}, 0},
		{"65536 bytes", masked(ws.OpText, true, long[:65536]), []said{text(long[:65536])}, 0},
		{"two messages", join(masked(ws.OpText, true, "a"), masked(ws.OpText, true, "b")), []said{text("a"), text("b")}, 0},
		{"fragments", join(masked(ws.OpText, false, "a"), masked(ws.OpContinuation, false, "b"), masked(ws.OpContinuation, true, "c")), []said{text("abc")}, 0},
		{"empty fragments", join(masked(ws.OpText, false, ""), masked(ws.OpContinuation, false, ""), masked(ws.OpContinuation, true, "")), []said{text("")}, 0},
		{"ping between fragments", join(masked(ws.OpText, false, "a"), masked(ws.OpPing, true, ping), masked(ws.OpContinuation, true, "b")), []said{{Op: ws.OpPing, Data: ping}, text("ab")}, 0},
		{"pong unasked", masked(ws.OpPong, true, "x"), []said{{Op: ws.OpPong, Data: "x"}}, 0},
		{"close between fragments", join(masked(ws.OpText, false, "a"), masked(ws.OpClose, true, "")), []said{{Op: ws.OpClose}}, 0},
		{"character across fragments", join(masked(ws.OpText, false, "\xe2"), masked(ws.OpContinuation, false, "\x82"), masked(ws.OpContinuation, true, "\xac")), []said{text("€")}, 0},

		{"ping of 126", masked(ws.OpPing, true, ping+"p"), nil, 1002},
		{"fragmented ping", masked(ws.OpPing, false, "x"), nil, 1002},
		{"fragmented close", masked(ws.OpClose, false, ""), nil, 1002},
		{"continuation of nothing", masked(ws.OpContinuation, true, "x"), nil, 1002},
		{"continuation after a whole message", join(masked(ws.OpText, true, "a"), masked(ws.OpContinuation, true, "b")), []said{text("a")}, 1002},
		{"new message inside a message", join(masked(ws.OpText, false, "a"), masked(ws.OpText, true, "b")), nil, 1002},
		{"rsv1", join(header(0xc1, 0x80), zero), nil, 1002},
		{"rsv2", join(header(0xa1, 0x80), zero), nil, 1002},
		{"rsv3", join(header(0x91, 0x80), zero), nil, 1002},
		{"rsv on a ping", join(header(0xc9, 0x80), zero), nil, 1002},
		{"no mask", header(0x81, 0x01, 'a'), nil, 1002},
		{"no mask on a ping", header(0x89, 0x00), nil, 1002},
		{"length with the highest bit", join(header(0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0), zero), nil, 1002},
		{"binary", masked(ws.OpBinary, true, "x"), nil, 1003},
		{"binary inside a message", join(masked(ws.OpText, false, "a"), masked(ws.OpBinary, true, "b")), nil, 1002},
		{"text is not UTF-8", masked(ws.OpText, true, "a\xff"), nil, 1007},
		{"text ends inside a character", masked(ws.OpText, true, "a\xe2\x82"), nil, 1007},
		{"fragments end inside a character", join(masked(ws.OpText, false, "\xe2"), masked(ws.OpContinuation, true, "\x82")), nil, 1007},
		{"surrogate", masked(ws.OpText, true, "\xed\xa0\x80"), nil, 1007},
		{"overlong", masked(ws.OpText, true, "\xc0\xaf"), nil, 1007},
		{"above U+10FFFF", masked(ws.OpText, true, "\xf4\x90\x80\x80"), nil, 1007},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, cut := range []func(int) int{whole, bytewise, func(left int) int { return min(left, 7) }} {
				all, err := decodeAll(t, 1<<20, tc.in, cut)
				require.Equal(t, tc.want, all)
				requireViolation(t, tc.code, err)
			}
		})
	}
}

func requireViolation(t testing.TB, code ws.StatusCode, err error) *violation {
	t.Helper()
	if code == 0 {
		require.NoError(t, err)
		return nil
	}
	var v *violation
	require.ErrorAs(t, err, &v)
	require.Equal(t, code, v.close)
	require.LessOrEqual(t, len(v.reason), 123)
	require.NotEmpty(t, v.reason)
	return v
}

func TestDecoderRefusesReservedOpcodes(t *testing.T) {
	for op := range ws.OpCode(16) {
		if !op.IsReserved() {
			continue
		}
		t.Run(fmt.Sprintf("%#x", op), func(t *testing.T) {
			_, err := decodeAll(t, 100, masked(op, true, "x"), whole)
			requireViolation(t, 1002, err)
		})
	}
}

// Bad bytes are refused when they arrive, not when the message ends: each case
// is the beginning of a message whose rest never comes.
func TestDecoderFailsEarly(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []byte
		code ws.StatusCode
	}{
		{"bad UTF-8 in an open frame", masked(ws.OpText, true, "a\xf4\x90"+strings.Repeat("x", 100))[:6+3], 1007},
		{"bad UTF-8 in an open message", masked(ws.OpText, false, "\xce\xba\xff"), 1007},
		{"no mask", header(0x81, 0x7f), 1002},
		{"reserved opcode", header(0x83, 0x80), 1002},
		{"binary", header(0x82, 0xff), 1003},
		{"long ping", header(0x89, 0xfe), 1002},
		{"declared length above the bound", join(header(0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1), header(1, 2, 3, 4)), 1009},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := decodeAll(t, 1<<16, tc.in, bytewise)
			requireViolation(t, tc.code, err)
		})
	}
}

func TestDecoderChecksUTF8AtEverySplit(t *testing.T) {
	good := "κόσμε \u00a2\u20ac\U0001f600\U0010ffff\u0000end"
	bad := "κόσμε\xed\xa0\x80edited"
	for i := range len(good) + 1 {
		for j := i; j <= len(good); j++ {
			in := join(masked(ws.OpText, false, good[:i]), masked(ws.OpContinuation, false, good[i:j]), masked(ws.OpContinuation, true, good[j:]))
			all, err := decodeAll(t, 1000, in, whole)
			require.NoError(t, err)
			require.Equal(t, []said{text(good)}, all)
		}
	}
	for i := range len(bad) + 1 {
		in := join(masked(ws.OpText, false, bad[:i]), masked(ws.OpContinuation, true, bad[i:]))
		_, err := decodeAll(t, 1000, in, whole)
		requireViolation(t, 1007, err)
	}
}

func TestDecoderBoundsAMessage(t *testing.T) {
	const bound = 1000
	full := strings.Repeat("x", bound)
	for _, tc := range []struct {
		name string
		in   []byte
		ok   bool
	}{
		{"at the bound", masked(ws.OpText, true, full), true},
		{"one above", masked(ws.OpText, true, full+"x"), false},
		{"fragments at the bound", join(masked(ws.OpText, false, full[:999]), masked(ws.OpContinuation, true, "x")), true},
		{"fragments above", join(masked(ws.OpText, false, full), masked(ws.OpContinuation, true, "x")), false},
		{"declared 2^62", header(0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			all, err := decodeAll(t, bound, tc.in, whole)
			if tc.ok {
				require.NoError(t, err)
				require.Equal(t, []said{text(full[:len(all[0].Data)])}, all)
				return
			}
			v := requireViolation(t, 1009, err)
			require.Equal(t, protocol.CauseTooBig, v.cause)
			require.Equal(t, protocol.MessageTooBig, v.code)
		})
	}
}

func TestDecoderBoundsFragments(t *testing.T) {
	fragments := func(n int) []byte {
		in := masked(ws.OpText, false, "x")
		for range n - 2 {
			in = append(in, masked(ws.OpContinuation, false, "")...)
		}
		return append(in, masked(ws.OpContinuation, true, "y")...)
	}
	all, err := decodeAll(t, 1000, fragments(maxFragments), whole)
	require.NoError(t, err)
	require.Equal(t, []said{text("xy")}, all)

	_, err = decodeAll(t, 1000, fragments(maxFragments+1), whole)
	requireViolation(t, 1008, err)
}

func TestDecoderJudgesCloseFrames(t *testing.T) {
	valid := map[ws.StatusCode]bool{
		1000: true, 1001: true, 1002: true, 1003: true, 1007: true, 1008: true, 1009: true, 1010: true, 1011: true,
		1012: true, 1013: true, 1014: true, 3000: true, 3999: true, 4000: true, 4999: true,
	}
	for _, code := range []ws.StatusCode{
		0, 1, 999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015, 1016,
		1100, 2000, 2999, 3000, 3999, 4000, 4999, 5000, 65535,
	} {
		all, err := decodeAll(t, 100, masked(ws.OpClose, true, closeBody(code, "why")), bytewise)
		if valid[code] {
			require.NoError(t, err, code)
			require.Equal(t, []said{{ws.OpClose, "why", code}}, all)
			continue
		}
		requireViolation(t, 1002, err)
	}
	for _, tc := range []struct {
		name, body string
		code       ws.StatusCode
	}{
		{"half a code", "\x03", 1002},
		{"reason not UTF-8", closeBody(1000, "\xff"), 1007},
		{"longest reason", closeBody(1000, strings.Repeat("r", 123)), 0},
		{"reason too long", closeBody(1000, strings.Repeat("r", 123)) + "r", 1002},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := decodeAll(t, 100, masked(ws.OpClose, true, tc.body), whole)
			requireViolation(t, tc.code, err)
		})
	}
}

// A declared length must cost nothing before bytes arrive.
func TestDecoderGrowsWithWhatArrives(t *testing.T) {
	const bound = 1 << 20
	in := masked(ws.OpText, true, strings.Repeat("x", bound))
	d := decoder{max: bound}
	for at := 0; at < len(in); {
		n := min(1000, len(in)-at)
		_, _, err := d.feed(in[at : at+n])
		require.NoError(t, err)
		at += n
		require.LessOrEqual(t, cap(d.message), max(firstGrowth, min(bound, 2*at)))
	}
}

func TestDecoderLendsAWholeMessageWithoutAllocating(t *testing.T) {
	in := masked(ws.OpText, true, strings.Repeat("x", 200))
	buf := make([]byte, len(in))
	d := decoder{max: 1000}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		copy(buf, in)
		_, ev, err := d.feed(buf)
		if err != nil || len(ev.data) != 200 {
			panic("not decoded")
		}
	}))
}

func TestDecoderWipesWhatItGathered(t *testing.T) {
	d := decoder{max: 100}
	_, _, err := d.feed(masked(ws.OpText, false, "sk-secret"))
	require.NoError(t, err)
	gathered := d.message
	d.release()
	require.Equal(t, make([]byte, 9), gathered)
}

func TestControlRate(t *testing.T) {
	r := newRate(0)
	for range controlBurst {
		require.True(t, r.take(0))
	}
	require.False(t, r.take(0))
	require.False(t, r.take(99*time.Millisecond))
	require.True(t, r.take(150*time.Millisecond))
	require.False(t, r.take(150*time.Millisecond))
	for range controlBurst {
		require.True(t, r.take(time.Hour), "the burst is the most that is saved up")
	}
	require.False(t, r.take(time.Hour))
}

// However the bytes are cut, the decoder says the same, within its bound.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte{}, uint64(1))
	f.Add(masked(ws.OpText, true, `{"type":"ping"}`), uint64(2))
	f.Add(join(masked(ws.OpText, false, "κό"), masked(ws.OpPing, true, "p"), masked(ws.OpContinuation, true, "σμε")), uint64(3))
	f.Add(masked(ws.OpClose, true, closeBody(1000, "bye")), uint64(4))
	f.Add(masked(ws.OpBinary, true, "x"), uint64(5))
	f.Add(masked(ws.OpText, true, strings.Repeat("x", 700)), uint64(6))
	f.Add([]byte{0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, uint64(7))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		const bound = 600
		want, wantErr := decodeAll(t, bound, in, whole)
		got, gotErr := decodeAll(t, bound, in, func(left int) int {
			seed = seed*6364136223846793005 + 1442695040888963407
			return 1 + int(seed>>33)%min(left, 50)
		})
		require.Equal(t, closeOf(wantErr), closeOf(gotErr))
		require.Equal(t, len(want), len(got))
		for i := range want {
			require.Equal(t, want[i], got[i])
		}
	})
}

func closeOf(err error) ws.StatusCode {
	var v *violation
	if errors.As(err, &v) {
		return v.close
	}
	return 0
}
