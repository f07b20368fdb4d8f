package transport

import (
	"errors"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// What a header promises costs nobody memory before it comes.
func TestDeclaredBodyIsNotMadeRoomFor(t *testing.T) {
	for _, declared := range []int64{-1, 0, 10, 256 << 10, 1 << 40} {
		b, err := readWiping(iotest.ErrReader(errors.New("nothing came")), declared)
		require.Error(t, err)
		require.LessOrEqual(t, cap(b), firstBody, "%d bytes declared", declared)
	}
}
