package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
)

// careless is a provider that panics with what it was given.
type careless struct{}

func (careless) Stream(_ context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
	sink.Text([]byte("before "))
	panic(fmt.Sprintf("provider failed with %s", q.Key.Reveal()))
}

// leaky panics with a key in one actor of a kind.
type leaky struct {
	mu   sync.Mutex
	kind string
	as   func() any
}

func (l *leaky) set(kind string, as func() any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kind, l.as = kind, as
}

func (l *leaky) sprung() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kind == ""
}

func (l *leaky) inject(kind string, message any) {
	if strings.HasPrefix(fmt.Sprintf("%T", message), "*actor.") {
		return // the life of an actor is another test's
	}
	l.mu.Lock()
	as := l.as
	hit := l.kind == kind
	if hit {
		l.kind = ""
	}
	l.mu.Unlock()
	if hit {
		panic(as())
	}
}

// aviary is a Troupe whose vendors tell keys back in every way, over a bus that
// somebody listens to, with everything that it writes in sight.
type aviary struct {
	*sinks
	v       *providertest.Server
	garbler *garbler
	away    *elsewhere
	leaky   *leaky
	moves   map[string]echo
}

func newAviary(t *testing.T) *aviary {
	t.Helper()
	a := &aviary{away: &elsewhere{}, leaky: &leaky{}, garbler: newGarbler(t)}
	away := httptest.NewServer(a.away)
	t.Cleanup(away.Close)
	a.moves = redirects(away.URL)
	echoes := bodies()
	maps.Copy(echoes, a.moves)
	a.v = providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		if tell := echoes[r.Model]; tell != nil {
			return tell(string(r.Wire), keyOf(r))
		}
		return providertest.Say("fine")
	})
	b, scratch := newGuardedBus(t), t.TempDir()
	p := b.spied("troupe.v1.usage", "troupe.v1.beat.>", "troupe.v1.gateway.>")
	t.Setenv("TMPDIR", scratch)
	t.Chdir(scratch)
	plain := map[string]provider.Config{"careless": speaking(a.v, provider.TypeOpenAI)}
	for _, wire := range wires() {
		plain[wire] = speaking(a.v, wire)
	}
	w := start(t, b.role(roleServe), entries(plain), entries(echoing(a.v, echoes)), entries(garbling(a.garbler)),
		entries(listing(lister(t, away.URL))), func(o *appOptions) { o.Inject = a.leaky.inject })
	a.sinks = newSinks(w, p, []string{b.store, scratch})
	return a
}

// own is a question with the user's key in its right place.
func own(wire string, more map[string]any) map[string]any {
	fields := map[string]any{"provider": wire, "model": "answers", "api_keys": map[string]string{wire: canary}}
	maps.Copy(fields, more)
	return fields
}

// A key, planted wherever one can be planted, comes to light nowhere.
func TestCanary(t *testing.T) {
	a := newAviary(t)
	a.clean("at the start")
	for _, place := range []struct {
		name  string
		plant func()
	}{
		{"right field", a.rightField},
		{"wrong type", func() { a.frames3(wrongTypes) }},
		{"too long", func() { a.frames3(tooLong) }},
		{"broken JSON around it", func() { a.frames3(broken) }},
		{"unknown field", func() { a.frames3(unknownFields) }},
		{"nested", func() { a.frames3(nested) }},
		{"query", a.query},
		{"header", func() {
			a.handshakes("Authorization", "Bearer "+canary, "X-Api-Key", canary, "X-Goog-Api-Key", canary, "User-Agent", canary, "Referer", "https://x/?key="+url.QueryEscape(canary))
		}},
		{"cookie", func() { a.handshakes("Cookie", "key="+url.QueryEscape(canary)+"; plain="+canary) }},
		{"subprotocol", func() { a.handshakes("Sec-WebSocket-Protocol", "chat, "+labelled(canary)) }},
		{"upstream's error body", func() { a.echoed(a.v, bodies()); a.garbled(a.garbler); a.listed() }},
		{"upstream's redirect", func() { a.echoed(a.v, a.moves) }},
		{"panic value", a.panics},
		{"config file", a.configFile},
	} {
		place.plant()
		a.clean(place.name)
	}
	require.Empty(t, a.away.visits(), "no redirect is followed")
	for _, message := range []string{"Panic caught", "Provider failed"} {
		require.NotEmpty(t, a.front.logged(message))
	}
	require.Contains(t, a.front.log.String(), `"level":"debug"`)
	require.Contains(t, a.onTheBus(), printOf(finch), "a deployment's key has its one-way name in beats and bills")
	require.NotContains(t, a.onTheBus(), printOf(canary), "a user's has none")
	for _, c := range a.others {
		c.CloseNow() // it would be waited for
	}
	a.front.retire(5 * time.Second)
	for name, text := range map[string]string{"log": a.front.log.String(), "files": files(t, a.dirs), "goroutines": stacks(t), "bus": a.onTheBus()} {
		require.Empty(t, leaks(text), "after the end: "+name)
	}
}

func (a *aviary) rightField() {
	for _, wire := range wires() {
		a.ways(own(wire, nil))
		a.ways(own(wire, map[string]any{"provider": "echo", "model": "echo-0s"})) // somebody else's vendor
		keys := map[string]int{}
		for _, r := range a.v.Requests() {
			if string(r.Wire) == wire {
				keys[keyOf(r)]++
			}
		}
		require.Equal(a.t, map[string]int{canary: 4}, keys, "the vendor does get it")
	}
}

// frames3 sends frames that are made for each vendor.
func (a *aviary) frames3(of func(wire string) []string) {
	for _, wire := range wires() {
		for _, f := range of(wire) {
			a.says("/ws/chat/s1", f)
			a.posts(f)
		}
	}
}

// questionOf is a chat frame for a vendor, with what comes behind as it is.
func questionOf(wire, more string) string {
	return `{"type":"chat","content":"q","provider":"` + wire + `","model":"answers",` + more + `}`
}

func wrongTypes(wire string) []string {
	return []string{
		questionOf(wire, `"api_keys":"`+canary+`"`),
		questionOf(wire, `"api_keys":["`+canary+`"]`),
		questionOf(wire, `"api_keys":{"`+wire+`":["`+canary+`"]}`),
		questionOf(wire, `"api_keys":{"`+wire+`":{"key":"`+canary+`"}}`),
		questionOf(wire, `"api_keys":{"`+wire+`":" `+canary+`\n"}`),
		questionOf(wire, `"api_keys":{"`+wire+`":"`+canary+` `+canary+`"}`),
		questionOf(wire, `"api_keys":{"`+canary+`":"x"}`),
		questionOf(wire, `"id":7,"api_keys":{"`+wire+`":"`+canary+`"}`),
		questionOf(wire, `"temperature":"`+canary+`"`),
		questionOf(wire, `"max_tokens":"`+canary+`"`),
		questionOf(wire, `"messages":"`+canary+`"`),
		questionOf(wire, `"messages":[{"role":"`+canary+`","content":"x"}]`),
		questionOf(wire, `"on_disconnect":"`+canary+`"`),
		questionOf(wire, `"client_key":"`+canary[:14]+`"`),
		`{"type":"resume","run_id":"` + canary + `","client_key":"` + canary + `"}`,
		`{"type":"cancel","run_id":"` + canary + `","client_key":"` + canary + `"}`,
		`{"type":"cancel","api_keys":{"` + wire + `":"` + canary + `"}}`,
	}
}

func tooLong(wire string) []string {
	return []string{
		questionOf(wire, `"api_keys":{"`+wire+`":"`+strings.Repeat(canary, 300)+`"}`),
		questionOf(wire, `"api_keys":{"`+strings.Repeat(canary, 20)+`":"x"}`),
		questionOf(wire, `"client_key":"`+strings.Repeat(canary, 20)+`"`),
	}
}

func broken(wire string) []string {
	keys := `"api_keys":{"` + wire + `":"` + canary + `"}`
	whole := questionOf(wire, keys)
	return []string{
		questionOf(wire, keys[:len(keys)-6]), // the key's end and all that closes it is missing
		whole[:len(whole)-2], whole + whole, whole[1:],
		`{"type":"chat","content":"q","api_keys":{"` + wire + `":"` + canary,
		questionOf(wire, `"api_keys":{"`+wire+`":"`+canary+`\x"}`),
		questionOf(wire, `"api_keys":{"`+wire+`":`+canary+`}`),
		questionOf(wire, keys+","+keys),
		"\"" + canary + "\"", canary, "[" + canary, strings.Repeat("[", 40) + `"` + canary,
	}
}

func unknownFields(wire string) []string {
	return []string{
		questionOf(wire, `"api_key":"`+canary+`","key":"`+canary+`","x-api-key":"`+canary+`"`),
		questionOf(wire, `"`+canary+`":1`),
		questionOf(wire, `"api_keys":{"somebody":"`+canary+`"}`),
		questionOf(wire, `"Api_Keys":{"`+wire+`":"`+canary+`"}`),
	}
}

func nested(wire string) []string {
	return []string{
		questionOf(wire, `"extra":{"nested":{"deep":["`+canary+`"]}}`),
		questionOf(wire, `"metadata":{"api_keys":{"`+wire+`":"`+canary+`"}}`),
		questionOf(wire, `"messages":[{"role":"user","content":"x","api_keys":{"`+wire+`":"`+canary+`"}}]`),
	}
}

func (a *aviary) query() {
	escaped := url.QueryEscape(canary)
	for _, path := range []string{"/ws/chat/s1?api_key=" + escaped, "/ws/chat/customer/11/s1?token=" + escaped} {
		a.handshake(path)
	}
	for _, path := range []string{"/", "/nothing?k=" + escaped, "/api/health?k=" + escaped, "/metrics?k=" + escaped, "/api/providers?key=" + escaped} {
		status, body, h := a.front.get(path)
		if path != "/" { // the page, which is the same for all
			a.received(fmt.Sprint(status, body, h))
		}
	}
	status, body, _ := a.front.post("/api/chat?key="+escaped, `{"content":"x","model":"echo-0s"}`)
	a.received(fmt.Sprint(status, body))
	status, body, _ = a.front.post("/api/chat/"+url.PathEscape(canary)+"/cancel", `{"session_id":"s1","client_key":"`+canary+`"}`)
	a.received(fmt.Sprint(status, body))
	a.posts(`{"session_id":"s1"}`, "Last-Event-ID", canary+":1")
}

// handshakes opens sockets with a header, to be let in and not, and asks all
// other paths with it.
func (a *aviary) handshakes(header ...string) {
	for _, path := range []string{"/ws/chat/s1", "/ws/chat/customer/11/s1"} {
		a.handshake(path, header...)
	}
	for _, path := range []string{"/nothing", "/api/health", "/metrics", statusPath} {
		status, body, h := a.front.get(path, append(header, "X-Forwarded-For", canary)...)
		a.received(fmt.Sprint(status, body, h))
	}
	a.posts(`{"content":"x","model":"echo-0s"}`, header...)
	a.posts(`{"content":"x","model":"echo-0s"}`, append(header, "Content-Type", canary)...)
}

func (a *aviary) handshake(path string, header ...string) {
	c, resp, err := a.front.tryDial(path, header...)
	require.NoError(a.t, err)
	a.received(fmt.Sprint(resp.Header))
	c.send(`{"type":"chat","content":"hi","model":"echo-0s"}`)
	a.ends(c)
	c.CloseNow()
	status, body, h := a.front.get(path, header...) // no upgrade
	a.received(fmt.Sprint(status, body, h))
	_, resp, err = a.front.tryDial(path, append(header, "Origin", "https://evil.example")...)
	require.Error(a.t, err)
	a.received(fmt.Sprint(resp.Status, resp.Header))
}

// panics has actors and a provider panic with the key.
func (a *aviary) panics() {
	values := []func() any{
		func() any { return "panic with " + canary },
		func() any { return fmt.Errorf("panic with %s", canary) },
		func() any { return struct{ Key string }{canary} },
		func() any { return []byte(canary) },
	}
	for i, kind := range []string{"connection", "run", "provider", "limiter", "pool", "roster", "connections"} {
		a.leaky.set(kind, values[i%len(values)])
		until(a.t, kind, func() bool { a.provoke(); return a.leaky.sprung() })
	}
	until(a.t, "everything is back", func() bool {
		status, _, _ := a.front.post("/api/chat", `{"content":"x","model":"echo-0s"}`)
		return status == http.StatusOK
	})
	a.front.worker.actors.Reload(map[string]actors.ProviderSetup{"careless": {Provider: careless{}, State: provider.StateReady}})
	a.says("/ws/chat/s1", chat(own("careless", nil)))
	require.Contains(a.t, a.texts()["frames"], `{"type":"chunk","content":"before "}`)
}

// provoke asks a question that may end in any way.
func (a *aviary) provoke() {
	c, _, err := a.front.tryDial("/ws/chat/s1")
	if err != nil {
		return
	}
	defer c.CloseNow()
	ctx, cancel := context.WithTimeout(a.t.Context(), 2*time.Second)
	defer cancel()
	_ = c.Write(ctx, 1, []byte(chat(own(provider.TypeOpenAI, nil)))) // the reading tells
	for !a.leaky.sprung() {
		_, data, err := c.Read(ctx)
		if err != nil {
			return
		}
		a.received(string(data))
		if parse(a.t, string(data)).terminal() {
			return
		}
	}
}

// configFile has the key in the right and in every wrong place of a file.
func (a *aviary) configFile() {
	dir := a.t.TempDir()
	for name, text := range configFiles() {
		path := filepath.Join(dir, "troupe.yaml")
		require.NoError(a.t, os.WriteFile(path, []byte(text), 0o600))
		before := a.stdout.Len() + a.stderr.Len()
		if a.commands(nil, "config", "check", "--config", path) == 0 {
			require.Zero(a.t, a.commands(nil, "config", "print", "--config", path))
		}
		require.Greater(a.t, a.stdout.Len()+a.stderr.Len(), before, name)
	}
}
