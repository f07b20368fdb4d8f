package actors

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// desk is a gateway that only prepares questions: no actor lives in it.
func desk(products map[string]Product) *Gateway {
	g := &Gateway{id: "g1", cfg: GatewayConfig{Chat: DefaultChat(), Runs: DefaultRuns()}, jobs: newFakeBus()}
	g.live.Store(&Live{
		DefaultProvider: "echo", Products: products,
		Providers: map[string]string{"echo": provider.TypeEcho, "vendor": provider.TypeOpenAI, "other": provider.TypeOpenAI},
	})
	return g
}

func secret(s string) protocol.Secret { return protocol.NewSecret([]byte(s)) }

func TestPrepareProduct(t *testing.T) {
	products := map[string]Product{
		"fixed":  {Provider: "vendor", Model: "m1", System: "be kind"},
		"choice": {Provider: "vendor", Model: "m1", System: "be kind", ClientChoice: true},
		"bare":   {},
	}
	type ask struct{ provider, model, system string }
	tests := []struct {
		name    string
		product string // "" = not by the customer address
		in      ask
		want    ask
	}{
		{"default", "", ask{}, ask{"echo", "", ""}},
		{"as asked", "", ask{"vendor", "m9", "sys"}, ask{"vendor", "m9", "sys"}},
		{"fixed, nothing asked", "fixed", ask{}, ask{"vendor", "m1", "be kind"}},
		{"fixed, all asked", "fixed", ask{"echo", "m9", "be rude"}, ask{"vendor", "m1", "be kind"}},
		{"choice, nothing asked", "choice", ask{}, ask{"vendor", "m1", "be kind"}},
		{"choice, all asked", "choice", ask{"echo", "m9", "be rude"}, ask{"echo", "m9", "be rude"}},
		{"choice of a model", "choice", ask{"", "m9", ""}, ask{"vendor", "m9", "be kind"}},
		{"choice of the same provider", "choice", ask{"vendor", "", ""}, ask{"vendor", "m1", "be kind"}},
		{"choice of another provider", "choice", ask{"other", "", ""}, ask{"other", "", "be kind"}},
		{"bare product", "bare", ask{"vendor", "m9", "sys"}, ask{"echo", "", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			chat := &protocol.Chat{Content: "hi", Provider: tt.in.provider, Model: tt.in.model, System: tt.in.system}
			q, refusal := desk(products).prepare(chat, &protocol.Client{Customer: tt.product != "", Product: tt.product}, &memory{})
			require.Nil(t, refusal)
			require.Equal(t, tt.want, ask{q.job.Provider, q.job.Model, q.job.System})
		})
	}
}

// TestPrepareProductGone: a socket outlives its product; what it asks then is
// refused, and not asked of whoever answers without one.
func TestPrepareProductGone(t *testing.T) {
	key := secret("sk-canary")
	chat := &protocol.Chat{Content: "hi", Keys: map[string]protocol.Secret{"echo": key}}
	_, refusal := desk(map[string]Product{"12": {}}).prepare(chat, &protocol.Client{Customer: true, Product: "11"}, &memory{})
	require.NotNil(t, refusal)
	require.Equal(t, protocol.ProductNotFound, refusal.Code)
	require.Equal(t, make([]byte, 9), key.Reveal(), "the key outlived its question")

	q, refusal := desk(nil).prepare(&protocol.Chat{Content: "hi"}, &protocol.Client{Customer: true, Product: "11"}, &memory{})
	require.Nil(t, refusal, "without a table every id is one")
	require.Equal(t, "11", q.job.Product)
}

func TestPrepareUnknownProvider(t *testing.T) {
	key := secret("sk-canary")
	chat := &protocol.Chat{Content: "hi", Provider: "nobody", Keys: map[string]protocol.Secret{"nobody": key}}
	_, refusal := desk(nil).prepare(chat, &protocol.Client{}, &memory{})
	require.NotNil(t, refusal)
	require.Equal(t, protocol.UnknownProvider, refusal.Code)
	require.Contains(t, refusal.Message, "/api/providers")
	require.Equal(t, make([]byte, 9), key.Reveal(), "the key outlived its question")
}

func TestPrepareKeys(t *testing.T) {
	keys := func() map[string]protocol.Secret {
		return map[string]protocol.Secret{"vendor": secret("sk-1"), "echo": secret("sk-2"), "other": secret("sk-3")}
	}
	t.Run("the one that is needed", func(t *testing.T) {
		all := keys()
		other := all["other"]
		chat := &protocol.Chat{Content: "hi", Provider: "vendor", Keys: all}
		q, refusal := desk(nil).prepare(chat, &protocol.Client{}, &memory{})
		require.Nil(t, refusal)
		require.True(t, q.job.NeedsKey)
		require.Equal(t, "sk-1", string(q.key.Reveal()))
		require.Equal(t, make([]byte, 4), other.Reveal())
		require.Nil(t, chat.Keys)
		job, err := json.Marshal(q.job)
		require.NoError(t, err)
		require.NotContains(t, string(job), "sk-")
	})
	t.Run("none for echo", func(t *testing.T) {
		all := keys()
		echo := all["echo"]
		q, refusal := desk(nil).prepare(&protocol.Chat{Content: "hi", Keys: all}, &protocol.Client{}, &memory{})
		require.Nil(t, refusal)
		require.False(t, q.job.NeedsKey)
		require.True(t, q.key.Empty())
		require.Equal(t, make([]byte, 4), echo.Reveal())
	})
}

func TestPrepareCaps(t *testing.T) {
	hot, mild := 9.0, 0.5
	g := desk(nil)
	g.cfg.Chat.MaxTokens, g.cfg.Chat.MaxTemperature = 100, 1.5
	q, _ := g.prepare(&protocol.Chat{Content: "hi", Temperature: &hot, MaxTokens: 101}, &protocol.Client{}, &memory{})
	require.InDelta(t, 1.5, *q.job.Temperature, 0)
	require.Equal(t, 100, q.job.MaxTokens)
	require.InDelta(t, 9.0, hot, 0, "the client's own number was written to")
	q, _ = g.prepare(&protocol.Chat{Content: "hi", Temperature: &mild}, &protocol.Client{}, &memory{})
	require.InDelta(t, 0.5, *q.job.Temperature, 0)
	require.Zero(t, q.job.MaxTokens)
	q, _ = g.prepare(&protocol.Chat{Content: "hi"}, &protocol.Client{}, &memory{})
	require.Nil(t, q.job.Temperature)
}

func TestPrepareOnDisconnect(t *testing.T) {
	for _, tt := range []struct{ id, asked, want string }{
		{"", "", protocol.OnDisconnectCancel},
		{"", protocol.OnDisconnectContinue, protocol.OnDisconnectCancel}, // nobody could come back to it
		{"1", "", protocol.OnDisconnectGrace},
		{"1", protocol.OnDisconnectContinue, protocol.OnDisconnectContinue},
		{"1", protocol.OnDisconnectCancel, protocol.OnDisconnectCancel},
	} {
		q, _ := desk(nil).prepare(&protocol.Chat{ID: tt.id, Content: "hi", OnDisconnect: tt.asked}, &protocol.Client{}, &memory{})
		require.Equal(t, tt.want, q.job.OnDisconnect, "%+v", tt)
	}
}

func TestPrepareMessages(t *testing.T) {
	user := func(s string) protocol.Message { return protocol.Message{Role: protocol.RoleUser, Content: s} }
	system := protocol.Message{Role: protocol.RoleSystem, Content: "be rude"}
	remembered := &memory{}
	remembered.add([]byte("before"), []byte("answer"), DefaultChat().Memory)
	told := []protocol.Message{user("before"), {Role: protocol.RoleAssistant, Content: "answer"}}
	tests := []struct {
		name     string
		chat     protocol.Chat
		customer bool
		closed   bool // chat.client_system is off
		want     []protocol.Message
	}{
		{"memory", protocol.Chat{}, false, false, append(told, user(`say "hi"`))},
		{"own turns instead", protocol.Chat{HasMessages: true, Messages: []protocol.Message{user("mine\n")}}, false, false, []protocol.Message{user("mine\n"), user(`say "hi"`)}},
		{"none at all", protocol.Chat{HasMessages: true}, false, false, []protocol.Message{user(`say "hi"`)}},
		{"system role", protocol.Chat{HasMessages: true, Messages: []protocol.Message{system, user("mine")}}, false, false, []protocol.Message{system, user("mine"), user(`say "hi"`)}},
		{"system role of a customer", protocol.Chat{HasMessages: true, Messages: []protocol.Message{system, user("mine")}}, true, false, []protocol.Message{user("mine"), user(`say "hi"`)}},
		{"system role where it is off", protocol.Chat{System: "s", HasMessages: true, Messages: []protocol.Message{system}}, false, true, []protocol.Message{user(`say "hi"`)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := desk(nil)
			g.cfg.Chat.ClientSystem = !tt.closed
			tt.chat.Content = `say "hi"`
			q, refusal := g.prepare(&tt.chat, &protocol.Client{Customer: tt.customer}, remembered)
			require.Nil(t, refusal)
			var got []protocol.Message
			require.NoError(t, json.Unmarshal(q.job.Messages, &got))
			require.Equal(t, tt.want, got)
			require.Empty(t, q.job.System)
		})
	}
}

// TestPrepareRoom: what is remembered gives way to the question; a question that
// does not fit alone is refused with the figure.
func TestPrepareRoom(t *testing.T) {
	g := desk(nil)
	g.jobs.(*fakeBus).max = 16 << 10
	bound := MemoryConfig{Turns: 100, Bytes: 1 << 20}
	var m memory
	for range 20 {
		m.add([]byte("question"), []byte(strings.Repeat("a", 1000)), bound)
	}
	for size := 1; size < 14<<10; size += 501 {
		key := secret("sk-canary")
		chat := &protocol.Chat{Content: strings.Repeat("q", size), Provider: "vendor", Keys: map[string]protocol.Secret{"vendor": key}}
		q, refusal := g.prepare(chat, &protocol.Client{}, &m)
		if refusal != nil {
			require.Greater(t, size, 12<<10-200, "refused though it fits")
			require.Equal(t, protocol.InvalidMessage, refusal.Code)
			require.Contains(t, refusal.Message, "16384")
			require.Equal(t, make([]byte, 9), key.Reveal())
			continue
		}
		require.LessOrEqual(t, len(q.job.Messages), 12<<10)
		require.Contains(t, string(q.job.Messages), chat.Content)
		if size < 1000 {
			require.Contains(t, string(q.job.Messages), "aaa", "nothing was remembered though there was room")
		}
	}
}
