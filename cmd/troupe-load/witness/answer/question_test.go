package answer

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestAnswersNameTheirQuestion(t *testing.T) {
	for _, echo := range []bool{false, true} {
		a, b := Question{N: 1, Model: Model{Words: 20}, Echo: echo}, Question{N: 11, Model: Model{Words: 20}, Echo: echo}
		require.True(t, utf8.ValidString(a.Whole()))
		require.NotEqual(t, a.Whole(), b.Whole())
		_, found := a.Foreign(a.String() + " " + a.Whole())
		require.False(t, found)
		other, found := a.Foreign(a.Whole() + " " + b.Piece(3))
		require.True(t, found)
		require.Equal(t, "q11", other)
		n, ok := Asker(b.String())
		require.True(t, ok)
		require.Equal(t, 11, n)
	}
	_, ok := Asker("what is the weather like?")
	require.False(t, ok)
}

func TestAnAnswerIsItsPieces(t *testing.T) {
	q := Question{N: 5, Model: Model{Words: 3 * 7 * 8}}
	seen, joined := map[string]bool{}, ""
	for i := range q.Model.Words {
		piece := q.Piece(i + 1)
		require.False(t, seen[piece], "no piece stands for another")
		seen[piece] = true
		joined += piece
	}
	require.Equal(t, joined, q.Whole())
	require.True(t, strings.HasPrefix(joined, q.Head(9)))
}

// TestTheEchoSaysItsQuestionOverAndOver with one space between two words, and
// none behind the last.
func TestTheEchoSaysItsQuestionOverAndOver(t *testing.T) {
	q := Question{N: 5, Model: Model{Words: 17}, Echo: true}
	require.Equal(t, q.String()+" "+q.String()+" q5.0", q.Whole())
}
