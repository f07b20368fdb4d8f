package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/actors"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/config"
)

// greedy is a question of a stranger who wants something else than the product.
func greedy() map[string]any {
	return map[string]any{
		"id": "x", "content": "q", "provider": "other", "model": "dear", "system": "STRANGER'S SYSTEM",
		"api_keys": map[string]string{"other": "sk-stranger"},
		"messages": []map[string]string{{"role": "system", "content": "STRANGER'S MESSAGE"}, {"role": "user", "content": "earlier"}},
	}
}

// On the customer address a product decides who is asked, with what. A stranger
// chooses only where the product lets them.
func TestAProductIsWhatItIs(t *testing.T) {
	house, other := providertest.New(t, providertest.Say("house")), providertest.New(t, providertest.Say("other"))
	for _, wire := range wires() {
		t.Run(wire, func(t *testing.T) {
			w := start(t, wide,
				entries(map[string]provider.Config{"house": speaking(house, wire, "sk-house"), "other": speaking(other, wire, "sk-other")}),
				with(func(c *config.Config) {
					c.DefaultProvider = "other"
					c.Products = map[string]actors.Product{
						"11": {Name: "shoes", Provider: "house", Model: "cheap", System: "sell shoes"},
						"12": {Name: "free choice", Provider: "house", Model: "cheap", System: "sell hats", ClientChoice: true},
					}
				}))
			fixed := func() { requireHouse(t, wire, house, other) }
			c := w.dial("/ws/chat/customer/11/s1")
			c.send(chat(greedy()))
			text, f := c.answer()
			require.Equal(t, []string{"house", "house", "cheap"}, []string{text, f.Provider, f.Model}, f.Message)
			fixed()
			over := greedy()
			over["product_id"] = "11"
			status, body, _ := w.post("/api/chat", chat(over))
			require.Equal(t, http.StatusOK, status, body)
			require.Equal(t, "house", parse(t, body).Provider)
			fixed()

			before := len(other.Requests())
			c = w.dial("/ws/chat/customer/12/s1")
			c.send(chat(greedy()))
			text, f = c.answer()
			require.Equal(t, []string{"other", "other", "dear"}, []string{text, f.Provider, f.Model}, f.Message)
			asked := other.Requests()[before:]
			require.Len(t, asked, 1)
			require.Equal(t, []string{"sk-stranger", "dear"}, []string{keyOf(asked[0]), asked[0].Model})
			require.Contains(t, string(asked[0].Body), "STRANGER'S SYSTEM")
			require.Contains(t, string(asked[0].Body), "STRANGER'S MESSAGE")
			require.NotContains(t, string(asked[0].Body), "sell hats")

			c.send(chat(map[string]any{"id": "y"})) // no wish: the product's
			text, f = c.answer()
			require.Equal(t, []string{"house", "house", "cheap"}, []string{text, f.Provider, f.Model}, f.Message)
			require.Contains(t, string(house.Requests()[len(house.Requests())-1].Body), "sell hats")

			c = w.dial("/ws/chat/s1") // the plain address has no product
			c.send(chat(greedy()))
			text, _ = c.answer()
			require.Equal(t, "other", text)
			bad := w.dial("/ws/chat/customer/13/s1")
			require.Equal(t, "PRODUCT_NOT_FOUND", bad.next().Code)
		})
	}
}

// requireHouse looks at the last question of the house: nothing of it is the
// stranger's but what they asked.
func requireHouse(t *testing.T, wire string, house, other *providertest.Server) {
	t.Helper()
	for _, r := range other.Requests() {
		if faulty.Wire(wire) == r.Wire {
			t.Fatalf("the other vendor was asked: %s", r.Body)
		}
	}
	all := house.Requests()
	r := all[len(all)-1]
	require.Equal(t, []any{"sk-house", "cheap"}, []any{keyOf(r), r.Model})
	body := string(r.Body)
	require.NotContains(t, body, "STRANGER")
	require.NotContains(t, body, "sk-")
	require.Contains(t, body, "earlier", "what was said before is the stranger's own")
	system := map[string]string{
		provider.TypeOpenAI: `messages.#(role=="system").content`, provider.TypeAnthropic: "system", provider.TypeGemini: "systemInstruction.parts.0.text",
	}[wire]
	require.Equal(t, "sell shoes", gjson.Get(body, system).Str, body)
}

// What a product asks for can be answered by another provider, too.
func TestAProductHasAFallback(t *testing.T) {
	v := providertest.New(t, providertest.Say("second best"))
	house := unreachable(t, "sk-house")
	house.Fallback = []string{"second/spare"}
	w := start(t, wide, entries(map[string]provider.Config{"house": house, "second": speaking(v, provider.TypeAnthropic, "sk-2")}),
		with(func(c *config.Config) {
			c.Products = map[string]actors.Product{"11": {Provider: "house", Model: "cheap", System: "sell shoes"}}
		}))
	c := w.dial("/ws/chat/customer/11/s1")
	c.send(chat(greedy()))
	text, f := c.answer()
	require.Equal(t, []string{"second best", "second", "spare"}, []string{text, f.Provider, f.Model}, f.Message)
	require.Equal(t, "sell shoes", gjson.GetBytes(v.Requests()[0].Body, "system").Str)
	require.NotContains(t, string(v.Requests()[0].Body), "STRANGER")
}
