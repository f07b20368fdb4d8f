package oracle

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
)

// How many streams are generated for each wire and test, where
// TROUPE_ORACLE_STREAMS does not say otherwise.
const (
	manyStreams = 250
	someEnds    = 80
)

// TestGeneratedStreams asks for answers that end in good order.
func TestGeneratedStreams(t *testing.T) {
	eachPlan(t, manyStreams, func(t *testing.T, v *vendor, p *plan) {
		s := p.script(p.events(v.wire))
		v.script.Store(&s)
		ours, theirs := v.ask(t, question())
		differ := between(ours, theirs)
		if !p.usage && ours.kind == whole { // known, see whyCount
			require.True(t, ours.tokens.estimated && !theirs.tokens.counted, "tokens: %s and %s", ours.tokens, theirs.tokens)
			differ = slices.DeleteFunc(differ, func(d difference) bool { return d.field == "tokens" })
		}
		require.Empty(t, differ, "ours ended with: %v\ntheirs ended with: %v\n%q", ours.err, theirs.err, s.Raw)
	})
}

// TestGeneratedEnds takes the end off: once the body ends in good order before
// its last event, once the connection breaks anywhere before that. Ours calls
// neither whole; the text up to there is the same.
func TestGeneratedEnds(t *testing.T) {
	eachPlan(t, someEnds, func(t *testing.T, v *vendor, p *plan) {
		p.finish = faulty.FinishStop // what is filtered is refused also where its end is missing
		events := p.events(v.wire)
		events = events[:len(events)-1]
		early := p.script(events[:p.random.IntN(len(events)+1)])
		v.script.Store(&early)
		ours, theirs := v.ask(t, question())
		require.Equal(t, broken, ours.kind, "%q", early.Raw)
		require.Equal(t, theirs.text, ours.text, "%q", early.Raw)
		require.Equal(t, theirs.reasoning, ours.reasoning, "%q", early.Raw)
		require.Equal(t, whole, theirs.kind, "known, see whyEnd; theirs ended with: %v\n%q", theirs.err, early.Raw)

		cut := p.script(events)
		cut.Cut = -1
		if len(cut.Raw) > 1 {
			cut.Cut = 1 + p.random.IntN(len(cut.Raw)-1)
		}
		v.script.Store(&cut)
		ours, theirs = v.ask(t, question())
		require.Equal(t, broken, ours.kind, "cut at %d: %q", cut.Cut, cut.Raw)
		require.Equal(t, broken, theirs.kind, "cut at %d: %q", cut.Cut, cut.Raw)
		require.True(t, strings.HasPrefix(theirs.text, ours.text), "cut at %d: %q is not the beginning of %q\n%q", cut.Cut, ours.text, theirs.text, cut.Raw)
	})
}

// eachPlan makes random plans for every wire. The seed and a stream's number
// make the same plan again.
func eachPlan(t *testing.T, n int, try func(*testing.T, *vendor, *plan)) {
	seed := number(t, "TROUPE_ORACLE_SEED", rand.Uint64())
	n = int(number(t, "TROUPE_ORACLE_STREAMS", uint64(n)))
	for _, wire := range faulty.Wires() {
		t.Run(string(wire), func(t *testing.T) {
			v := newVendor(t, wire)
			for i := range n {
				p := newPlan(rand.New(rand.NewPCG(seed, uint64(i))), wire)
				t.Run(strconv.Itoa(i), func(t *testing.T) {
					defer func() {
						if t.Failed() {
							t.Logf("make the same again with TROUPE_ORACLE_SEED=%d", seed)
						}
					}()
					try(t, v, p)
				})
				if t.Failed() {
					return
				}
			}
		})
	}
}

// number reads a number of the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, "%s: use a number", name)
	return n
}
