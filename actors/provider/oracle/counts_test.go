package oracle

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestCountsBeside holds the known difference of the counts: a wire that counts
// something beside its input or output is told so by its library, number by
// number, and summed up by ours, because all of it is paid for. Everywhere else
// the sum is what is compared.
func TestCountsBeside(t *testing.T) {
	cached := faulty.Script{Deltas: []string{"a"}, Usage: &protocol.Usage{InputTokens: 20, OutputTokens: 9}, CacheRead: 8, CacheWritten: 4, Thought: 6}
	tests := map[faulty.Wire]struct {
		script faulty.Script
		theirs tokens
		ours   tokens
	}{
		// prompt_tokens and completion_tokens hold their details.
		faulty.OpenAI: {cached, tokens{counted: true, in: 20, out: 9}, tokens{counted: true, in: 20, out: 9}},
		// input_tokens are what came from no cache and went to none.
		faulty.Anthropic: {cached, tokens{counted: true, in: 8, besideIn: 12, out: 9}, tokens{counted: true, in: 20, out: 9}},
		// thoughts stand beside the candidates.
		faulty.Gemini: {cached, tokens{counted: true, in: 20, out: 3, besideOut: 6}, tokens{counted: true, in: 20, out: 9}},
	}
	for wire, tt := range tests {
		t.Run(string(wire), func(t *testing.T) {
			v := newVendor(t, wire)
			v.script.Store(&tt.script)
			ours, theirs := v.ask(t, question())
			require.Equal(t, tt.theirs, theirs.tokens)
			require.Equal(t, tt.ours, ours.tokens)
			require.Equal(t, ours.tokens.String(), theirs.tokens.String())
		})
	}
}
