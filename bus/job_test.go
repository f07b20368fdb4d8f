package bus

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestAppendJob: any job reads the same as when encoding/json had written it.
func TestAppendJob(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		some := rapid.SliceOfN(rapid.Byte(), 0, 40)
		j := &Job{
			Job: rapid.StringMatching(`[A-Z2-7]{1,26}`).Draw(t, "job"), Gateway: rapid.StringMatching(`[A-Z2-7]{12}`).Draw(t, "gateway"),
			To: rapid.Uint64().Draw(t, "to"), Session: text.Draw(t, "session"),
			Name: text.Draw(t, "name"), Product: text.Draw(t, "product"), Provider: text.Draw(t, "provider"),
			Model: text.Draw(t, "model"), System: text.Draw(t, "system"),
			MaxTokens: rapid.Int().Draw(t, "max_tokens"), OnDisconnect: text.Draw(t, "on_disconnect"),
			NeedsKey: rapid.Bool().Draw(t, "needs_key"), Reasoning: rapid.Bool().Draw(t, "reasoning"), Movable: rapid.Bool().Draw(t, "movable"),
			Sent: rapid.Int64().Draw(t, "sent"), Deadline: rapid.Int64().Draw(t, "deadline"),
		}
		if b := some.Draw(t, "client_key"); len(b) > 0 {
			j.ClientKey = b
		}
		if b := some.Draw(t, "content"); len(b) > 0 {
			j.Content = b
		}
		if a := rapid.SliceOf(text).Draw(t, "avoid"); len(a) > 0 {
			j.Avoid = a
		}
		if rapid.Bool().Draw(t, "warm") {
			v := rapid.Float64Range(-1e300, 1e300).Draw(t, "temperature")
			j.Temperature = &v
		}
		messages, err := json.Marshal([]map[string]string{{"role": "user", "content": text.Draw(t, "question")}})
		require.NoError(t, err)
		j.Messages = messages

		plain, err := encode(j)
		require.NoError(t, err)
		var want, got Job
		require.NoError(t, json.Unmarshal(plain, &want))
		require.NoError(t, json.Unmarshal(appendJob(nil, j), &got))
		require.Equal(t, want, got)
	})
}

func BenchmarkAppendJob(b *testing.B) {
	j := &Job{
		Job: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Gateway: "ABCDEFGHIJKL", To: 12345, Session: "session-1", Provider: "echo", Model: "echo-20ms",
		Messages: json.RawMessage(`[{"role":"user","content":"Where do actors wait for their cue and who tells them"}]`), OnDisconnect: "grace",
		Sent: 1790000000000, Deadline: 1790000000500,
	}
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = appendJob(nil, j)
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := encode(j); err != nil {
				b.Fatal(err)
			}
		}
	})
}
