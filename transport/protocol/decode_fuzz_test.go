package protocol

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// seeds are messages in which every branch of the decoder is reached.
func seeds() []string {
	return []string{
		``, `{}`, `[]`, `null`, `{"type":"ping"}`, `{"type":"stop"}`, `{"type":"nope"}`,
		`{"type":"chat","content":"Hello AI","provider":"openai","model":"gpt-4.1","api_keys":{"openai":"sk-1"}}`,
		`{"type":"chat","id":"1","content":"x","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`,
		`{"type":"chat","content":"x","temperature":1e400,"max_tokens":1e99,"repeat":true,"on_disconnect":"grace"}`,
		`{"type":"chat","content":"\ud83d\u0000\ud83d\ude00","client_key":"0123456789012345678901"}`,
		`{"type":"chat","type":"cancel","id":"1","id":null,"content":"x"}`,
		`{"\u0074ype":"chat","content":" x ","session_id":"s","product_id":"11"}`,
		`{"type":"resume","run_id":"r","after":18446744073709551616}`,
		`{"type":"chat","content":"x","api_keys":{"a":"b","a":null,"c":[[]],"d":"` + "\xff" + `"}}`,
		"{\"type\":\"chat\",\"content\":\"\xff\xc3\"}", ` { "type" : "chat" , "content" : "x" , "a" : [ 1 , { } ] } `,
		strings.Repeat("[", 40), strings.Repeat(`{"a":`, 40), `{"type":"chat","content":"x`, `{"a":"\`, `{"a`, `{"a":`, `[1,`, `"`,
	}
}

func FuzzDecode(f *testing.F) {
	for _, data := range seeds() {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sent := string(data)
		checkScanners(t, data)
		switch q := Decode(data, Bounds{}).(type) {
		case *Chat:
			checkChat(t, q, sent)
		case *Resume:
			require.LessOrEqual(t, utf8.RuneCountInString(q.ID), 64)
			require.True(t, q.RunID != "" || q.ClientKey != ClientKey{})
		case *Cancel:
			require.LessOrEqual(t, utf8.RuneCountInString(q.ID), 64)
		case *Ping:
		case *Bad:
			checkRefusal(t, q.Err)
			require.LessOrEqual(t, utf8.RuneCountInString(q.ID), 64)
		default:
			t.Fatalf("%T is no request", q)
		}
		require.Equal(t, sent, string(data), "data is only read")
	})
}

// checkScanners gives the scanners bytes that nobody found valid: they end,
// panic nowhere and stay inside.
func checkScanners(t *testing.T, data []byte) {
	t.Helper()
	steps := 0
	for name, value := range members(data) {
		steps++
		require.LessOrEqual(t, len(name)+len(value), len(data))
	}
	for value := range elements(data) {
		steps++
		require.NotEmpty(t, value)
	}
	require.LessOrEqual(t, steps, 2*len(data))
}

func FuzzDecodeHTTPChat(f *testing.F) {
	for _, data := range seeds() {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		chat, session, product, err := DecodeHTTPChat(data, Bounds{})
		if err != nil {
			checkRefusal(t, err)
			require.Nil(t, chat)
			require.Empty(t, session+product)
			return
		}
		checkChat(t, chat, string(data))
		var want struct{ Session, Product any }
		all := map[string]any{}
		require.NoError(t, json.Unmarshal(data, &all))
		want.Session, want.Product = all["session_id"], all["product_id"]
		requireText(t, want.Session, session)
		requireText(t, want.Product, product)
	})
}

// checkChat holds a decoded chat against what encoding/json reads.
func checkChat(t *testing.T, c *Chat, data string) {
	t.Helper()
	require.NotEmpty(t, strings.TrimSpace(c.Content))
	require.LessOrEqual(t, utf8.RuneCountInString(c.ID), 64)
	require.LessOrEqual(t, len(c.Messages), 256)
	require.GreaterOrEqual(t, c.MaxTokens, 0)

	all := map[string]json.RawMessage{}
	require.NoError(t, json.Unmarshal([]byte(data), &all))
	text := func(name string) (v any) {
		if raw, ok := all[name]; ok {
			require.NoError(t, json.Unmarshal(raw, &v))
		}
		return v
	}
	requireText(t, text("content"), c.Content)
	requireText(t, text("id"), c.ID)
	requireText(t, text("provider"), c.Provider)
	requireText(t, text("model"), c.Model)
	requireText(t, text("system"), c.System)
	requireText(t, text("on_disconnect"), c.OnDisconnect)
	if raw := all["messages"]; c.HasMessages {
		var want []Message
		turns := []map[string]any{}
		require.NoError(t, json.Unmarshal(raw, &turns))
		for _, turn := range turns {
			role, _ := turn["role"].(string)
			content, _ := turn["content"].(string)
			want = append(want, Message{role, content})
		}
		require.Equal(t, want, c.Messages)
	}
	for _, key := range c.Keys {
		require.False(t, key.Empty())
		require.Contains(t, string(raws(all["api_keys"])), string(key.Reveal()))
	}
}

// raws returns every string value of an object, one after the other.
func raws(object json.RawMessage) (all []byte) {
	values := map[string]any{}
	if json.Unmarshal(object, &values) == nil {
		for _, v := range values {
			s, _ := v.(string)
			all = append(append(all, s...), 0)
		}
	}
	return all
}

// checkRefusal holds what a client is told to the closed list and to a length
// that no input can stretch.
func checkRefusal(t *testing.T, e *Error) {
	t.Helper()
	require.Contains(t, []Code{InvalidMessage, UnsupportedType}, e.Code)
	require.NotEmpty(t, e.Message)
	require.Less(t, len(e.Message), 600)
	require.True(t, json.Valid(AppendHTTPError(nil, e)))
}

// requireText takes null and absence for the empty text, as the decoder does.
func requireText(t *testing.T, want any, got string) {
	t.Helper()
	if want == nil {
		want = ""
	}
	require.Equal(t, want, got)
}
