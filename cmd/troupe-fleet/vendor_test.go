package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func startVendor(t *testing.T) *vendor {
	t.Helper()
	c := &crew{}
	v, err := newVendor(c, []string{"key-1"})
	require.NoError(t, err)
	t.Cleanup(func() {
		v.close()
		c.wait()
		require.Empty(t, c.failed())
	})
	return v
}

// askVendor asks as a worker would.
func askVendor(ctx context.Context, t *testing.T, v *vendor, key, question string) *http.Response {
	t.Helper()
	data, err := json.Marshal(map[string]any{"messages": []any{map[string]any{"role": "user", "content": question}}})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.baseURL("worker-2")+"/chat/completions", strings.NewReader(string(data)))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := newHTTPClient().Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// settled waits until no call is open and returns all of them.
func (v *vendor) settled(t *testing.T) []call {
	t.Helper()
	require.Eventually(t, func() bool { open, _ := v.count(); return open == 0 }, 5*time.Second, time.Millisecond)
	calls, _ := v.take(time.Time{})
	return calls
}

func TestVendorSaysTheAnswerOfTheQuestion(t *testing.T) {
	v := startVendor(t)
	a := asked{N: 3, Chunks: 12, Pace: time.Millisecond}
	resp := askVendor(t.Context(), t, v, "key-1", a.String())
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
	require.Equal(t, a.answer(), text)
	calls := v.settled(t)
	require.Len(t, calls, 1)
	require.Equal(t, []any{3, "worker-2", "done", 12}, []any{calls[0].N, calls[0].Worker, calls[0].How, calls[0].Chunks})
}

func TestVendorNoticesWhoLeaves(t *testing.T) {
	v := startVendor(t)
	ctx, leave := context.WithCancel(t.Context())
	resp := askVendor(ctx, t, v, "key-1", asked{N: 4, Chunks: 1000, Pace: 100 * time.Millisecond}.String())
	_, err := bufio.NewReader(resp.Body).ReadString('\n')
	require.NoError(t, err)
	require.True(t, v.rests().After(time.Now()), "an open call rests when its answer is over")
	left := time.Now()
	leave()
	calls := v.settled(t)
	require.Equal(t, "closed", calls[0].How)
	require.Less(t, calls[0].End.Sub(left), time.Second)
	require.Zero(t, v.rests())
}

func TestVendorRemembersWhatIsStrange(t *testing.T) {
	for name, c := range map[string]struct{ key, question string }{
		"key":      {"somebody's", "q-1 1 1ms"},
		"question": {"key-1", "what is the weather like?"},
	} {
		t.Run(name, func(t *testing.T) {
			v := startVendor(t)
			resp := askVendor(t.Context(), t, v, c.key, c.question)
			require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
			calls, strange := v.take(time.Time{})
			require.Empty(t, calls)
			require.Len(t, strange, 1)
			require.NotContains(t, fmt.Sprint(strange), c.key)
			_, strange = v.take(time.Time{})
			require.Empty(t, strange, "told once")
		})
	}
}

func TestReadQuestion(t *testing.T) {
	for _, s := range []string{``, `{}`, `{"messages":[]}`, `[1]`, `{"messages":[{"content":"hello"}]}`} {
		_, err := readQuestion([]byte(s))
		require.Error(t, err, s)
	}
	a, err := readQuestion([]byte(`{"messages":[{"content":"q-1 1 1s"},{"content":"q-2 1 1s"}]}`))
	require.NoError(t, err)
	require.Equal(t, 2, a.N, "the last message is the question")
}
