package faulty

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// sheet notes when what was said.
type sheet struct {
	*httptest.ResponseRecorder
	start time.Time
	at    []time.Duration
}

func (s *sheet) WriteHeader(status int) {
	s.at = append(s.at, time.Since(s.start))
	s.ResponseRecorder.WriteHeader(status)
}

func (s *sheet) WriteString(text string) (int, error) {
	s.at = append(s.at, time.Since(s.start))
	return s.ResponseRecorder.WriteString(text)
}

// plays a script on the openai wire within the bubble's time.
func plays(ctx context.Context, s Script) (*sheet, bool) {
	w := &sheet{ResponseRecorder: httptest.NewRecorder(), start: time.Now()}
	p := player{
		ctx: ctx, script: &s, dialect: openAIWire{}, asking: asking{model: "m"},
		w: w, flush: http.NewResponseController(w),
	}
	return w, p.play()
}

func TestPaceIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, whole := plays(t.Context(), Script{Deltas: []string{"a", "b"}, Before: time.Second, Pace: 20 * time.Millisecond})
		require.True(t, whole)
		want := []time.Duration{time.Second} // the headers
		for i := range 5 {                   // role, a, b, finish, [DONE]
			want = append(want, time.Second+time.Duration(i)*20*time.Millisecond)
		}
		require.Equal(t, want, w.at)
	})
}

func TestModelsKeepTheirPace(t *testing.T) {
	for model, total := range map[string]time.Duration{
		"ok":            0,
		"ok-10s":        50 * time.Second, // role, three words, finish, [DONE]
		"slow-first":    3 * time.Second,
		"slow-first-7s": 7 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			m, err := ParseModel(model)
			require.NoError(t, err)
			start := time.Now()
			_, whole := plays(t.Context(), m.script("a b c"))
			require.True(t, whole)
			require.Equal(t, total, time.Since(start), model)
		})
	}
}

// A client that leaves ends every kind of silence at once.
func TestSilenceEndsWithTheClient(t *testing.T) {
	for name, s := range map[string]Script{
		"before the headers": {Before: time.Hour},
		"instead of headers": {Stall: -1},
		"between events":     {Deltas: []string{"a"}, Pace: time.Hour},
		"after an event":     {Deltas: []string{"a"}, Stall: 2},
		"after half of all":  {Deltas: []string{"a"}, StallPercent: 50},
		"behind the end":     {Deltas: []string{"a"}, Linger: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, leave := context.WithTimeout(t.Context(), time.Minute)
			defer leave()
			start := time.Now()
			_, whole := plays(ctx, s)
			require.False(t, whole, name)
			require.Equal(t, time.Minute, time.Since(start), name)
		})
	}
}

func TestStallSaysSoManyEvents(t *testing.T) {
	for events, s := range map[int]Script{
		1: {Deltas: []string{"a", "b"}, Stall: 1},
		3: {Deltas: []string{"a", "b"}, Stall: 3},
		2: {Deltas: []string{"a", "b"}, StallPercent: 50}, // of five
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, leave := context.WithTimeout(t.Context(), time.Minute)
			defer leave()
			w, _ := plays(ctx, s)
			all, _ := frames(w.Body.String())
			require.Len(t, all, events)
		})
	}
}

func TestCutAtEveryByte(t *testing.T) {
	s := Say("Zażółć", " 🙂")
	size := len((&Script{Deltas: s.Deltas}).Stream(OpenAI, "m"))
	for at := 1; at < size; at += 7 {
		for _, piece := range []int{0, 3} {
			cut := Script{Deltas: s.Deltas, Cut: at, Piece: piece}
			w := httptest.NewRecorder()
			p := player{ctx: t.Context(), script: &cut, dialect: openAIWire{}, asking: asking{model: "m", usage: true}, w: w, flush: http.NewResponseController(w)}
			require.PanicsWithValue(t, http.ErrAbortHandler, func() { p.play() })
			require.Equal(t, at, w.Body.Len())
		}
	}
	after := Script{Deltas: s.Deltas, Cut: -1}
	w := httptest.NewRecorder()
	p := player{ctx: t.Context(), script: &after, dialect: openAIWire{}, w: w, flush: http.NewResponseController(w)}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { p.play() })
	require.Zero(t, w.Body.Len())
	require.True(t, w.Flushed, "the headers were said")
}

// A connection that cannot be taken over is broken off instead.
func TestResetWithoutAConnectionOfItsOwn(t *testing.T) {
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { plays(t.Context(), Script{Reset: true}) })
}
