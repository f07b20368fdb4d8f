package bus

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlainRun holds every byte at every place of a word against the rule, with
// every other kind of byte around it.
func TestPlainRun(t *testing.T) {
	special := func(c byte) bool { return c < ' ' || c == '"' || c == '\\' }
	for size := range 20 {
		for at := range size {
			for c := range 256 {
				for _, around := range []byte{' ', '!', '#', '[', ']', 'a', 0x7f, 0x80, 0xa2, 0xdc, 0xff} {
					b := make([]byte, size)
					for i := range b {
						b[i] = around
					}
					b[at] = byte(c)
					want := size
					if special(byte(c)) {
						want = at
					}
					if got := plainRun(b); got != want {
						require.Equal(t, want, got, "%q", b)
					}
				}
			}
		}
	}
}
