package engine

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

const foreign = `
mode: generic
path: /stream/{{session}}
headers: {Authorization: Bearer token}
subprotocol: stream.v1
questions: {arrival: once, spread: 0s, text: "say \"hi\""}
generic:
  send: '{"request": "{{id}}", "who": "{{session}}", "prompt": "{{content}}"}'
  chunk: {field: event, equals: token}
  end: {field: event, equals: done}
  error: {field: error}
  text: data.text
  full: whole
  sequence: n
checks: {max_errors: 0}
`

func TestAForeignServer(t *testing.T) {
	lie := ""
	f := newFake(t, func(say func(string), q asked, _ *websocket.Conn) {
		require.Contains(t, q.Content, `say \"hi\"`)
		require.Contains(t, q.Content, `"request": "1"`)
		say(`{"event":"hello"}`)
		for i, word := range []string{"a ", "b ", "c"} {
			if i == 1 && lie == "loss" {
				continue
			}
			say(fmt.Sprintf(`{"n":%d, "event":"token", "data":{"text":%q}}`, i, word))
		}
		if lie == "error" {
			say(`{"error":{"message":"no"}}`)
			return
		}
		say(`{"event":"done","whole":"a b c"}`)
	})
	r := load(t, plan(t, foreign), f.url())
	for _, c := range r.Checks {
		require.True(t, c.OK, "%s %v", c, r.Errors)
	}
	require.Equal(t, int64(4), r.Totals.Completed)
	require.Equal(t, int64(12), r.Totals.Chunks)
	require.Equal(t, int64(4), r.Latencies[report.LatencyFirst].Count)

	lie = "loss"
	r = load(t, plan(t, foreign), f.url())
	require.False(t, check(t, r, breachLoss).OK)
	require.False(t, check(t, r, breachText).OK)

	lie = "error"
	r = load(t, plan(t, foreign), f.url())
	require.Equal(t, int64(4), r.Totals.Failed)
	require.Contains(t, r.Errors[0].Example, `"message":"no"`)
}

func TestAWholeTextIsComparedOnlyWithItsParts(t *testing.T) {
	f := newFake(t, func(say func(string), _ asked, _ *websocket.Conn) {
		say(`{"type":"token","words":"one"}`)
		say(`{"type":"done","all":"one"}`)
	})
	of := func(text string) *scenario.Scenario {
		return plan(t, `
mode: generic
questions: {arrival: once, spread: 0s}
generic: {send: "{{content}}", chunk: {field: type, equals: token}, end: {field: type, equals: done}, full: all`+text+"}\n")
	}
	require.True(t, check(t, load(t, of(""), f.url()), breachText).OK, "nobody said where the parts are")
	require.True(t, check(t, load(t, of(", text: words"), f.url()), breachText).OK)
	require.False(t, check(t, load(t, of(", text: type"), f.url()), breachText).OK)
}

func TestATextThatIsNullIsNone(t *testing.T) {
	f := newFake(t, func(say func(string), _ asked, _ *websocket.Conn) {
		say(`{"type":"token","words":null,"role":"assistant"}`)
		say(`{"type":"token","words":"one"}`)
		say(`{"type":"token","words":2}`)
		say(`{"type":"done","all":"one2"}`)
	})
	r := load(t, plan(t, `
mode: generic
questions: {arrival: once, spread: 0s}
generic: {send: "{{content}}", chunk: {field: type, equals: token}, end: {field: type, equals: done}, full: all, text: words}
`), f.url())
	require.True(t, check(t, r, breachText).OK, "%v", r.Errors)
}

func TestPlainTextOverTLS(t *testing.T) {
	f := &fake{}
	f.answer = func(say func(string), q asked, _ *websocket.Conn) {
		say("TOKEN one")
		say("TOKEN two " + strings.Repeat("x", 100_000))
		say("END of " + q.Content)
	}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.ServeHTTP))
	f.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about who does not trust it
	f.StartTLS()
	defer f.Close()
	s := plan(t, `
mode: generic
insecure_tls: true
questions: {arrival: once, spread: 0s, words: 3}
generic: {send: "ask {{content}}", chunk: {matches: "^TOKEN "}, end: {contains: "END of ask"}}
`)
	url := "wss" + strings.TrimPrefix(f.URL, "https")
	r := load(t, s, url)
	require.Equal(t, int64(4), r.Totals.Completed)
	require.Equal(t, int64(8), r.Totals.Chunks)

	s.InsecureTLS = false
	_, err := Run(t.Context(), s, Options{URL: url, Metrics: "off"})
	require.ErrorContains(t, err, "certificate")
}

func TestMatchers(t *testing.T) {
	for _, tt := range []struct {
		m    scenario.Match
		text string
		want bool
	}{
		{scenario.Match{}, "anything", false},
		{scenario.Match{Field: "a"}, `{"a":1}`, true},
		{scenario.Match{Field: "a"}, `{"a":null}`, false},
		{scenario.Match{Field: "a"}, `{"a":"null"}`, true},
		{scenario.Match{Field: "a", Equals: "1"}, `{"a":1}`, true},
		{scenario.Match{Field: "a.b", Equals: "x"}, `{"a":{"b":"x"}}`, true},
		{scenario.Match{Field: "a", Equals: "x", Contains: "y"}, `{"a":"x"}`, false},
		{scenario.Match{Matches: "^a+$"}, `aaa`, true},
	} {
		m, err := newMatcher(tt.m)
		require.NoError(t, err)
		require.Equal(t, tt.want, m.match([]byte(tt.text)), "%v %s", tt.m, tt.text)
	}
}
