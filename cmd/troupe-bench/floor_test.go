package main

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFloorSaysTheAnswer: the floors and the clients agree on the wire, so what
// is compared is the same work.
func TestFloorSaysTheAnswer(t *testing.T) {
	for name, f := range map[string]floorSpec{
		"paced":    {Pace: time.Millisecond, Words: 30},
		"firehose": {Words: 500},
		"net/http": {Words: 1, HTTP: true},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			over := make(chan struct{})
			go func() { defer close(over); f.serve(l) }()
			t.Cleanup(func() { _ = l.Close(); <-over })

			c := &crowd{addr: l.Addr().String()}
			defer c.close()
			require.NoError(t, c.grow(t.Context(), 4, 2))
			for range 2 { // a socket takes one question after the other
				require.NoError(t, c.perform("any", f.Words, time.Millisecond))
			}
			require.EqualValues(t, 2*4*f.Words, c.chunks())
		})
	}
}

func TestFloorArguments(t *testing.T) {
	f := floorSpec{Pace: 20 * time.Millisecond, Words: 7, HTTP: true}
	require.Equal(t, []string{"floor", "-pace", "20ms", "-words", "7", "-http=true"}, f.args())
}
