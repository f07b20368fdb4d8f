package upstream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/troupe-chat/troupe/transport/protocol"
	"pgregory.net/rapid"
)

func newKeys(s Settings) *keys {
	ks := &keys{byID: map[string]*key{}}
	ks.configure(s)
	return ks
}

func noRest(string) claim { return claim{} }

// picks takes n turns and ends each at once, one letter a pick.
func picks(ks *keys, n int) string {
	var out strings.Builder
	for range n {
		ks.survey(0, nil, 0, noRest)
		k := ks.choose()
		ks.take(k)
		ks.release(k)
		out.Write(k.secret.Reveal())
	}
	return out.String()
}

func weighted(weights ...int) (s Settings) {
	for i, w := range weights {
		s.Keys = append(s.Keys, Key{Secret: secret(string(rune('a' + i))), Weight: w})
	}
	return s
}

func TestKeysTakeTurns(t *testing.T) {
	for _, c := range []struct {
		weights []int
		want    string
	}{
		{[]int{1}, "aaaa"},
		{[]int{1, 1}, "abab"},
		{[]int{1, 1, 1}, "abcabc"},
		{[]int{5, 1, 1}, "aabacaaaabacaa"},
		{[]int{0, -7}, "abab"},
		{[]int{2, 1}, "abaaba"},
	} {
		require.Equal(t, c.want, picks(newKeys(weighted(c.weights...)), len(c.want)), c.weights)
	}
}

// TestEveryKeyGetsItsShare: exactly its weight in every full round.
func TestEveryKeyGetsItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 1, 6).Draw(t, "weights")
		total := 0
		for _, w := range weights {
			total += w
		}
		ks := newKeys(weighted(weights...))
		for range 3 {
			got := picks(ks, total)
			for i, w := range weights {
				require.Equal(t, w, strings.Count(got, string(rune('a'+i))))
			}
		}
	})
}

func TestSurvey(t *testing.T) {
	a, b, c := idOf("a"), idOf("b"), idOf("c")
	resting := func(ids ...string) func(string) claim {
		return func(id string) claim {
			for i, r := range ids {
				if r == id {
					return claim{until: time.Duration(10-i) * time.Second, why: Reason(id)}
				}
			}
			return claim{}
		}
	}
	for _, x := range []struct {
		name   string
		tried  []string
		rests  func(string) claim
		busy   string
		want   survey
		choice string
	}{
		{"all free", nil, noRest, "", survey{3, 3, never, ""}, a},
		{"one tried", []string{a}, noRest, "", survey{2, 2, never, ""}, b},
		{"all tried", []string{c, b, a}, noRest, "", survey{0, 0, never, ""}, ""},
		{"tried ones that nobody knows", []string{"x", ""}, noRest, "", survey{3, 3, never, ""}, a},
		{"one rests", nil, resting(a), "", survey{3, 2, 10 * time.Second, Reason(a)}, b},
		{"the first to be back counts", nil, resting(c, a), "", survey{3, 1, 9 * time.Second, Reason(a)}, b},
		{"a tried one's rest does not matter", []string{a}, resting(a), "", survey{2, 2, never, ""}, b},
		{"one busy", nil, noRest, a, survey{3, 3, never, ""}, b},
		{"one tried, one rests, one busy", []string{a}, resting(b), c, survey{2, 1, 10 * time.Second, Reason(b)}, ""},
	} {
		ks := newKeys(weighted(1, 1, 1))
		if x.busy != "" {
			ks.byID[x.busy].inFlight = 2
		}
		require.Equal(t, x.want, ks.survey(0, x.tried, 2, x.rests), x.name)
		k := ks.choose()
		if x.choice == "" {
			require.Nil(t, k, x.name)
		} else {
			require.Equal(t, x.choice, k.id, x.name)
		}
	}
}

func TestConfigureKeys(t *testing.T) {
	ks := newKeys(Settings{Keys: append(named("a", "b", "a"), Key{Weight: 3})})
	require.Len(t, ks.active, 2, "empty ones and repetitions are none")
	require.Equal(t, "abaaba", picks(ks, 6), "but both weights count")

	a := ks.byID[idOf("a")]
	ks.survey(0, nil, 0, noRest)
	ks.take(a)
	ks.configure(Settings{Keys: named("c")})
	require.True(t, ks.has(idOf("c")))
	require.False(t, ks.has(idOf("a")))
	require.NotContains(t, ks.byID, idOf("b"), "nothing is left of it")
	ks.configure(Settings{Keys: named("a")})
	require.Same(t, a, ks.byID[idOf("a")])
	require.Equal(t, 1, a.inFlight, "it was away, its call was not")
	ks.configure(Settings{Keyless: true})
	ks.release(a)
	require.NotContains(t, ks.byID, idOf("a"))
	require.True(t, ks.has(""))
	ks.configure(Settings{Keyless: true, Keys: named("a")})
	require.False(t, ks.has(""), "who has a key uses it")
}

func TestFingerprint(t *testing.T) {
	const want = "f492b698a2b07b11"
	require.Equal(t, want, idOf("sk-test"), "workers of all versions know a key by this")
	require.NotEqual(t, want, idOf("sk-tesu"))
	require.NotEqual(t, want, idOf(""))
}

// TestNothingShowsAKey prints whatever holds one.
func TestNothingShowsAKey(t *testing.T) {
	const canary = "sk-canary-0123456789"
	s := Settings{Keys: named(canary)}
	l := New(s, nil)
	c := mustEnter(t, l, Ask{Model: "m"})
	require.Equal(t, canary, string(c.Key().Reveal()))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		for _, v := range []any{s, s.Keys[0], l, c, *c, c.key, *c.key} {
			shown := fmt.Sprintf(verb, v)
			require.NotContains(t, shown, canary, verb)
			require.NotContains(t, shown, fmt.Sprintf("%x", canary), verb)
		}
	}
	c.Done(Outcome{})
	require.Equal(t, protocol.Secret{}, (&Call{}).Key())
}
