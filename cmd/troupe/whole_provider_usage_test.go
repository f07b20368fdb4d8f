package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/bus/bustest"
)

// bills reads the usage records that went over a bus.
func (p *tap) bills(t *testing.T) (records []bus.UsageRecord, messages []*nats.Msg) {
	t.Helper()
	require.NoError(t, p.Flush())
	messages = p.heard(`^troupe\.v1\.usage$`)
	for _, m := range messages {
		var r bus.UsageRecord
		require.NoError(t, json.Unmarshal(m.Data, &r))
		records = append(records, r)
	}
	return records, messages
}

// Every run has one bill, however it ended, and a question that no run took has
// none. A stream that knows duplicates keeps each once.
func TestEveryRunIsBilledOnce(t *testing.T) {
	s := bustest.Server(t, bustest.Config("jetstream { store_dir: \""+filepath.ToSlash(t.TempDir())+"\" }"))
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		switch r.Model {
		case "whole":
			return providertest.Say("four ", "words ", "are ", "said")
		case "long":
			return providertest.Script{Deltas: []string{"drop "}, Repeats: 500, Pace: 10 * time.Millisecond}
		}
		return providertest.Script{Deltas: strings.SplitAfter("it breaks off somewhere", " "), NoDone: true}
	})
	trapped := &trap{}
	w := start(t, over(s, roleServe), asking(v, "sk-1"), trapped.option)
	p := tapInto(t, s.URL())
	js, err := jetstream.New(p.Conn)
	require.NoError(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "BILLS", Subjects: []string{"troupe.v1.usage"}, Duplicates: time.Minute, Storage: jetstream.MemoryStorage,
	})
	require.NoError(t, err)

	ends := map[string]said{}
	ask := func(id, model string, more map[string]any) *peer {
		c := w.dial("/ws/chat/bill-" + id)
		all := map[string]any{"id": id, "provider": "openai", "model": model, "content": "THE-QUESTION"}
		for k, v := range more {
			all[k] = v
		}
		c.send(chat(all))
		return c
	}
	_, ends["complete"] = ask("complete", "whole", nil).answer()
	_, ends["users"] = ask("users", "whole", map[string]any{"api_keys": map[string]string{"openai": "sk-of-a-user"}}).answer()
	_, ends["error"] = ask("error", "breaks", nil).answer()
	c := ask("cancelled", "long", nil)
	for c.next().Type != "chunk" {
	}
	c.send(`{"type":"cancel"}`)
	for ends["cancelled"] = c.next(); !ends["cancelled"].terminal(); ends["cancelled"] = c.next() {
	}
	c = ask("crashed", "long", nil)
	for c.next().Type != "chunk" {
	}
	trapped.set("run", "piece")
	_, ends["crashed"] = readOn(c)
	require.Equal(t, []string{"error", "INTERNAL"}, []string{ends["crashed"].Type, ends["crashed"].Code})
	_, last := ask("echo", "", map[string]any{"provider": "echo", "model": "echo-0s"}).answer()
	ends["echo"] = last
	require.Equal(t, "UNKNOWN_PROVIDER", ask("nobody", "", map[string]any{"provider": "nobody"}).next().Code)

	until(t, "every bill is there", func() bool { records, _ := p.bills(t); return len(records) >= len(ends) })
	records, messages := p.bills(t)
	require.Len(t, records, len(ends))
	for i, r := range records {
		end, m := ends[r.Name], messages[i]
		require.NotEmpty(t, end.Type, r.Name)
		require.Equal(t, []any{1, actors.RunHash(end.RunID), "bill-" + r.Name, w.worker.actors.ID()}, []any{r.Version, r.RunHash, r.Session, r.Worker})
		require.Equal(t, r.RunHash, m.Header.Get(nats.MsgIdHdr))
		require.Equal(t, []any{end.Type, end.Code, end.FinishReason}, []any{r.Outcome, r.Code, r.Finish}, r.Name)
		require.WithinDuration(t, time.Now(), r.Time, time.Minute)
		require.NotContains(t, string(m.Data), end.RunID, "no bill lets anybody resume")
		for _, secret := range []string{"THE-QUESTION", "drop", "words", "sk-"} {
			require.NotContains(t, string(m.Data), secret)
		}
		if end.Usage != nil {
			require.Equal(t, []any{end.Usage.InputTokens, end.Usage.OutputTokens, end.Usage.Estimated}, []any{r.InputTokens, r.OutputTokens, r.Estimated}, r.Name)
		}
		requireBill(t, r)
	}
	requireKeptOnce(t, p, stream, messages)
}

// requireBill compares what one record of TestEveryRunIsBilledOnce costs.
func requireBill(t *testing.T, r bus.UsageRecord) {
	t.Helper()
	who, key, attempts := "openai", "deployment", 1
	switch r.Name {
	case "complete", "users":
		require.Equal(t, []any{8, 4, false, len("four words are said")}, []any{r.InputTokens, r.OutputTokens, r.Estimated, r.OutputBytes})
	case "echo":
		who, key = "echo", "none"
	default:
		require.True(t, r.Estimated, r.Name)
		require.Positive(t, r.InputTokens, r.Name)
		require.Positive(t, r.OutputTokens, r.Name)
		require.Positive(t, r.OutputBytes, r.Name)
	}
	if r.Name == "users" {
		key = "user"
	}
	require.Equal(t, []any{who, key, attempts, key == "deployment"}, []any{r.Provider, r.Key, r.Attempts, r.KeyID != ""}, r.Name)
}

// requireKeptOnce says every bill again, as a bus that repeats would.
func requireKeptOnce(t *testing.T, p *tap, stream jetstream.Stream, bills []*nats.Msg) {
	t.Helper()
	for range 2 {
		for _, m := range bills {
			repeat := nats.NewMsg(m.Subject)
			repeat.Data = m.Data
			repeat.Header.Set(nats.MsgIdHdr, m.Header.Get(nats.MsgIdHdr))
			require.NoError(t, p.PublishMsg(repeat))
		}
	}
	marker := nats.NewMsg("troupe.v1.usage") // behind the repeats, and new
	marker.Header.Set(nats.MsgIdHdr, "marker")
	require.NoError(t, p.PublishMsg(marker))
	until(t, "the stream has taken all", func() bool {
		info, err := stream.Info(t.Context())
		require.NoError(t, err)
		return info.State.Msgs == uint64(len(bills))+1
	})
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, len(bills)+1, info.State.Msgs)
}

// A run that another provider answered is billed to that one, and says who was
// asked; one that nobody answered costs nothing.
func TestBillsOfAFailover(t *testing.T) {
	v := providertest.New(t, providertest.Say("by ", "the other"))
	primary := unreachable(t, "sk-1")
	down := primary
	primary.Fallback = []string{"second/spare"}
	w := start(t, wide, entries(map[string]provider.Config{
		"openai": primary, "down": down, "second": vendor(v, "sk-2"),
	}))
	p := w.tap()
	f := w.asks(nil)
	require.Equal(t, "second", f.Provider, f.Message)
	f = w.asks(map[string]any{"provider": "down", "id": "down"})
	require.Equal(t, "PROVIDER_UNAVAILABLE", f.Code)
	until(t, "the bills are there", func() bool { records, _ := p.bills(t); return len(records) >= 2 })
	records, _ := p.bills(t)
	require.Len(t, records, 2)
	answered, failed := records[0], records[1]
	require.Equal(t, []any{"second", "openai", "spare", 8, 2, false, 4}, []any{
		answered.Provider, answered.Asked, answered.Model, answered.InputTokens, answered.OutputTokens, answered.Estimated, answered.Attempts,
	})
	require.Equal(t, []any{"down", "", "error", 0, 0, false}, []any{
		failed.Provider, failed.Asked, failed.Outcome, failed.InputTokens, failed.OutputTokens, failed.Estimated,
	})
	require.Equal(t, "2", w.metric(`troupe_tokens_total{direction="output",estimated="false",provider="second"}`))
}
