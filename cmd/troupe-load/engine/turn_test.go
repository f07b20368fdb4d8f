package engine

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChunksAreJudged(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []event
		want   string // breach
		texts  int64
	}{
		{"in order", []event{{seq: 1}, {seq: 2}, {seq: 3}}, "", 3},
		{"joined", []event{{seq: 1}, {seq: 5, from: 2}, {seq: 6}}, "", 6},
		{"without numbers", []event{{}, {}}, "", 2},
		{"a gap", []event{{seq: 1}, {seq: 3}}, breachLoss, 2},
		{"the first is missing", []event{{seq: 2}}, breachLoss, 1},
		{"a gap before a joined one", []event{{seq: 1}, {seq: 5, from: 3}}, breachLoss, 4},
		{"twice", []event{{seq: 1}, {seq: 1}}, breachOrder, 2},
		{"swapped", []event{{seq: 1}, {seq: 2}, {seq: 4, from: 2}}, breachOrder, 5},
		{"backwards", []event{{seq: 1}, {seq: 2, from: 3}}, breachOrder, 2},
	} {
		var turn turn
		var texts int64
		found := ""
		for _, e := range tt.events {
			n, b := turn.chunk(&e, false)
			texts += n
			if b != nil && found == "" {
				found = b.name
			}
		}
		require.Equal(t, tt.want, found, tt.name)
		require.Equal(t, tt.texts, texts, tt.name)
	}
}

func TestChunksOfANamedQuestionHaveNumbers(t *testing.T) {
	numbered := turn{named: true}
	_, b := numbered.chunk(&event{seq: 1}, false)
	require.Nil(t, b)
	bare := turn{named: true}
	_, b = bare.chunk(&event{}, false)
	require.NotNil(t, b)
	require.Equal(t, breachOrder, b.name)
	_, b = bare.chunk(&event{}, false)
	require.Nil(t, b, "it is told once an answer")
}

func TestAnAnswerWithoutBoundsIsNotKept(t *testing.T) {
	var turn turn
	_, b := turn.chunk(&event{seq: 1, text: make([]byte, mostMessage)}, false)
	require.Nil(t, b)
	_, b = turn.chunk(&event{seq: 2, text: []byte("x")}, false)
	require.NotNil(t, b)
	require.Equal(t, breachText, b.name)
	_, b = turn.chunk(&event{seq: 3, text: []byte("x")}, false)
	require.Nil(t, b, "it is told once")
	require.Empty(t, turn.text)
	require.Nil(t, turn.ended(&event{kind: evComplete, seq: 4, full: []byte("x"), hasFull: true}), "nor at the end")
}

func TestForeignNumbersMayBeginAnywhere(t *testing.T) {
	var turn turn
	_, b := turn.chunk(&event{seq: 41}, true)
	require.Nil(t, b)
	_, b = turn.chunk(&event{seq: 43}, true)
	require.Equal(t, breachLoss, b.name)
}

func TestEndsAreJudged(t *testing.T) {
	want := expectation{unit: "ab ", size: 5}
	for _, tt := range []struct {
		name  string
		turn  turn
		event event
		want  string
	}{
		{"right", turn{seq: 2, text: []byte("ab ab"), want: want}, event{kind: evComplete, seq: 3, full: []byte("ab ab"), hasFull: true}, ""},
		{"without numbers", turn{text: []byte("ab ab")}, event{kind: evComplete, full: []byte("ab ab"), hasFull: true}, ""},
		{"the last chunk is missing", turn{seq: 2}, event{kind: evComplete, seq: 4}, breachLoss},
		{"an old number", turn{seq: 2}, event{kind: evComplete, seq: 2}, breachOrder},
		{"another text", turn{text: []byte("ab")}, event{kind: evComplete, full: []byte("ac"), hasFull: true}, breachText},
		{"another spelling", turn{text: []byte(`\u0061`)}, event{kind: evComplete, full: []byte("a"), hasFull: true}, ""},
		{"not the echo", turn{text: []byte("ab ac"), want: want}, event{kind: evComplete, full: []byte("ab ac"), hasFull: true}, breachText},
		{"half the echo", turn{text: []byte("ab "), want: want}, event{kind: evComplete, full: []byte("ab "), hasFull: true}, breachText},
		{"half, stopped", turn{text: []byte("ab "), want: want}, event{kind: evCancelled, full: []byte("ab "), hasFull: true}, ""},
		{"stopped, of something else", turn{text: []byte("ax "), want: want}, event{kind: evCancelled, full: []byte("ax "), hasFull: true}, breachText},
		{"the time, word by word", turn{text: []byte("17 18 19"), want: expectation{words: 3}}, event{kind: evComplete}, ""},
		{"a word of the time is missing", turn{text: []byte("17 18"), want: expectation{words: 3}}, event{kind: evComplete}, breachText},
		{"nothing where the time was due", turn{want: expectation{words: 3}}, event{kind: evComplete}, breachText},
		{"the time, stopped", turn{text: []byte("17 18"), want: expectation{words: 3}}, event{kind: evCancelled}, ""},
		{"a word of the time too many, broken off", turn{text: []byte("1 2 3 4"), want: expectation{words: 3}}, event{kind: evError}, breachText},
		{"broken off", turn{text: []byte("ab ")}, event{kind: evError, text: []byte("ab "), hasText: true}, ""},
		{"broken off with another text", turn{text: []byte("ab ")}, event{kind: evError, text: []byte("ab"), hasText: true}, breachText},
	} {
		b := tt.turn.ended(&tt.event)
		if tt.want == "" {
			require.Nil(t, b, tt.name)
			continue
		}
		require.NotNil(t, b, tt.name)
		require.Equal(t, tt.want, b.name, tt.name)
	}
}

func TestExpectations(t *testing.T) {
	const content = "one two three"
	for _, tt := range []struct{ name, want string }{
		{"echo", content},
		{"echo-20ms", content},
		{"echo-0s-1w", "one"},
		{"echo-0s-3w", "one two three"},
		{"echo-0s-4w", "one two three one"},
		{"echo-0s-8w", "one two three one two three one two"},
		{"echo-0s-1kb", strings.Repeat(content, 100)[:1024]},
	} {
		want := newModel("echo", tt.name, false).expect(content, 3)
		require.True(t, want.met([]byte(tt.want)), tt.name)
		require.False(t, want.met([]byte(tt.want+" ")), tt.name)
		require.False(t, want.met([]byte(tt.want[1:])), tt.name)
		require.True(t, want.begins([]byte(tt.want[:1])), tt.name)
	}
	for _, m := range []*model{
		newModel("openai", "echo-0s-2w", false), newModel("echo", "gpt", false), newModel("echo", "echo-5w-clock", true),
		newModel("echo", "echo-5w", true), newModel("echo", "echo-xw", false),
	} {
		require.True(t, m.expect(content, 3).met([]byte("anything")), m.name)
	}
	for name, words := range map[string]int{"echo-5w-clock": 5, "echo-clock": 3} {
		m := newModel("echo", name, false)
		require.True(t, m.clock)
		require.Equal(t, expectation{words: words}, m.expect(content, 3), name)
	}
	require.Equal(t, 3, plainWords(content))
	for _, text := range []string{"a  b", " a", "a\n", "é", `"`, `\`} {
		require.Zero(t, plainWords(text), text)
	}
}
