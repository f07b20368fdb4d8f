package protocol

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValidLabel(t *testing.T) {
	for _, s := range []string{"a", "Z", "0", "9", "abc-123", "a_.:-", "11", strings.Repeat("x", 128)} {
		require.True(t, ValidLabel(s), "%q", s)
	}
	for _, s := range []string{
		"", "-a", "_a", ".a", ":a", "a b", "a/b", "a\\b", "a*", "a>", "a\x00", "a\n", "ä", "aä", "a@b", "a[", "a`", "a{",
		"../x", strings.Repeat("x", 129),
	} {
		require.False(t, ValidLabel(s), "%q", s)
	}
}

func TestValidLabelOfEveryByte(t *testing.T) {
	want := regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}\z`)
	for c := range 256 {
		for _, s := range []string{string([]byte{byte(c)}), string([]byte{'a', byte(c)}), string([]byte{byte(c), 'a'})} {
			require.Equal(t, want.MatchString(s), ValidLabel(s), "%q", s)
		}
	}
}
