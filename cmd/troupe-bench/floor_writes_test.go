package main

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBareWritesSayTheAnswer: the floors and the clients agree on the wire, so
// what is compared is the same work.
func TestBareWritesSayTheAnswer(t *testing.T) {
	for name, f := range map[string]writesSpec{
		"paced":    {speech: speech{Pace: time.Millisecond, Words: 30}},
		"firehose": {speech: speech{Words: 500}},
		"net/http": {speech: speech{Words: 1}, HTTP: true},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			over := make(chan struct{})
			go func() { defer close(over); f.serve(l) }()
			t.Cleanup(func() { _ = l.Close(); <-over })

			c := &crowd{addr: l.Addr().String()}
			defer c.close()
			require.NoError(t, c.grow(t.Context(), 4))
			for range 2 { // a socket takes one question after the other
				require.NoError(t, c.perform("echo", f.speech))
			}
			require.EqualValues(t, 2*4*f.Words, c.chunks())
		})
	}
}

func TestBareWritesArguments(t *testing.T) {
	f := writesSpec{speech: speech{Pace: 20 * time.Millisecond, Words: 7}, HTTP: true}
	require.Equal(t, []string{"-pace", "20ms", "-words", "7", "-http=true"}, f.args())
}
