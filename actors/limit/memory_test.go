package limit

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // the first one may have been under way
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMillionKeys floods the tables with more keys than they track, each with as
// long a session as a client may send: both tables together stay under 64 MiB.
func TestMillionKeys(t *testing.T) {
	keys, flood := windowsKeys, windowsKeys+windowsKeys/10
	if raceEnabled || testing.Short() {
		keys, flood = windowsKeys/10, windowsKeys/10
	}
	session := strings.Repeat("s", 128)
	before := liveHeap()
	w, f := NewWindows(Default()), NewFallback(Default())
	var address [24]byte
	for i := range flood {
		a := string(strconv.AppendInt(append(address[:0], "2001:db8:"...), int64(i), 16))
		require.True(t, w.Message(start, a, session).OK)
		if i < 2*fallbackKeys {
			f.Message(start, a, session)
		}
	}
	used := liveHeap() - before
	require.Equal(t, keys, w.Len())
	require.LessOrEqual(t, used, int64(64<<20)*int64(min(keys+2*fallbackKeys, windowsKeys))/windowsKeys)
	require.LessOrEqual(t, f.Len(), fallbackKeys)
	t.Logf("%d keys: %.1f MiB", w.Len()+f.Len(), float64(used)/(1<<20))

	w.Reset()
	f.Reset()
	require.Less(t, liveHeap()-before, int64(1<<20), "a reset gives the memory back")
	runtime.KeepAlive(w)
	runtime.KeepAlive(f)
}

// Keys with many events are bounded by bytes before they are by number.
func TestManyStampsStayInBound(t *testing.T) {
	const bound = 2 << 20
	before := liveHeap()
	w := newWindows(Config{Messages: Rule{50, time.Minute}}, windowsKeys, bound)
	for i := range 20_000 {
		session := strconv.Itoa(i)
		for range 1 + i%50 {
			require.True(t, w.Message(start, alice, session).OK)
		}
	}
	used := liveHeap() - before
	require.LessOrEqual(t, used, int64(bound+bound/10), "with the slack of the last chunks")
	require.Greater(t, w.Len(), 5_000)
	last := w.Message(start, alice, strconv.Itoa(19_999))
	require.Equal(t, 50, last.Count, "the newest key has its whole history")
	require.False(t, last.OK)
}

func TestOldestKeyGoes(t *testing.T) {
	w := newWindows(Config{Messages: Rule{2, time.Minute}}, 3, windowsBytes)
	for _, s := range []string{"a", "b", "c", "a", "a"} { // the last one is refused: touched all the same
		w.Message(start, alice, s)
	}
	for _, tt := range []struct {
		session string
		count   int
	}{
		{"d", 1}, // b goes
		{"a", 2}, // full as before
		{"c", 2},
		{"b", 1}, // comes back without a history; d goes
		{"d", 1},
	} {
		require.Equal(t, tt.count, w.Message(start, alice, tt.session).Count, tt.session)
		require.Equal(t, 3, w.Len())
	}
}

func TestKnownKeysDoNotAllocate(t *testing.T) {
	w := NewWindows(Default())
	now := start
	message := func() {
		now = now.Add(3 * time.Second)
		w.Message(now, alice, "s")
	}
	connect := func() {
		now = now.Add(10 * time.Second)
		w.Connect(now, alice, "s", socket)
	}
	for range 100 { // grow the rings to what the rates need
		message()
		connect()
	}
	require.Zero(t, testing.AllocsPerRun(200, message))
	require.Zero(t, testing.AllocsPerRun(200, connect))
	require.Zero(t, testing.AllocsPerRun(200, func() { w.Known(now, alice, "s") }))
	for range 50 {
		w.Message(now, bob, "s")
	}
	require.Zero(t, testing.AllocsPerRun(200, func() { w.Message(now, bob, "s") }), "refused")
}
