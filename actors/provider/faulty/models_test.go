package faulty

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseModel(t *testing.T) {
	for name, want := range map[string]Model{
		"ok":              {Kind: KindOK},
		"ok-20ms":         {Kind: KindOK, Pace: 20 * time.Millisecond},
		"ok-0s":           {Kind: KindOK},
		"ok-10s":          {Kind: KindOK, Pace: 10 * time.Second},
		"429":             {Kind: KindLimited},
		"429-once":        {Kind: KindLimitedOnce},
		"429-once-1ms":    {Kind: KindLimitedOnce, Pace: time.Millisecond},
		"cut-1":           {Kind: KindCut, Percent: 1},
		"cut-99-1ms":      {Kind: KindCut, Percent: 99, Pace: time.Millisecond},
		"slow-first":      {Kind: KindSlowFirst, Pace: 3 * time.Second},
		"slow-first-50ms": {Kind: KindSlowFirst, Pace: 50 * time.Millisecond},
		"error-in-stream": {Kind: KindErrorInStream},
	} {
		got, err := ParseModel(name)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
	for _, name := range []string{
		"", "gpt-4o", "OK", "ok-", "-ok", "ok-0", "ok-5", "ok--5ms", "ok-+5ms", "ok-11s", "ok-5ms-5ms",
		"cut", "cut-", "cut-0", "cut-100", "cut-300", "cut-x", "cut-5ms", "cut-+5", "20ms", "once", "okay", "slow-first-slow",
	} {
		_, err := ParseModel(name)
		require.ErrorIs(t, err, ErrModel, name)
		require.ErrorContains(t, err, fmt.Sprintf("%q", name))
		require.Regexp(t, "use | is ", err.Error(), "the remedy")
	}
	for _, name := range Models() {
		_, err := ParseModel(name)
		require.NoError(t, err)
		_, err = ParseModel(name + "-5ms")
		require.NoError(t, err)
	}
	require.Len(t, Models(), 17)
}

func TestPieces(t *testing.T) {
	for text, want := range map[string][]string{
		"":              nil,
		"a":             {"a"},
		"a b":           {"a ", "b"},
		"  a \n b  ":    {"  ", "a \n ", "b  "},
		"Zażółć\tgęślą": {"Zażółć\t", "gęślą"},
	} {
		require.Equal(t, want, pieces(text), "%q", text)
	}
	long := strings.Repeat("word ", 3*maxPieces+1)
	got := pieces(long)
	require.LessOrEqual(t, len(got), maxPieces)
	require.Equal(t, long, strings.Join(got, ""))
}

const (
	fourWords = "one two  three\nfour"
	halfSaid  = "one two  "
)

// What each model does on each wire, as a client meets it.
func TestModels(t *testing.T) {
	srv := start(t, Options{})
	asked := func(t *testing.T, w Wire, model string) (*http.Response, string, error) {
		t.Helper()
		return whole(t, ask(w, srv.BaseURL(w), model, fourWords))
	}
	good := func(t *testing.T, w Wire, body string) {
		t.Helper()
		h := hear(w, body)
		require.Equal(t, fourWords, h.text)
		require.True(t, h.ended)
		require.False(t, h.broken)
		require.Empty(t, h.failure)
		require.Equal(t, []int{4, 4}, []int{h.in, h.out})
	}
	filtered := map[Wire]string{OpenAI: "content_filter", Anthropic: "refusal", Gemini: "SAFETY"}
	overloaded := map[Wire]string{OpenAI: "server_error", Anthropic: "overloaded_error", Gemini: "UNAVAILABLE"}

	each(t, func(t *testing.T, w Wire) {
		for _, model := range []string{"ok", "ok-1ms", "panic", "slow-first-1ms"} {
			_, body, err := asked(t, w, model)
			require.NoError(t, err, model)
			good(t, w, body)
			require.Equal(t, model, hear(w, body).model)
		}
		t.Run("429", func(t *testing.T) {
			for range 2 {
				resp, _, err := asked(t, w, "429")
				require.NoError(t, err)
				require.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
				require.Equal(t, "1", resp.Header.Get("Retry-After"))
			}
		})
		t.Run("503", func(t *testing.T) {
			resp, body, err := asked(t, w, "503")
			require.NoError(t, err)
			require.Equal(t, refused{status: 503, kind: overloaded[w], text: plain(503)}, refusedWith(t, w, resp, body))
		})
		t.Run("reset", func(t *testing.T) {
			_, err := send(t, ask(w, srv.BaseURL(w), "reset", fourWords))
			require.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF), "%v", err)
		})
		t.Run("silent", func(t *testing.T) {
			before, _ := srv.Counts()
			r, leave := leaving(t, ask(w, srv.BaseURL(w), "silent", fourWords))
			done := make(chan error, 1)
			go func() {
				_, err := send(t, r)
				done <- err
			}()
			waitFor(t, srv, "open question", func(n Counts) bool { return n.Open == 1 && n.Requests > before.Requests })
			leave()
			require.ErrorIs(t, <-done, context.Canceled)
			waitFor(t, srv, "client that left", func(n Counts) bool { return n.Left == before.Left+1 && n.Open == 0 })
		})
		t.Run("stall", func(t *testing.T) {
			before, _ := srv.Counts()
			r, leave := leaving(t, ask(w, srv.BaseURL(w), "stall", fourWords))
			resp, err := send(t, r)
			require.NoError(t, err)
			var got strings.Builder
			one := make([]byte, 1)
			for !strings.HasPrefix(hear(w, got.String()).text, "one ") { // comes, and then nothing more
				_, err := resp.Body.Read(one)
				require.NoError(t, err)
				got.WriteByte(one[0])
			}
			leave()
			waitFor(t, srv, "client that left", func(n Counts) bool { return n.Left == before.Left+1 && n.Open == 0 })
			require.False(t, hear(w, got.String()).ended)
		})
		t.Run("malformed", func(t *testing.T) {
			_, body, err := asked(t, w, "malformed")
			require.NoError(t, err)
			h := hear(w, body)
			require.True(t, h.broken)
			require.Equal(t, "one two  three\n", h.text)
		})
		t.Run("no-done", func(t *testing.T) {
			_, body, err := asked(t, w, "no-done")
			require.NoError(t, err)
			h := hear(w, body)
			require.Equal(t, fourWords, h.text)
			require.False(t, h.ended)
		})
		t.Run("context-too-long", func(t *testing.T) {
			resp, body, err := asked(t, w, "context-too-long")
			require.NoError(t, err)
			require.Equal(t, http.StatusBadRequest, refusedWith(t, w, resp, body).status)
			require.Regexp(t, "maximum", body)
		})
		t.Run("content-filter", func(t *testing.T) {
			_, body, err := asked(t, w, "content-filter")
			require.NoError(t, err)
			h := hear(w, body)
			require.Equal(t, halfSaid, h.text)
			require.Equal(t, filtered[w], h.finish)
		})
		t.Run("error-in-stream", func(t *testing.T) {
			_, body, err := asked(t, w, "error-in-stream")
			require.NoError(t, err)
			h := hear(w, body)
			require.Equal(t, halfSaid, h.text)
			require.Equal(t, overloaded[w], h.failure)
			require.False(t, h.ended)
		})
		t.Run("unknown", func(t *testing.T) {
			for _, model := range []string{"gpt-4o", "cut-0"} {
				resp, body, err := asked(t, w, model)
				require.NoError(t, err)
				got := refusedWith(t, w, resp, body)
				require.Equal(t, http.StatusNotFound, got.status)
				require.Contains(t, got.text, model)
			}
		})
	})
}

func TestCutsAtAPercentage(t *testing.T) {
	srv := start(t, Options{})
	each(t, func(t *testing.T, w Wire) {
		_, all, err := whole(t, ask(w, srv.BaseURL(w), "cut-99", fourWords))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		for _, percent := range []int{1, 50, 99} {
			model := fmt.Sprintf("cut-%d", percent)
			m, err := ParseModel(model)
			require.NoError(t, err)
			script := m.script(fourWords)
			size := len(script.Stream(w, model))
			_, body, err := whole(t, ask(w, srv.BaseURL(w), model, fourWords))
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, model)
			require.Len(t, body, max(1, size*percent/100), model)
			require.False(t, hear(w, body).ended && w != Gemini, model)
		}
		require.False(t, strings.HasSuffix(all, "\n\n"))
	})
	n, _ := srv.Counts()
	require.Zero(t, n.Left, "the server left, not the client")
}

func TestOnceFailsOnceAQuestion(t *testing.T) {
	srv := start(t, Options{})
	status := func(w Wire, model, text, call string) int {
		r := ask(w, srv.BaseURL(w), model, text)
		if call != "" {
			r.Header.Set(CallHeader, call)
		}
		resp, _, err := whole(t, r)
		require.NoError(t, err)
		return resp.StatusCode
	}
	each(t, func(t *testing.T, w Wire) {
		for model, failing := range map[string]int{"429-once": 429, "500-once-1ms": 500} {
			run := "run." + string(w)
			require.Equal(t, failing, status(w, model, "a", run+".1"), "dots belong to the run")
			require.Equal(t, 200, status(w, model, "a", run+".2"))
			require.Equal(t, 200, status(w, model, "a", run+".3"), "a run fails once, however often it asks")
			require.Equal(t, failing, status(w, model, "a", run+"-other.1"), "another question of the same words")

			for range 2 { // without the header the words are the fourWords, until they were answered
				require.Equal(t, failing, status(w, model, string(w), ""))
				require.Equal(t, 200, status(w, model, string(w), ""))
			}
			require.Equal(t, failing, status(w, model, string(w), ".1"), "no run, no header")
			require.Equal(t, 200, status(w, model, string(w), "1"))
		}
	})
}

func TestOnceTableIsBounded(t *testing.T) {
	var table onceTable
	id := func(n int) (id [32]byte) {
		id[0], id[1], id[2] = byte(n), byte(n>>8), byte(n>>16)
		return id
	}
	for n := range 3 * maxOnce {
		require.True(t, table.add(id(n)))
		require.False(t, table.add(id(n)))
		require.LessOrEqual(t, len(table.known), maxOnce)
	}
	require.Len(t, table.order, maxOnce)
	require.False(t, table.add(id(3*maxOnce-1)), "still known")
	require.False(t, table.add(id(2*maxOnce)), "the oldest still known")
	require.True(t, table.add(id(2*maxOnce-1)), "forgotten")
	table.forget(id(3*maxOnce - 1))
	require.True(t, table.add(id(3*maxOnce-1)))
}

func TestFlapIsGoodAndBadInTurn(t *testing.T) {
	srv := start(t, Options{})
	for _, want := range []int{200, 503, 200, 503} {
		resp, _, err := whole(t, ask(OpenAI, srv.BaseURL(OpenAI), "flap", "a"))
		require.NoError(t, err)
		require.Equal(t, want, resp.StatusCode)
	}
}
