package transport

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Around every header length, whatever the guess was: what is written is one
// frame that another implementation reads.
func TestAppendTextAroundEveryHeaderLength(t *testing.T) {
	empty := len((&protocol.Frame{Type: protocol.TypeChunk}).Append(nil))
	for _, payload := range []int{empty, 60, 124, 125, 126, 127, 220, 65440, 65534, 65535, 65536, 65537, 70000} {
		for _, before := range []string{"", "behind something"} {
			t.Run(fmt.Sprint(payload, before), func(t *testing.T) {
				f := &protocol.Frame{Type: protocol.TypeChunk, Text: bytes.Repeat([]byte("x"), payload-empty)}
				b := appendText([]byte(before), f)
				require.Equal(t, before, string(b[:len(before)]))
				b = b[len(before):]
				require.Equal(t, len(b), frameSize(b))
				frame := readFrame(t, bytes.NewReader(b))
				require.NoError(t, ws.CheckHeader(frame.Header, ws.StateClientSide))
				require.Equal(t, ws.OpText, frame.Header.OpCode)
				require.Equal(t, string(f.Append(nil)), string(frame.Payload))
			})
		}
	}
}

func TestAppendTextCorrectsALowGuess(t *testing.T) {
	f := &protocol.Frame{Type: protocol.TypeError, Code: protocol.Internal, Message: strings.Repeat("m", 70000)}
	b := appendText(nil, f)
	require.Equal(t, len(b), frameSize(b))
	require.Equal(t, string(f.Append(nil)), string(b[10:]))
}

func TestAppendClose(t *testing.T) {
	require.Equal(t, []byte{0x88, 0}, appendClose(nil, 0, ""))
	require.Equal(t, "\x88\x05\x03\xe8bye", string(appendClose(nil, 1000, "bye")))
	long := appendClose(nil, 1000, strings.Repeat("r", 200))
	require.Equal(t, 2+125, len(long))
	require.Equal(t, len(long), frameSize(long))
}
