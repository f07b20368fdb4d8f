package engine

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A header may promise what never comes: memory follows what came.
func TestAPromisedFrameTakesNoMemory(t *testing.T) {
	c := single(t, plan(t, named))
	s := newSocket(nil, &c.run.buffers, nil)
	promise := binary.BigEndian.AppendUint64([]byte{finalBit | opText, 127}, mostMessage)
	receive := func(b []byte) {
		for len(b) > 0 {
			l := s.lend()
			n := copy(l.buf[l.filled:], b)
			l.filled += n
			b = b[n:]
			require.NoError(t, s.digest(l, c))
		}
	}
	receive(promise)
	require.Equal(t, len(promise)+mostMessage, s.need)
	require.LessOrEqual(t, cap(s.rest), 2*bufferSize)
	receive(make([]byte, 1<<20))
	require.Len(t, s.rest, len(promise)+1<<20)
	require.LessOrEqual(t, cap(s.rest), 4<<20)
}

func TestACodeThatAServerMakesUpIsCut(t *testing.T) {
	s := newShard()
	s.fault(strings.Repeat("x", 1<<20), strings.Repeat("y", 1<<20))
	s.fault(strings.Repeat("x", 2<<20), "")
	require.Len(t, s.errs, 1)
	for code, e := range s.errs {
		require.Len(t, code, mostCode)
		require.Len(t, e.Code, mostCode)
		require.Len(t, e.Example, mostExample)
		require.Equal(t, int64(2), e.Count)
	}
}

// However long a server tells a client to stay away, the moment of its return is
// one that the clock knows.
func TestStayingAwayIsBounded(t *testing.T) {
	for _, tt := range []struct {
		seconds float64
		want    time.Duration
	}{
		{0, 0}, {-5, 0}, {1.5, 1500 * time.Millisecond}, {9223372036, mostAway}, {math.MaxFloat64, mostAway}, {-math.MaxFloat64, 0},
	} {
		require.Equal(t, tt.want, stayAway(tt.seconds), "%g s", tt.seconds)
	}
	var no *refusal
	require.True(t, errors.As(refused(strings.NewReader("HTTP/1.1 503 Busy\r\nRetry-After: 9223372036\r\nContent-Length: 0\r\n\r\n")), &no))
	require.Equal(t, mostAway, no.retryAfter)
	for _, frame := range []string{`{"type":"error","code":"X","retry_after":1e300}`, `{"type":"reconnect","after_ms":1e300}`} {
		var e event
		parseAny([]byte(frame), &e)
		require.Equal(t, mostAway, e.after, frame)
	}
}
