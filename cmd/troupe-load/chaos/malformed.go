package chaos

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
)

// malformed opens one socket after the other and sends what is no frame, or no
// JSON, until ctx ends. It counts messages, and sockets by whether a close code
// came before the end.
func (r *round) malformed(ctx context.Context, g follow.Gateway, rng *rand.Rand, sent, closed, unclean *atomic.Int64) {
	for ctx.Err() == nil {
		if !r.malform(ctx, g, rng, sent, closed, unclean) {
			crew.Sleep(ctx, 50*time.Millisecond)
		}
	}
}

func (r *round) malform(ctx context.Context, g follow.Gateway, rng *rand.Rand, sent, closed, unclean *atomic.Int64) bool {
	nc, err := (&net.Dialer{Timeout: follow.OpenTimeout}).DialContext(ctx, "tcp", hostOf(g))
	if err != nil {
		return false
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(follow.OpenTimeout))
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	in := bufio.NewReader(nc)
	if _, err := io.WriteString(nc, upgrade(g, "malformed")); err != nil {
		return false
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return false
	}
	for range 20 { // JSON that is none leaves the socket open
		frame, ends := badFrame(rng)
		sent.Add(1)
		if _, err := nc.Write(frame); err != nil || ends {
			break
		}
	}
	switch code := closeCode(in); {
	case code > 0:
		closed.Add(1)
	case ctx.Err() == nil:
		unclean.Add(1)
	}
	return true
}

// closeCode reads frames until a close; 0 where none comes.
func closeCode(in *bufio.Reader) int {
	for {
		var head [2]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return 0
		}
		size := int64(head[1] & 0x7f)
		switch size {
		case 126:
			var n [2]byte
			if _, err := io.ReadFull(in, n[:]); err != nil {
				return 0
			}
			size = int64(binary.BigEndian.Uint16(n[:]))
		case 127:
			var n [8]byte
			if _, err := io.ReadFull(in, n[:]); err != nil {
				return 0
			}
			size = int64(binary.BigEndian.Uint64(n[:]) & (1<<31 - 1))
		}
		if head[0]&0xf == 0x8 && size >= 2 {
			var code [2]byte
			if _, err := io.ReadFull(in, code[:]); err != nil {
				return 0
			}
			return int(binary.BigEndian.Uint16(code[:]))
		}
		if _, err := io.CopyN(io.Discard, in, size); err != nil {
			return 0
		}
	}
}

// badFrame makes something that no client should send; ends tells whether the
// server has to end the socket for it.
func badFrame(rng *rand.Rand) (frame []byte, ends bool) {
	const fin, masked = 0x80, true
	texts := []string{
		"{", "[]", "null", `"x"`, `{"type":`, `{"type":"chat"}`, `{"type":"chat","content":7}`, `{"type":"nothing"}`, `{"content":"x"}`,
		`{"type":"chat","content":"` + strings.Repeat("\\u0000", 50) + `","type":"ping"}`, strings.Repeat("[", 200), `{"type":"resume","run_id":"x","after":-1}`,
		`{"type":"chat","content":"x","id":"` + strings.Repeat("i", 65) + `"}`, `{"type":"cancel","run_id":[]}`, `{"type":"chat","content":"\ud800"}`, `{"a":1e999}`,
	}
	if rng.IntN(3) > 0 {
		return wsFrame(fin|0x1, masked, []byte(texts[rng.IntN(len(texts))]), rng), false
	}
	switch rng.IntN(9) {
	case 0:
		return wsFrame(fin|0x1, false, []byte("{}"), rng), true // not masked
	case 1:
		return wsFrame(fin|0x3, masked, []byte("{}"), rng), true // reserved opcode
	case 2:
		return wsFrame(fin|0x40|0x1, masked, []byte("{}"), rng), true // reserved bit
	case 3:
		return wsFrame(0x9, masked, nil, rng), true // a ping in pieces
	case 4:
		return wsFrame(fin|0x9, masked, make([]byte, 126), rng), true // a ping too long
	case 5:
		return wsFrame(fin, masked, []byte("{}"), rng), true // goes on with nothing
	case 6:
		return wsFrame(fin|0x1, masked, []byte{0xff, 0xfe, 0xc3}, rng), true // no UTF-8
	case 7:
		return []byte{fin | 0x1, 0x80 | 127, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1, 2, 3, 4}, true // a length with its highest bit set
	default:
		return wsFrame(fin|0x8, masked, []byte{0x3, 0xed}, rng), true // close 1005, which nobody may send
	}
}

// wsFrame is one frame of a client.
func wsFrame(first byte, masked bool, payload []byte, rng *rand.Rand) []byte {
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	frame := []byte{first}
	if len(payload) < 126 {
		frame = append(frame, mask|byte(len(payload)))
	} else {
		frame = append(frame, mask|126, byte(len(payload)>>8), byte(len(payload)))
	}
	if !masked {
		return append(frame, payload...)
	}
	var key [4]byte
	binary.BigEndian.PutUint32(key[:], rng.Uint32())
	frame = append(frame, key[:]...)
	for i, b := range payload {
		frame = append(frame, b^key[i%4])
	}
	return frame
}
