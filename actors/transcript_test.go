package actors

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-chat/troupe/bus"
)

func partsOf(s *transcript, after, cut uint64, most int) []bus.Event {
	var out []bus.Event
	s.parts(after, cut, most, func(e bus.Event) { out = append(out, e) })
	return out
}

func TestTranscriptParts(t *testing.T) {
	type part struct {
		from, to uint64
		more     bool
		text     string
	}
	tests := []struct {
		name       string
		chunks     []string
		after, cut uint64
		most       int
		want       []part
	}{
		{"empty run", nil, 0, 0, 10, []part{{1, 0, false, ""}}},
		{"nothing missed", []string{"ab", "cd"}, 2, 0, 10, []part{{3, 2, false, ""}}},
		{"all in one", []string{"ab", "cd"}, 0, 0, 10, []part{{1, 2, false, "abcd"}}},
		{"the rest", []string{"ab", "cd"}, 1, 0, 10, []part{{2, 2, false, "cd"}}},
		{"one that is exactly full", []string{"ab", "cd"}, 0, 0, 4, []part{{1, 2, false, "abcd"}}},
		{"two parts", []string{"ab", "cd"}, 0, 0, 3, []part{{1, 1, true, "ab"}, {2, 2, false, "cd"}}},
		{"a chunk longer than a part", []string{"abcdef", "g"}, 0, 0, 3, []part{{1, 1, true, "abcdef"}, {2, 2, false, "g"}}},
		{"cut inside", []string{"a", "b", "c"}, 0, 2, 10, []part{{1, 2, true, "ab"}, {3, 3, false, "c"}}},
		{"cut at the end", []string{"a", "b"}, 0, 2, 10, []part{{1, 2, false, "ab"}}},
		{"cut passed already", []string{"a", "b", "c"}, 2, 1, 10, []part{{3, 3, false, "c"}}},
		{"cut and full", []string{"aa", "bb", "cc"}, 0, 2, 2, []part{{1, 1, true, "aa"}, {2, 2, true, "bb"}, {3, 3, false, "cc"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s transcript
			for _, c := range tt.chunks {
				s.add([]byte(c))
			}
			var got []part
			for _, e := range partsOf(&s, tt.after, tt.cut, tt.most) {
				require.Equal(t, bus.EventSnapshot, e.Type)
				got = append(got, part{e.From, e.Seq, e.More, string(e.Text)})
			}
			require.Equal(t, tt.want, got)
		})
	}
}

// TestTranscriptPartsJoined: whatever the bounds, parts are whole chunks in
// order, joined they are the text, one ends at the cut and only the last has no
// more behind it.
func TestTranscriptPartsJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chunks := rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,9}`), 0, 20).Draw(t, "chunks")
		n := uint64(len(chunks))
		after, cut := rapid.Uint64Range(0, n).Draw(t, "after"), rapid.Uint64Range(0, n).Draw(t, "cut")
		most := rapid.IntRange(1, 30).Draw(t, "most")
		var s transcript
		want := ""
		for i, c := range chunks {
			require.EqualValues(t, i+1, s.add([]byte(c)))
			if uint64(i) >= after {
				want += c
			}
		}
		parts, got, at, ended := partsOf(&s, after, cut, most), "", after, false
		for i, e := range parts {
			require.Equal(t, at+1, e.From)
			require.Equal(t, i < len(parts)-1, e.More)
			text := ""
			for seq := e.From; seq <= e.Seq; seq++ {
				text += chunks[seq-1]
			}
			require.Equal(t, text, string(e.Text))
			require.True(t, len(e.Text) <= most || e.Seq == e.From, "a part of several chunks is too long")
			ended = ended || e.Seq == cut
			got, at = got+text, e.Seq
		}
		require.Equal(t, want, got)
		require.Equal(t, n, at)
		require.True(t, ended || cut <= after, "no part ends at the cut")
	})
}

func TestTranscriptSize(t *testing.T) {
	var s transcript
	require.Zero(t, s.size())
	s.add(make([]byte, 1000))
	require.GreaterOrEqual(t, s.size(), 1004)
}
