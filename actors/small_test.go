package actors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestMemoryBounds: neither turns nor bytes are ever exceeded, the newest stay,
// and what is written is JSON of at most the room it has.
func TestMemoryBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := MemoryConfig{Turns: rapid.IntRange(0, 5).Draw(t, "turns"), Bytes: rapid.IntRange(0, 60).Draw(t, "bytes")}
		texts := rapid.SliceOf(rapid.StringMatching(`[a-z]{0,30}`)).Draw(t, "texts")
		var m memory
		var model []string
		for i, text := range texts {
			question := fmt.Sprintf("q%d", i)
			m.add([]byte(question), []byte(text), bound)
			if text != "" && bound.Turns > 0 {
				model = append(model, question+text)
			}
			pairs, total := slices.Collect(m.all()), 0
			require.LessOrEqual(t, len(pairs), bound.Turns)
			require.EqualValues(t, len(pairs), m.turns)
			for _, e := range pairs {
				total += e.size()
			}
			require.EqualValues(t, total, m.bytes)
			require.LessOrEqual(t, total, bound.Bytes)
			require.Equal(t, total+len(pairs)*exchangeHead, len(m.data))
		}
		pairs := slices.Collect(m.all())
		for i, e := range pairs {
			require.Equal(t, model[len(model)-len(pairs)+i], e.question+e.answer, "not the newest, or out of order")
		}
		room := rapid.IntRange(0, 400).Draw(t, "room")
		out := m.appendTo([]byte{'['}, room)
		require.LessOrEqual(t, len(out)-1, room)
		var messages []protocol.Message
		require.NoError(t, json.Unmarshal(append(bytes.TrimSuffix(out, []byte{','}), ']'), &messages))
		require.Zero(t, len(messages)%2)
		for i, e := range pairs[len(pairs)-len(messages)/2:] {
			require.Equal(t, protocol.Message{Role: protocol.RoleUser, Content: e.question}, messages[2*i])
			require.Equal(t, protocol.Message{Role: protocol.RoleAssistant, Content: e.answer}, messages[2*i+1])
		}
	})
}

func TestBucket(t *testing.T) {
	var b bucket
	take := func(at time.Duration) bool { return b.take(1+moment(at), 10, 20) }
	for i := range 20 {
		require.True(t, take(0), "request %d of the burst", i)
	}
	require.False(t, take(0))
	require.False(t, take(99*time.Millisecond))
	require.True(t, take(100*time.Millisecond))
	require.False(t, take(100*time.Millisecond))
	for i := range 20 {
		require.True(t, take(time.Hour), "request %d after a rest", i)
	}
	require.False(t, take(time.Hour), "a rest must not save up more than the burst")
}

func TestBackoff(t *testing.T) {
	for n, want := range []time.Duration{10, 20, 40, 80, 160, 320, 500, 500, 500, 500, 500, 500} {
		want *= time.Millisecond
		require.Equal(t, want*8/10, backoff(n, 0))
		require.Equal(t, want, backoff(n, 0.5))
		require.Less(t, backoff(n, 0.999), want*12/10)
	}
	require.Equal(t, backoffMax, backoff(1_000_000, 0.5))
}

func TestStrategyFailed(t *testing.T) {
	s := (&System{}).supervise(func(string) directive { return restartChild })
	at := epoch()
	for n := range 5 {
		require.Equal(t, n, s.failed("a", at))
		at = at.Add(backoffQuiet)
	}
	require.Zero(t, s.failed("b", at), "one actor's failures count for another")
	require.Zero(t, s.failed("a", at.Add(1)), "a quiet time was not forgiven")
}

func TestRootTooMany(t *testing.T) {
	s := &rootStrategy{}
	for range rootPanics {
		require.False(t, s.tooMany(epoch()))
	}
	require.True(t, s.tooMany(epoch().Add(rootWindow)))
	require.False(t, s.tooMany(epoch().Add(2*rootWindow+1)), "old panics still count")
}

func TestKindOf(t *testing.T) {
	for id, want := range map[string]string{
		"gateway-ABC":                      kindGateway,
		"gateway-ABC/limiter":              kindLimiter,
		"gateway-ABC/pool":                 kindPool,
		"gateway-ABC/roster":               kindRoster,
		"gateway-ABC/connections":          kindConnections,
		"gateway-ABC/connections/c17":      kindConnection,
		"worker-ABC":                       kindWorker,
		"worker-ABC/roster":                kindRoster,
		"worker-ABC/provider-echo":         kindProvider,
		"worker-ABC/provider-my-own":       kindProvider,
		"worker-ABC/provider-echo/ABC-XYZ": kindRun,
	} {
		require.Equal(t, want, kindOf(&actor.PID{Id: id}), id)
	}
}

func TestWholeCharacters(t *testing.T) {
	for _, text := range []string{"", "abc", "äöü", "a€b", "😀😀", "x😀"} {
		for most := -1; most <= len(text)+1; most++ {
			got := wholeCharacters([]byte(text), most)
			require.LessOrEqual(t, len(got), max(most, 0))
			require.True(t, utf8.Valid(got), "%q cut at %d", text, most)
			require.True(t, strings.HasPrefix(text, string(got)))
			require.True(t, len(text)-len(got) == 0 || most-len(got) < utf8.UTFMax, "%q at %d lost a character that fits", text, most)
		}
	}
}

// TestPanicText: a panic value may hold a key; only the runtime's own words pass.
func TestPanicText(t *testing.T) {
	caught := func(fn func()) (text string) {
		defer func() { text = panicText(recover()) }()
		fn()
		return ""
	}
	const key = "sk-canary"
	var none map[string]int
	require.Contains(t, caught(func() { none["a"] = 1 }), "nil map")
	require.Equal(t, "value of type string", caught(func() { panic(key) }))
	require.Equal(t, "value of type *errors.errorString", caught(func() { panic(errors.New(key)) }))
	require.Equal(t, "value of type actors.supervised", caught(func() { panic(supervised{}) }))
}

func TestFold(t *testing.T) {
	type count struct {
		repeats int
		show    bool
	}
	var f fold
	ask := func(address string, at time.Duration) count {
		repeats, show := f.count(foldKey{"rate", address}, epoch().Add(at))
		return count{repeats, show}
	}
	require.Equal(t, count{0, true}, ask("a", 0))
	require.Equal(t, count{0, false}, ask("a", time.Second))
	require.Equal(t, count{0, false}, ask("a", foldWindow-1))
	require.Equal(t, count{0, true}, ask("b", time.Second), "another address is another line")
	require.Equal(t, count{2, true}, ask("a", foldWindow))
	require.Equal(t, count{0, false}, ask("a", foldWindow+1))

	for n := range 3 * foldKeys {
		ask(fmt.Sprint(n), foldWindow)
		require.LessOrEqual(t, len(f.seen), foldKeys)
	}
}

func TestLabelsAndDurations(t *testing.T) {
	require.Len(t, logLabel(strings.Repeat("x", 1000)), 128)
	require.Equal(t, "short", logLabel("short"))
	for d, want := range map[time.Duration]string{
		30 * time.Minute: "30m", time.Hour: "1h", 90 * time.Second: "1m30s", 10 * time.Second: "10s", 0: "0s",
	} {
		require.Equal(t, want, shortDuration(d))
	}
	for d, want := range map[time.Duration]int{0: 0, 1: 1, time.Second: 1, time.Second + 1: 2} {
		require.Equal(t, want, seconds(d))
	}
}
