package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// heard is a receiver that remembers.
type heard struct {
	messages []string
	pings    []string
	count    int
}

func (h *heard) message(b []byte) { h.messages = append(h.messages, string(b)) }
func (h *heard) frames(n int)     { h.count += n }
func (h *heard) ping(b []byte)    { h.pings = append(h.pings, string(b)) }

// served is a frame as a server sends it: not masked.
func served(op byte, final bool, payload string) []byte {
	b := []byte{op}
	if final {
		b[0] |= finalBit
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

func TestFramesAreMasked(t *testing.T) {
	for _, size := range []int{0, 1, 7, 8, 9, 15, 16, 125, 126, 127, 65535, 65536} {
		payload := bytes.Repeat([]byte("0123456789abc"), size/13+1)[:size]
		b := appendFrame(nil, opText, payload)
		require.Equal(t, byte(finalBit|opText), b[0])
		require.NotZero(t, b[1]&maskBit)
		head := 2
		switch b[1] & 0x7f {
		case 126:
			head = 4
			require.Equal(t, size, int(binary.BigEndian.Uint16(b[2:])))
		case 127:
			head = 10
			require.Equal(t, size, int(binary.BigEndian.Uint64(b[2:])))
		default:
			require.Equal(t, size, int(b[1]&0x7f))
		}
		key := b[head : head+4]
		for i, c := range b[head+4:] {
			require.Equal(t, payload[i], c^key[i%4], "byte %d of %d", i, size)
		}
	}
}

func TestDecoder(t *testing.T) {
	var stream []byte
	for _, part := range [][]byte{
		served(opText, true, "one"),
		served(opText, false, "tw"), served(opPing, true, "between"), served(opContinuation, true, "o"),
		served(opBinary, true, string(make([]byte, 70000))), served(opPong, true, ""), served(opText, true, ""),
	} {
		stream = append(stream, part...)
	}
	for _, piece := range []int{1, 2, 3, 1000, len(stream)} { // however it is cut
		var h heard
		var d decoder
		var held []byte
		for at := 0; at < len(stream); at += piece {
			held = append(held, stream[at:min(at+piece, len(stream))]...)
			used, _, err := d.decode(held, &h)
			require.NoError(t, err)
			held = held[used:]
		}
		require.Empty(t, held)
		require.Equal(t, []string{"one", "two", string(make([]byte, 70000)), ""}, h.messages)
		require.Equal(t, []string{"between"}, h.pings)
		require.Equal(t, 5, h.count)
	}
}

func TestDecoderTellsHowMuchIsMissing(t *testing.T) {
	whole := served(opText, true, string(make([]byte, 100_000)))
	var d decoder
	used, need, err := d.decode(whole[:50], &heard{})
	require.NoError(t, err)
	require.Zero(t, used)
	require.Equal(t, len(whole), need)
	_, need, err = d.decode(whole[:5], &heard{})
	require.NoError(t, err)
	require.Zero(t, need, "the header itself is not there")
}

func TestDecoderRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		code uint16
	}{
		{"reserved bits", []byte{0xc1, 0}, closeProtocol},
		{"a mask", []byte{0x81, 0x80, 0, 0, 0, 0}, closeProtocol},
		{"an unknown opcode", []byte{0x83, 0}, closeProtocol},
		{"a fragmented ping", []byte{0x09, 0}, closeProtocol},
		{"a long ping", []byte{0x89, 126, 0, 126}, closeProtocol},
		{"a continuation of nothing", []byte{0x80, 0}, closeProtocol},
		{"a beginning inside", []byte{0x01, 0, 0x81, 0}, closeProtocol},
		{"half a close code", []byte{0x88, 1, 3}, closeProtocol},
		{"too much", []byte{0x81, 127, 0, 0, 0, 0, 0xff, 0, 0, 0}, closeTooBig},
	} {
		_, _, err := new(decoder).decode(tt.b, &heard{})
		var wrong *protocolError
		require.ErrorAs(t, err, &wrong, tt.name)
		require.Equal(t, tt.code, wrong.code, tt.name)
	}
	_, _, err := new(decoder).decode(served(opClose, true, "\x03\xf0"+"NO_MORE"), &heard{})
	var closed *closedError
	require.ErrorAs(t, err, &closed)
	require.Equal(t, closedError{1008, "NO_MORE"}, *closed)
	_, _, err = new(decoder).decode(served(opClose, true, ""), &heard{})
	require.ErrorAs(t, err, &closed)
	require.Equal(t, uint16(1005), closed.code)
}

// FuzzDecoder reads what a server may send, at once and in pieces: the same must
// come out, and nothing may be read beyond the end.
func FuzzDecoder(f *testing.F) {
	f.Add(served(opText, true, "hello"), uint8(3))
	f.Add(append(served(opText, false, "a"), served(opContinuation, true, "b")...), uint8(1))
	f.Add(served(opClose, true, "\x03\xe8bye"), uint8(2))
	f.Add(served(opText, true, string(make([]byte, 300))), uint8(100))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		var whole heard
		_, _, errWhole := new(decoder).decode(stream, &whole)

		var cut heard
		var d decoder
		var held []byte
		var errCut error
		for at := 0; at < len(stream) && errCut == nil; at += int(piece) + 1 {
			held = append(held, stream[at:min(at+int(piece)+1, len(stream))]...)
			var used, need int
			used, need, errCut = d.decode(held, &cut)
			require.LessOrEqual(t, used, len(held))
			held = held[used:]
			require.True(t, need == 0 || need > len(held))
		}
		require.Equal(t, whole, cut)
		require.Equal(t, errWhole == nil, errCut == nil)
		if errWhole != nil {
			require.Equal(t, errWhole.Error(), errCut.Error())
			require.False(t, errors.Is(errWhole, errMore))
		}
	})
}
