package provider

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	faults "github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestAnthropicRequest(t *testing.T) {
	var asked []*http.Request
	var bodies []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked, bodies = append(asked, r), append(bodies, string(body))
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write(spell("\n", spoken("end_turn", "a")...))
	}))
	t.Cleanup(srv.Close)
	p := newTestAnthropic(t, Config{BaseURL: srv.URL + "/v1/", DefaultModel: "m-default"})
	half := 0.5
	q := &Question{Key: secret("sk-ant-deployment"), Call: "job.1", System: "be <brief>", Temperature: &half, MaxTokens: 7, Messages: []protocol.Message{
		{Role: protocol.RoleUser, Content: "1"}, {Role: protocol.RoleAssistant, Content: "2"}, {Role: protocol.RoleUser, Content: "3 & \u2028"},
	}}
	_, _, err := stream(t, p, q)
	require.NoError(t, err)
	_, _, err = stream(t, p, ask("x")) // a server of one's own may need no key
	require.NoError(t, err)

	require.Len(t, asked, 2)
	require.Equal(t, "POST /v1/messages", asked[0].Method+" "+asked[0].URL.String())
	require.Equal(t, "sk-ant-deployment", asked[0].Header.Get("X-Api-Key"))
	require.Equal(t, "2023-06-01", asked[0].Header.Get("Anthropic-Version"))
	require.Equal(t, "application/json", asked[0].Header.Get("Content-Type"))
	require.Equal(t, "job.1", asked[0].Header.Get(CallHeader))
	require.Empty(t, asked[0].Header.Get("Authorization"))
	require.JSONEq(t, `{"model":"m-default","max_tokens":7,"stream":true,"temperature":0.5,"system":"be <brief>","messages":[
		{"role":"user","content":"1"},{"role":"assistant","content":"2"},{"role":"user","content":"3 & \u2028"}]}`, bodies[0])
	require.Contains(t, bodies[0], "be <brief>")
	require.NotContains(t, asked[1].Header, "X-Api-Key")
	require.Equal(t, "2023-06-01", asked[1].Header.Get("Anthropic-Version"))
	require.JSONEq(t, `{"model":"m-1","max_tokens":4096,"stream":true,"messages":[{"role":"user","content":"x"}]}`, bodies[1])
}

func TestAnthropicHistory(t *testing.T) {
	type messages = []protocol.Message
	user := func(s string) protocol.Message { return protocol.Message{Role: protocol.RoleUser, Content: s} }
	assistant := func(s string) protocol.Message { return protocol.Message{Role: protocol.RoleAssistant, Content: s} }
	system := func(s string) protocol.Message { return protocol.Message{Role: protocol.RoleSystem, Content: s} }
	tests := map[string]struct {
		system  string
		history messages
		says    string // as system
		want    messages
	}{
		"alternating":           {history: messages{user("a"), assistant("b"), user("c")}, want: messages{user("a"), assistant("b"), user("c")}},
		"neighbours":            {history: messages{user("a"), user("b"), user("c"), assistant("d"), assistant("e"), user("f")}, want: messages{user("a\n\nb\n\nc"), assistant("d\n\ne"), user("f")}},
		"empty ones are gone":   {history: messages{assistant(""), user("a"), assistant(" \n\t"), user("b")}, want: messages{user("a\n\nb")}},
		"nothing at all":        {history: messages{user(""), system(" ")}, system: "\n", want: messages{}},
		"systems join in order": {system: "s1", history: messages{system("s2"), user("a"), system("s3"), user("b")}, says: "s1\n\ns2\n\ns3", want: messages{user("a\n\nb")}},
		"system without ours":   {history: messages{system("s2"), user("a")}, says: "s2", want: messages{user("a")}},
		"assistant first":       {history: messages{assistant("welcome"), assistant("friend"), user("a")}, want: messages{user("."), assistant("welcome\n\nfriend"), user("a")}},
		"space stays":           {history: messages{user(" a\n")}, want: messages{user(" a\n")}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := append(messages(nil), tt.history...)
			body, err := new(anthropic).body("m", &Question{System: tt.system, Messages: tt.history})
			require.NoError(t, err)
			var got messagesRequest
			require.NoError(t, json.Unmarshal(body, &got))
			require.Equal(t, tt.says, got.System)
			require.Equal(t, tt.want, got.Messages)
			require.Equal(t, before, tt.history, "a question is read-only")
		})
	}
}

func TestAnthropicTemperature(t *testing.T) {
	require.Nil(t, anthropicTemperature(nil))
	for asked, want := range map[float64]float64{-1: 0, 0: 0, 0.3: 0.3, 1: 1, 2: 1} {
		require.InDelta(t, want, *anthropicTemperature(&asked), 0)
	}
}

func TestAnthropicAddresses(t *testing.T) {
	for base, want := range map[string][2]string{
		"":                        {"https://api.anthropic.com/v1/messages", "https://api.anthropic.com/v1/models?limit=1000"},
		"https://x.example/a/v1/": {"https://x.example/a/v1/messages", "https://x.example/a/v1/models?limit=1000"},
	} {
		w, err := newAnthropicWire(base)
		require.NoError(t, err)
		require.Equal(t, want, [2]string{w.address("m"), w.models("")})
		require.Equal(t, strings.Replace(want[1], "?", "?after_id=a+%26+b&", 1), w.models("a & b"))
	}
	_, err := newAnthropicWire("http://%zz")
	require.Error(t, err)
}

func TestAnthropicListed(t *testing.T) {
	for page, want := range map[string]struct {
		ids  []string
		next string
	}{
		`{"data":[{"type":"model","id":"a"},{"id":"b"}],"has_more":true,"first_id":"a","last_id":"b"}`: {[]string{"a", "b"}, "b"},
		`{"data":[{"id":"c"}],"has_more":false,"first_id":"c","last_id":"c"}`:                          {[]string{"c"}, ""},
		`{"data":[],"has_more":false,"first_id":null,"last_id":null}`:                                  {nil, ""},
		`{"data":7,"has_more":"true","last_id":7}`:                                                     {[]string{""}, ""},
	} {
		ids, next := new(anthropic).listed(gjson.Parse(page))
		require.Equal(t, want.ids, ids, page)
		require.Equal(t, want.next, next, page)
	}
}

// The list comes in pages, and the key and the version go along with each.
func TestAnthropicModels(t *testing.T) {
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String()+" "+r.Header.Get("X-Api-Key")+" "+r.Header.Get("Anthropic-Version"))
		if r.URL.Query().Get("after_id") == "" {
			_, _ = io.WriteString(w, `{"data":[{"id":"c"},{"id":"a"}],"has_more":true,"last_id":"a"}`)
			return
		}
		_, _ = io.WriteString(w, `{"data":[{"id":"b"}],"has_more":false,"last_id":"b"}`)
	}))
	t.Cleanup(srv.Close)
	list := newTestAnthropic(t, Config{BaseURL: srv.URL + "/v1"}).(Lister)
	names, err := list.Models(t.Context(), secret("k"))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, names)
	require.Equal(t, []string{"GET /v1/models?limit=1000 k 2023-06-01", "GET /v1/models?after_id=a&limit=1000 k 2023-06-01"}, asked)

	faultless := providertest.New(t, providertest.Script{})
	names, err = newTestAnthropic(t, Config{BaseURL: faultless.BaseURL(faults.Anthropic)}).(Lister).Models(t.Context(), secret("k"))
	require.NoError(t, err)
	require.ElementsMatch(t, faults.Models(), names)
}

func TestAnthropicKeys(t *testing.T) {
	_, _, err := stream(t, newTestAnthropic(t, Config{}), ask("a"))
	e := requireCode(t, err, protocol.ProviderUnauthorized)
	require.Contains(t, e.Message, "api_keys.vendor")
	require.Contains(t, e.Message, "ANTHROPIC_API_KEY")
}
