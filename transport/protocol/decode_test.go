package protocol

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const clientSecret = "client-made-secret-0123456789"

func TestDecodeChat(t *testing.T) {
	hot := 0.7
	zero := 0.0
	full := &Chat{
		ID: "turn 1 é", Content: " Hello \"AI\"\n", Provider: "openai", Model: "gpt-4.1",
		Keys:      map[string]Secret{"openai": NewSecret([]byte("sk-1")), "gemini": NewSecret([]byte("g/2"))},
		ClientKey: sha256.Sum256([]byte(clientSecret)), Repeat: true,
		Messages:    []Message{{RoleSystem, "be brief"}, {RoleUser, "Hi"}, {RoleAssistant, ""}},
		HasMessages: true, System: "You are helpful.", Temperature: &hot, MaxTokens: 100, OnDisconnect: OnDisconnectGrace,
	}
	for _, test := range []struct {
		name, data string
		want       *Chat
	}{
		{"the least", `{"type":"chat","content":"Hello AI"}`, &Chat{Content: "Hello AI"}},
		{"everything", ` {"type":"chat","id":"turn 1 \u00e9","content":" Hello \"AI\"\n","provider":"openai","model":"gpt-4.1",
			"api_keys":{"openai":"sk-1","gemini":" g\/2\n","none":null,"empty":""},"client_key":"` + clientSecret + `","repeat":true,
			"messages":[{"role":"system","content":"be brief"},{"content":"Hi","role":"user","name":[{}]} , {"role":"assistant","content":""}],
			"system":"You are helpful.","temperature":7e-1,"max_tokens":100,"on_disconnect":"grace","unknown":{"deep":[1,{"type":"x"}]}} `, full},
		{"null is not sent", `{"type":"chat","content":"x","id":null,"provider":null,"model":null,"api_keys":null,"client_key":null,"repeat":null,
			"messages":null,"system":null,"temperature":null,"max_tokens":null,"on_disconnect":null}`, &Chat{Content: "x"}},
		{"no earlier turns", `{"type":"chat","content":"x","messages":[ ]}`, &Chat{Content: "x", HasMessages: true}},
		{"empty words", `{"type":"chat","content":"x","id":"","on_disconnect":"","provider":"","api_keys":{}}`, &Chat{Content: "x"}},
		{"cold", `{"type":"chat","content":"x","temperature":-0.0}`, &Chat{Content: "x", Temperature: &zero}},
		{"the last of two counts", `{"type":"ping","content":5,"content":"b","type":"chat"}`, &Chat{Content: "b"}},
		{"names may be escaped", `{"\u0074ype":"ch\u0061t","cont\u0065nt":"x"}`, &Chat{Content: "x"}},
		{"case is not folded", `{"type":"chat","content":"x","Content":"y","API_KEYS":{"openai":"k"}}`, &Chat{Content: "x"}},
		{"NUL and half a pair", `{"type":"chat","content":"a\u0000\ud83db\ud83d\ude00"}`, &Chat{Content: "a\x00\ufffdb😀"}},
		{"not UTF-8", "{\"type\":\"chat\",\"content\":\"a\xffb\"}", &Chat{Content: "a\ufffdb"}},
		{"brackets in strings", `{"type":"chat","content":"` + strings.Repeat(`[{\"`, 50) + `"}`, &Chat{Content: strings.Repeat(`[{"`, 50)}},
		{"two keys of one name", `{"type":"chat","content":"x","api_keys":{"a":"1","a":"2","b":"3","b":null}}`, &Chat{Content: "x", Keys: map[string]Secret{"a": NewSecret([]byte("2"))}}},
		{"64 characters, not bytes", `{"type":"chat","content":"x","id":"` + strings.Repeat("日", 64) + `"}`, &Chat{Content: "x", ID: strings.Repeat("日", 64)}},
		{"fields of other types", `{"type":"chat","content":"x","after":"?","run_id":7,"session_id":[]}`, &Chat{Content: "x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			data := []byte(test.data)
			got := Decode(data, Bounds{})
			clear(data) // the result shares nothing with it
			require.Equal(t, test.want, got)
		})
	}
}

func TestDecodeOtherRequests(t *testing.T) {
	hash := ClientKey(sha256.Sum256([]byte(clientSecret)))
	for _, test := range []struct {
		data string
		want Request
	}{
		{`{"type":"ping"}`, &Ping{}},
		{`{"type":"ping","content":5,"id":[]}`, &Ping{}},
		{`{"type":"cancel"}`, &Cancel{}},
		{`{"type":"cancel","id":"1"}`, &Cancel{ID: "1"}},
		{`{"type":"stop","run_id":"w.abc"}`, &Cancel{RunID: "w.abc"}},
		{`{"type":"cancel","id":"1","client_key":"` + clientSecret + `"}`, &Cancel{ID: "1", ClientKey: hash}},
		{`{"type":"resume","run_id":"r","after":12}`, &Resume{RunID: "r", After: 12}},
		{`{"type":"resume","run_id":"r","id":"2"}`, &Resume{RunID: "r", ID: "2"}},
		{`{"type":"resume","run_id":"r","after":18446744073709551615}`, &Resume{RunID: "r", After: 1<<64 - 1}},
		{`{"type":"resume","id":"1","client_key":"` + clientSecret + `"}`, &Resume{ID: "1", ClientKey: hash}},
	} {
		require.Equal(t, test.want, Decode([]byte(test.data), Bounds{}), test.data)
	}
}

// The error of a cancel or a resume ends no turn, and says so also where only
// its type could be understood.
func TestDecodeBadSaysWhatItAnswers(t *testing.T) {
	for data, want := range map[string]string{
		`{"type":"cancel","id":1}`:                     ForCancel,
		`{"type":"stop","run_id":[]}`:                  ForCancel,
		`{"type":"resume"}`:                            ForResume,
		`{"type":"resume","run_id":"r","after":-1}`:    ForResume,
		`{"type":"resume","id":"1","client_key":"ab"}`: ForResume,
		`{"type":"chat","id":"1"}`:                     "",
		`{"type":"later"}`:                             "",
		`{`:                                            "",
	} {
		bad, ok := Decode([]byte(data), Bounds{}).(*Bad)
		require.True(t, ok, data)
		require.Equal(t, want, bad.For, data)
	}
}

func TestDecodeBad(t *testing.T) {
	chat := func(members string) string { return `{"type":"chat","id":"t1","content":"x",` + members + `}` }
	for _, test := range []struct {
		data string
		id   string
		says string // what the message must name
	}{
		{``, "", "valid JSON"},
		{` `, "", "valid JSON"},
		{"\x00", "", "valid JSON"},
		{`{"type":"chat","content":"x"`, "", "breaks at byte 28 of 28"},
		{`{"type":"chat","content":"x"}}`, "", "breaks at byte 30 of 30"},
		{`{"type":"chat"} {"type":"chat"}`, "", "valid JSON"},
		{`{'type':'chat'}`, "", "valid JSON"},
		{"{\"type\":\"chat\",\"content\":\"a\x00b\"}", "", "valid JSON"},
		{`{"type":"chat","content":"\x"}`, "", "valid JSON"},
		{`{"type":"chat","content":"x","temperature":NaN}`, "", "valid JSON"},
		{"\ufeff{\"type\":\"ping\"}", "", "valid JSON"},
		{`[{"type":"chat"}]`, "", "must be a JSON object"},
		{`"chat"`, "", "must be a JSON object"},
		{`null`, "", "must be a JSON object"},
		{`17`, "", "must be a JSON object"},
		{`{}`, "", "type is missing"},
		{`{"type":null}`, "", "type is missing"},
		{`{"type":""}`, "", "type is missing"},
		{`{"type":5}`, "", "type must be a string"},
		{`{"type":["chat"]}`, "", "type must be a string"},
		{`{"Type":"chat"}`, "", "type is missing"},

		{`{"type":"chat","id":"t1"}`, "t1", "content is missing or blank"},
		{`{"type":"chat","id":"t1","content":""}`, "t1", "content is missing or blank"},
		{`{"type":"chat","id":"t1","content":" \n\t\u00a0\u3000"}`, "t1", "content is missing or blank"},
		{`{"type":"chat","id":"t1","content":null}`, "t1", "content is missing or blank"},
		{`{"type":"chat","id":"t1","content":7}`, "t1", "content must be a string"},
		{`{"type":"chat","id":"t1","content":["a"]}`, "t1", "content must be a string"},
		{`{"type":"chat","id":1,"content":"x"}`, "", "id must be a string"},
		{`{"type":"chat","id":"` + strings.Repeat("a", 65) + `","content":"x"}`, "", "at most 64 characters"},
		{chat(`"provider":{}`), "t1", "provider must be a string"},
		{chat(`"model":true`), "t1", "model must be a string"},
		{chat(`"system":[]`), "t1", "system must be a string"},
		{chat(`"repeat":"true"`), "t1", "repeat must be true or false"},
		{chat(`"temperature":"hot"`), "t1", "temperature must be a number"},
		{chat(`"temperature":-0.1`), "t1", "temperature must be a number, 0 or above"},
		{chat(`"temperature":1e400`), "t1", "temperature must be a number"},
		{chat(`"temperature":[1]`), "t1", "temperature must be a number"},
		{chat(`"max_tokens":0`), "t1", "max_tokens must be a whole number from 1"},
		{chat(`"max_tokens":-1`), "t1", "max_tokens must be a whole number"},
		{chat(`"max_tokens":1.5`), "t1", "max_tokens must be a whole number"},
		{chat(`"max_tokens":"9"`), "t1", "max_tokens must be a whole number"},
		{chat(`"max_tokens":1` + strings.Repeat("0", 999)), "t1", "max_tokens must be a whole number"},
		{chat(`"on_disconnect":"stay"`), "t1", "cancel, grace or continue"},
		{chat(`"on_disconnect":1`), "t1", "on_disconnect must be a string"},
		{chat(`"client_key":"123456789012345678901"`), "t1", "client_key must have at least 22 characters"},
		{chat(`"client_key":""`), "t1", "client_key must have at least 22 characters"},
		{chat(`"client_key":22`), "t1", "client_key must be a string"},
		{chat(`"messages":{}`), "t1", "messages must be an array"},
		{chat(`"messages":"[]"`), "t1", "messages must be an array"},
		{chat(`"messages":[{"role":"user","content":"a"},"b"]`), "t1", "messages[1] must be an object"},
		{chat(`"messages":[null]`), "t1", "messages[0] must be an object"},
		{chat(`"messages":[{"role":"user"}]`), "t1", "messages[0].content is missing"},
		{chat(`"messages":[{"role":"user","content":[]}]`), "t1", "messages[0].content must be a string"},
		{chat(`"messages":[{"content":"a"}]`), "t1", "messages[0].role must be user, assistant or system"},
		{chat(`"messages":[{"role":"User","content":"a"}]`), "t1", "messages[0].role must be user, assistant or system"},
		{chat(`"messages":[{"role":3,"content":"a"}]`), "t1", "messages[0].role must be a string"},
		{chat(`"messages":[` + strings.Repeat(`{"role":"user","content":"a"},`, 256) + `{}]`), "t1", "at most 256 entries"},
		{chat(`"api_keys":["k"]`), "t1", "api_keys must be an object"},
		{chat(`"api_keys":"k"`), "t1", "api_keys must be an object"},
		{chat(`"api_keys":{"openai":7}`), "t1", "each key in api_keys must be a string"},
		{chat(`"api_keys":{"openai":{"key":"k"}}`), "t1", "each key in api_keys must be a string"},
		{chat(`"api_keys":{"openai":"a\nb"}`), "t1", "printable ASCII"},
		{chat(`"api_keys":{"openai":"ключ"}`), "t1", "printable ASCII"},
		{chat(`"api_keys":{"openai":"` + strings.Repeat("k", 8193) + `"}`), "t1", "at most 8192 bytes"},

		// An error with id would end a turn; these only answer a request.
		{`{"type":"cancel","id":["1"]}`, "", "id must be a string"},
		{`{"type":"cancel","id":"1","run_id":5}`, "", "run_id must be a string"},
		{`{"type":"resume","id":"1"}`, "", "run_id is missing"},
		{`{"type":"resume","id":"1","run_id":"r","after":-1}`, "", "after must be"},
		{`{"type":"resume","run_id":"r","after":1.5}`, "", "after must be"},
		{`{"type":"resume","run_id":"r","after":"1"}`, "", "after must be"},
		{`{"type":"resume","run_id":"r","after":18446744073709551616}`, "", "after must be"},
	} {
		bad, ok := Decode([]byte(test.data), Bounds{}).(*Bad)
		require.True(t, ok, "%.200s", test.data)
		require.Equal(t, InvalidMessage, bad.Err.Code, "%.200s", test.data)
		require.Contains(t, bad.Err.Message, test.says, "%.200s", test.data)
		require.Equal(t, test.id, bad.ID, "%.200s", test.data)
		require.NoError(t, bad.Err.Err)
	}
}

func TestDecodeUnsupportedType(t *testing.T) {
	for _, test := range []struct{ word, shown string }{
		{"hello", `"hello"`},
		{"Chat", `"Chat"`},
		{"complete", `"complete"`},
		{`a\"b\n\u001b[31m`, `"a\"b\n\x1b[31m"`},
		{strings.Repeat("я", 41), `"` + strings.Repeat("я", 40) + `…"`},
		{strings.Repeat("я", 40), `"` + strings.Repeat("я", 40) + `"`},
	} {
		bad, ok := Decode([]byte(`{"type":"`+test.word+`","id":"1","content":"x"}`), Bounds{}).(*Bad)
		require.True(t, ok)
		require.Equal(t, "", bad.ID)
		require.Equal(t, NewError(UnsupportedType, "type "+test.shown+" is not known; send chat, cancel, stop, resume or ping", 0), bad.Err)
	}
}

func TestDecodeDepth(t *testing.T) {
	nested := func(depth int) []byte { // the message itself is 1
		return []byte(`{"type":"chat","content":"x","any":` + strings.Repeat(`[`, depth-1) + strings.Repeat(`]`, depth-1) + `}`)
	}
	require.IsType(t, &Chat{}, Decode(nested(32), Bounds{}))
	for _, data := range [][]byte{
		nested(33), nested(100_000), bytes.Repeat([]byte(`[`), 1<<20), bytes.Repeat([]byte(`{"a":`), 1<<18),
	} {
		bad, ok := Decode(data, Bounds{}).(*Bad)
		require.True(t, ok)
		require.Contains(t, bad.Err.Message, "the 32 levels")
	}
	require.IsType(t, &Bad{}, Decode(nested(4), Bounds{MaxDepth: 3}))
}

func TestDecodeBounds(t *testing.T) {
	b := Bounds{MaxContent: 5, MaxMessages: 1, MaxID: 2, MaxKey: 3, MinClientKey: 4}
	require.IsType(t, &Chat{}, Decode([]byte(`{"type":"chat","content":"12345","id":"ab","api_keys":{"a":"123"},"client_key":"1234","messages":[{"role":"user","content":"x"}]}`), b))
	for _, test := range []struct{ data, says string }{
		{`"content":"123456"`, "content must have at most 5 bytes"},
		{`"content":"x","id":"abc"`, "id must have at most 2 characters"},
		{`"content":"x","api_keys":{"a":"1234"}`, "at most 3 bytes"},
		{`"content":"x","client_key":"123"`, "at least 4 characters"},
		{`"content":"x","messages":[{"role":"user","content":"x"},{"role":"user","content":"x"}]`, "at most 1 entries"},
	} {
		bad, ok := Decode([]byte(`{"type":"chat",`+test.data+`}`), b).(*Bad)
		require.True(t, ok, test.data)
		require.Contains(t, bad.Err.Message, test.says)
	}
	require.Equal(t, DefaultBounds(), Bounds{}.orDefault())
	require.Equal(t, Bounds{MaxMessages: 256, MaxDepth: 32, MaxID: 64, MaxKey: 8192, MinClientKey: 22}, DefaultBounds())
}

// A key in the right place, in wrong ones, and in broken JSON: no error shows it.
func TestDecodeErrorsHideKeys(t *testing.T) {
	const key = "sk-canary-7f3a9Q"
	long := key + strings.Repeat("k", 9000)
	for _, data := range []string{
		`{"type":"chat","content":"x","api_keys":"` + key + `"}`,
		`{"type":"chat","content":"x","api_keys":["` + key + `"]}`,
		`{"type":"chat","content":"x","api_keys":{"openai":["` + key + `"]}}`,
		`{"type":"chat","content":"x","api_keys":{"openai":{"key":"` + key + `"}}}`,
		`{"type":"chat","content":"x","api_keys":{"` + key + `":7}}`,
		`{"type":"chat","content":"x","api_keys":{"` + key + `":"a\n"},"api_keys":{"` + key + `":1}}`,
		`{"type":"chat","content":"x","api_keys":{"openai":"` + long + `"}}`,
		`{"type":"chat","content":"x","api_keys":{"openai":"` + key + `\u0007"}}`,
		`{"type":"chat","content":"x","api_keys":{"openai":"` + key,
		`{"type":"chat","content":"x","api_keys":{"openai":"` + key + `"}`,
		`{"type":"chat","content":"x","api_keys":{"openai":` + key + `}}`,
		`{"type":"chat","content":"x","api_keys":{"openai":"` + key + `","gemini":5}}`,
		`{"type":"chat","content":"x","temperature":"` + key + `"}`,
		`{"type":"chat","content":"x","max_tokens":"` + key + `"}`,
		`{"type":"chat","content":"x","on_disconnect":"` + key + `"}`,
		`{"type":"chat","content":"x","client_key":"` + key + `"}`,
		`{"type":"chat","content":"x","messages":[{"role":"` + key + `","content":"x"}]}`,
		`{"type":"chat","content":"x","messages":["` + key + `"]}`,
		`{"type":"chat","api_keys":{"openai":"` + key + `"}}`,
		`{"type":"chat","content":{"k":"` + key + `"}}`,
		`{"type":"resume","after":"` + key + `"}`,
		`{"` + key + `":1}`,
		`"` + key + `"`,
		key,
	} {
		bad, ok := Decode([]byte(data), Bounds{}).(*Bad)
		require.True(t, ok, data)
		for _, out := range []string{bad.Err.Error(), fmt.Sprintf("%+v %#v %v", bad, bad.Err, bad.Err)} {
			require.NotContains(t, out, "canary", data)
		}
		_, _, _, err := DecodeHTTPChat([]byte(data), Bounds{})
		if err != nil {
			require.NotContains(t, err.Error(), "canary", data)
		}
	}
}

// One bad key spoils them all.
func TestDecodeHandsOutNoKeyOfABadMessage(t *testing.T) {
	r := reader{bounds: DefaultBounds()}
	require.Nil(t, r.keys([]byte(`{"a":"one","b":7}`)))
	require.Error(t, r.err)

	r = reader{bounds: Bounds{MaxKey: 2}}
	secret := r.key([]byte(`"one"`))
	require.True(t, secret.Empty())
	require.Error(t, r.err)
	require.Nil(t, r.keys([]byte(`{"a":"x"}`)), "after an error nothing more is read")
}

func TestDecodeHTTPChat(t *testing.T) {
	for _, test := range []struct {
		data             string
		session, product string
		want             *Chat
	}{
		{`{"content":"Hello"}`, "", "", &Chat{Content: "Hello"}},
		{`{"type":"chat","content":"Hello","id":"1","session_id":"s-1","product_id":"11"}`, "s-1", "11", &Chat{ID: "1", Content: "Hello"}},
		{`{"content":"Hello","session_id":"not / valid","type":null}`, "not / valid", "", &Chat{Content: "Hello"}},
		{`{"content":"Hello","api_keys":{"openai":"k"}}`, "", "", &Chat{Content: "Hello", Keys: map[string]Secret{"openai": NewSecret([]byte("k"))}}},
	} {
		chat, session, product, err := DecodeHTTPChat([]byte(test.data), Bounds{})
		require.Nil(t, err, test.data)
		require.Equal(t, test.want, chat)
		require.Equal(t, test.session, session)
		require.Equal(t, test.product, product)
	}
	for _, test := range []struct {
		data string
		code Code
		says string
	}{
		{``, InvalidMessage, "valid JSON"},
		{`[]`, InvalidMessage, "JSON object"},
		{`{}`, InvalidMessage, "content is missing"},
		{`{"type":"cancel"}`, UnsupportedType, `type "cancel" is not known here`},
		{`{"type":7,"content":"x"}`, InvalidMessage, "type must be a string"},
		{`{"content":"x","session_id":7}`, InvalidMessage, "session_id must be a string"},
		{`{"content":"x","product_id":11}`, InvalidMessage, "product_id must be a string"},
		{strings.Repeat("[", 99), InvalidMessage, "32 levels"},
	} {
		chat, session, product, err := DecodeHTTPChat([]byte(test.data), Bounds{})
		require.NotNil(t, err, test.data)
		require.Equal(t, test.code, err.Code)
		require.Contains(t, err.Message, test.says)
		require.Nil(t, chat)
		require.Empty(t, session+product)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, bb := range []struct{ name, data string }{
		{"chat/small", `{"type":"chat","content":"Hello AI","provider":"openai","model":"gpt-4.1","api_keys":{"openai":"sk-1234567890"}}`},
		{"chat/messages=100", `{"type":"chat","id":"1","messages":[` + strings.Repeat(`{"role":"user","content":"`+strings.Repeat("word ", 100)+`"},`, 99) + `{"role":"user","content":"x"}],"content":"x"}`},
		{"cancel", `{"type":"cancel","id":"1"}`},
	} {
		b.Run(bb.name, func(b *testing.B) {
			data := []byte(bb.data)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				Decode(data, Bounds{})
			}
		})
	}
}
