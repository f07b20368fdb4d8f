package mimic

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

func startVendor(t *testing.T) *Vendor {
	t.Helper()
	c := &crew.Crew{}
	v, err := New(c, []string{"key-1"})
	require.NoError(t, err)
	t.Cleanup(func() {
		v.Close()
		c.Wait()
		require.Empty(t, c.Failures())
	})
	return v
}

// askVendor asks as a worker would.
func askVendor(ctx context.Context, t *testing.T, v *Vendor, key, question, model string) *http.Response {
	t.Helper()
	data, err := json.Marshal(map[string]any{"model": model, "messages": []any{map[string]any{"role": "user", "content": question}}})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.BaseURL("worker-2")+"/chat/completions", strings.NewReader(string(data)))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// settled waits until no call is open and returns all of them.
func (v *Vendor) settled(t *testing.T) []Call {
	t.Helper()
	require.Eventually(t, func() bool { open, _ := v.Count(); return open == 0 }, 5*time.Second, time.Millisecond)
	calls, _ := v.Take(time.Time{})
	return calls
}

func TestVendorSaysTheAnswerOfTheQuestion(t *testing.T) {
	v := startVendor(t)
	a := answer.Question{N: 3, Model: answer.Model{Words: 12, Pace: time.Millisecond}}
	resp := askVendor(t.Context(), t, v, "key-1", a.String(), a.Model.String())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	text, done := "", false
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			done = true
			break
		}
		var event struct {
			Choices []struct {
				Delta struct{ Content string }
			}
		}
		require.NoError(t, json.Unmarshal([]byte(data), &event))
		text += event.Choices[0].Delta.Content
	}
	require.True(t, done)
	require.Equal(t, a.Whole(), text)
	calls := v.settled(t)
	require.Len(t, calls, 1)
	require.Equal(t, []any{3, "worker-2", true}, []any{calls[0].N, calls[0].Worker, calls[0].Done})
}

func TestVendorNoticesWhoLeaves(t *testing.T) {
	v := startVendor(t)
	ctx, leave := context.WithCancel(t.Context())
	resp := askVendor(ctx, t, v, "key-1", answer.Question{N: 4}.String(), "echo-100ms-1000w")
	_, err := bufio.NewReader(resp.Body).ReadString('\n')
	require.NoError(t, err)
	require.True(t, v.Rests().After(time.Now()), "an open call rests when its answer is over")
	left := time.Now()
	leave()
	calls := v.settled(t)
	require.False(t, calls[0].Done)
	require.Less(t, calls[0].End.Sub(left), time.Second)
	require.Zero(t, v.Rests())
}

func TestVendorRemembersWhatIsStrange(t *testing.T) {
	for name, c := range map[string]struct{ key, question string }{
		"key":      {"somebody's", "q1.0"},
		"question": {"key-1", "what is the weather like?"},
	} {
		t.Run(name, func(t *testing.T) {
			v := startVendor(t)
			resp := askVendor(t.Context(), t, v, c.key, c.question, "echo-1ms-1w")
			require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
			calls, strange := v.Take(time.Time{})
			require.Empty(t, calls)
			require.Len(t, strange, 1)
			require.NotContains(t, fmt.Sprint(strange), c.key)
			_, strange = v.Take(time.Time{})
			require.Empty(t, strange, "told once")
		})
	}
}

func TestReadQuestion(t *testing.T) {
	for _, s := range []string{
		``, `{}`, `{"messages":[]}`, `[1]`, `{"model":"echo-1s-1w","messages":[{"content":"hello"}]}`, `{"model":"gpt","messages":[{"content":"q1.0"}]}`,
	} {
		_, err := readQuestion([]byte(s))
		require.Error(t, err, s)
	}
	q, err := readQuestion([]byte(`{"model":"late-2s-echo-1s-1w","messages":[{"content":"q1.0"},{"content":"q2.0"}]}`))
	require.NoError(t, err)
	require.Equal(t, answer.Question{N: 2, Model: answer.Model{First: 2 * time.Second, Pace: time.Second, Words: 1}}, q, "the last message is the question")
}

// TestVendorFailsAsTheModelSays and never calls it done, for what a caller can
// see at once.
func TestVendorFailsAsTheModelSays(t *testing.T) {
	for fails, want := range map[string]struct {
		status int
		text   string // in what was said
	}{
		"status-429": {http.StatusTooManyRequests, "as asked: 429"},
		"too-long":   {http.StatusBadRequest, "context_length_exceeded"},
		"html":       {http.StatusOK, "<!doctype html>"},
		"half-frame": {http.StatusOK, `{"con`},
		"error":      {http.StatusOK, "overloaded inside the stream"},
		"filter":     {http.StatusOK, "content_filter"},
		"bad-utf8":   {http.StatusOK, "\xff\xfe"},
		"cut":        {http.StatusOK, "q5.1"},
	} {
		require.True(t, Known(answer.Model{Fails: fails}), fails)
		v := startVendor(t)
		q := answer.Question{N: 5, Model: answer.Model{Fails: fails, Words: 4}}
		resp := askVendor(t.Context(), t, v, "key-1", q.String(), q.Model.String())
		require.Equal(t, want.status, resp.StatusCode, fails)
		said, _ := io.ReadAll(resp.Body) // a cut one ends in an error
		require.Contains(t, string(said), want.text, fails)
		require.False(t, v.settled(t)[0].Done, fails)
	}
	require.False(t, Known(answer.Model{Fails: "sneeze"}))
}

func TestVendorTellsWhomItPoisons(t *testing.T) {
	v := startVendor(t)
	told := make(chan string, 1)
	ctx, leave := context.WithCancel(t.Context())
	v.OnPoison(func(worker string) {
		told <- worker
		leave()
	})
	data := `{"model":"poison-echo-1ms-1w","messages":[{"content":"q1.0"}]}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.BaseURL("worker-2")+"/chat/completions", strings.NewReader(data))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer key-1")
	_, err = (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "worker-2", <-told)
}
