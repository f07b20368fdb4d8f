package protocol

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestSplitEscaped(t *testing.T) {
	for _, test := range []struct {
		escaped string
		limit   int
		want    int
	}{
		{"", 0, 0},
		{"", 5, 0},
		{"hello", -1, 0},
		{"hello", 0, 0},
		{"hello", 3, 3},
		{"hello", 5, 5},
		{"hello", 9, 5},
		{`a\nb`, 2, 1},
		{`a\nb`, 3, 3},
		{`\n`, 1, 0},
		{`\\n`, 2, 2},
		{`\\n`, 1, 0},
		{`\\\n`, 3, 2},
		{`\\u1234`, 4, 4}, // an escaped backslash, then letters
		{`a\u001fb`, 6, 1},
		{`a\u001fb`, 7, 7},
		{`\ud83d\ude00!`, 5, 0},
		{`\ud83d\ude00!`, 6, 0},
		{`\ud83d\ude00!`, 8, 0},
		{`\ud83d\ude00!`, 12, 12},
		{`x\ud83d\ude00!`, 12, 1},
		{`\ud83d\ud83d\ude00`, 12, 6},
		{`\ud83d\ude00\ude00`, 12, 12}, // a pair, then half of one
		{`\ud83dx\ude00`, 7, 7},
		{`\\ud83d\ude00`, 7, 7}, // the first is no escape
		{"é", 1, 0},
		{"aé", 2, 1},
		{"日本", 5, 3},
		{"😀", 3, 0},
		{"a😀b", 4, 1},
		{"a😀b", 5, 5},
		{`\n😀`, 3, 2},
	} {
		require.Equal(t, test.want, SplitEscaped([]byte(test.escaped), test.limit), "%s at %d", test.escaped, test.limit)
	}
}

func TestSplitEscapedOfHostileText(t *testing.T) {
	for _, text := range hostileTexts() {
		escaped := AppendEscapedString(nil, text)
		for limit := range len(escaped) + 2 {
			checkSplit(t, escaped, limit)
		}
	}
	escaped := []byte(strings.Repeat(`\\`, 9) + `\ud83d\ude00\\\ud83d\u0041\ude00\ud83d\\\\ud83d\ude00é\n😀`)
	for limit := range len(escaped) + 2 {
		checkSplit(t, escaped, limit)
	}
}

// checkSplit holds SplitEscaped against a walk from the start.
func checkSplit(t *testing.T, escaped []byte, limit int) {
	t.Helper()
	want := 0
	for want < len(escaped) {
		next := want + unit(escaped[want:])
		if next > limit {
			break
		}
		want = next
	}
	cut := SplitEscaped(escaped, limit)
	require.Equal(t, want, cut, "%q at %d", escaped, limit)

	whole, err := Unescape(nil, escaped)
	require.NoError(t, err)
	joined, err := Unescape(nil, escaped[:cut])
	require.NoError(t, err)
	joined, err = Unescape(joined, escaped[cut:])
	require.NoError(t, err)
	require.Equal(t, string(whole), string(joined))
}

// unit is the length of the first thing that must stay in one piece.
func unit(s []byte) int {
	if s[0] == '\\' {
		_, size := readEscape(s)
		return size
	}
	_, size := utf8.DecodeRune(s)
	return size
}

func FuzzSplitEscaped(f *testing.F) {
	for _, text := range hostileTexts() {
		f.Add([]byte(text), 7)
	}
	f.Add([]byte(`\ud83d\ude00\\ud83d\ude00\\\ud83d\ude00`), 12)
	f.Fuzz(func(t *testing.T, text []byte, limit int) {
		escaped := AppendEscaped(nil, text)
		checkSplit(t, escaped, limit%(len(escaped)+2))

		// What another writer may have escaped, and then what nobody did.
		if _, err := Unescape(nil, text); err == nil && utf8.Valid(text) {
			checkSplit(t, text, limit%(len(text)+2))
		}
		cut := SplitEscaped(text, limit)
		require.GreaterOrEqual(t, cut, 0)
		require.LessOrEqual(t, cut, max(0, min(limit, len(text))))
	})
}
