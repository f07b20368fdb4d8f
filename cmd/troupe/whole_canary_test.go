package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/config"
)

// canary is a key that looks like one, with characters that every encoding
// writes differently.
const canary = "sk-canary/7+Qz9=Xw-4f2c8d1e6b?Zk"

// spellings are the canary as sinks may write it. Base64 is sought at each of
// the three places where it can begin inside a longer text, without the
// characters that its neighbours change.
func spellings(key string) map[string]string {
	all := map[string]string{
		"plain": key, "hex": hex.EncodeToString([]byte(key)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(key))),
		"query": url.QueryEscape(key), "path": url.PathEscape(key), "reversed": reversed(key),
		"head": key[:20], "tail": key[len(key)-16:], // half a key is a leak too
	}
	for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
		for shift := range 3 {
			coded := enc.EncodeToString(append(make([]byte, shift), key...))
			from := []int{0, 2, 3}[shift] // characters that hold bits of the padding
			all[fmt.Sprint(name, shift)] = coded[from : len(coded)-2]
		}
	}
	return all
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// leaks tells how a text holds the canary.
func leaks(text string) (how []string) {
	for name, spelling := range spellings(canary) {
		if strings.Contains(text, spelling) {
			how = append(how, name)
		}
	}
	return how
}

// sinks are all places where a key could come to light.
type sinks struct {
	w      *whole
	p      *tap
	mu     sync.Mutex
	frames strings.Builder // everything that a client received
}

func (s *sinks) received(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames.WriteString(text)
	s.frames.WriteByte('\n')
}

// texts reads every sink now.
func (s *sinks) texts() map[string]string {
	s.w.t.Helper()
	out := map[string]string{"log": s.w.log.String()}
	s.mu.Lock()
	out["frames"] = s.frames.String()
	s.mu.Unlock()
	for name, path := range map[string]string{
		"status": "/api/debug/websocket-status", "metrics": "/metrics", "providers": "/api/providers", "health": "/api/health",
	} {
		_, body, header := s.w.get(path)
		out[name] = fmt.Sprint(body, header)
	}
	require.NoError(s.w.t, s.p.Flush())
	var bus strings.Builder
	for _, m := range s.p.heard("") {
		fmt.Fprintln(&bus, m.Subject, m.Reply, m.Header, string(m.Data))
	}
	out["bus"] = bus.String()
	var stacks bytes.Buffer
	require.NoError(s.w.t, pprof.Lookup("goroutine").WriteTo(&stacks, 2))
	out["goroutines"] = stacks.String()
	return out
}

// clean requires that no sink holds the canary, and that each holds something.
func (s *sinks) clean() {
	s.w.t.Helper()
	for name, text := range s.texts() {
		require.NotEmpty(s.w.t, text, name)
		if how := leaks(text); len(how) > 0 {
			at := strings.Index(text, spellings(canary)[how[0]])
			s.w.t.Errorf("%s holds the canary (%v): …%s…", name, how, text[max(0, at-300):min(len(text), at+120)])
		}
	}
}

// careless is a provider that panics with what it was given.
type careless struct{}

func (careless) Stream(_ context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
	sink.Text([]byte("before "))
	panic(fmt.Sprintf("provider failed with %s", q.Key.Reveal()))
}

// leaky panics with the canary in one actor of a kind.
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

// says sends frames over a fresh socket and notes what comes back, up to one
// end for each.
func (s *sinks) says(path string, frames ...string) {
	s.w.t.Helper()
	c := s.w.dial(path)
	defer c.CloseNow()
	for _, f := range frames {
		c.send(f)
		for {
			raw := c.raw()
			s.received(raw)
			if parse(s.w.t, raw).terminal() {
				break
			}
		}
	}
}

func (s *sinks) posts(body string, header ...string) {
	s.w.t.Helper()
	status, answer, h := s.w.post("/api/chat", body, header...)
	s.received(fmt.Sprint(status, answer, h))
}

// A user's key, planted wherever one can be planted, comes to light nowhere.
func TestCanary(t *testing.T) {
	echoing := map[string]providertest.Script{
		"echo401":  {Status: 401, Body: "you sent ", EchoAuth: true},
		"json401":  {Status: 401, Body: providertest.ErrorObject("Incorrect API key provided: "+canary, "invalid_request_error", "invalid_api_key")},
		"half401":  {Status: 401, Body: strings.Repeat("x", 8<<10-10) + canary}, // the bound of an error's body cuts it
		"text500":  {Status: 500, Body: "failed for " + url.QueryEscape(canary), Header: http.Header{"X-Request-Id": {canary}}},
		"moved":    {Status: 302, Header: http.Header{"Location": {"http://127.0.0.1:1/?key=" + url.QueryEscape(canary)}}},
		"inside":   {Deltas: []string{"some "}, Error: providertest.ErrorObject("bad key "+canary, "invalid_request_error", "")},
		"cut":      {Deltas: []string{"some "}, Cut: 300},
		"garbage":  {Raw: []byte("data: {\"key\":\"" + canary + "\n\n")},
		"answers":  providertest.Say("fine"),
		"not-sse":  {Raw: []byte("{\"key\":\"" + canary + "\"}"), Header: http.Header{"Content-Type": {"application/json"}}},
		"hexed":    {Status: 400, Body: providertest.ErrorObject("key "+base64.StdEncoding.EncodeToString([]byte(canary)), "", "")},
		"filtered": {Deltas: []string{"x"}, Finish: "content_filter"},
	}
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script { return echoing[r.Model] })
	l := &leaky{}
	w := start(t, wide, asking(v), func(o *appOptions) { o.Inject = l.inject })
	s := &sinks{w: w, p: w.tap()}

	chat := func(more string) string { return `{"type":"chat","content":"q","provider":"openai",` + more + `}` }
	keys := `"api_keys":{"openai":"` + canary + `"}`
	for model := range echoing {
		for _, id := range []string{"", `"id":"n",`} {
			s.says("/ws/chat/s1", chat(id+`"model":"`+model+`",`+keys))
		}
		body := `{"content":"q","provider":"openai","model":"` + model + `",` + keys + `}`
		s.posts(body)
		s.posts(body, "Accept", "text/event-stream")
	}
	require.Contains(t, v.Requests()[0].Authorization, canary, "the vendor does get it")

	long := strings.Repeat(canary, 300)
	wrong := []string{
		chat(keys[:len(keys)-6]), // the key's end and all that closes it is missing
		chat(keys)[:len(chat(keys))-2],
		`{"type":"chat","content":"q","api_keys":{"openai":"` + canary,
		chat(`"api_keys":"` + canary + `"`),
		chat(`"api_keys":["` + canary + `"]`),
		chat(`"api_keys":{"openai":["` + canary + `"]}`),
		chat(`"api_keys":{"openai":{"key":"` + canary + `"}}`),
		chat(`"api_keys":{"openai":"` + long + `"}`),
		chat(`"api_keys":{"openai":" ` + canary + `\n"}`),
		chat(`"api_keys":{"` + canary + `":"x"}`),
		chat(`"api_keys":{"anthropic":"` + canary + `"},"model":"answers"`),
		chat(`"api_key":"` + canary + `","key":"` + canary + `","model":"answers"`),
		chat(`"extra":{"nested":{"deep":["` + canary + `"]}},"model":"answers"`),
		chat(`"temperature":"` + canary + `"`),
		chat(`"max_tokens":"` + canary + `"`),
		chat(`"messages":"` + canary + `"`),
		chat(`"messages":[{"role":"` + canary + `","content":"x"}]`),
		chat(`"on_disconnect":"` + canary + `"`),
		chat(`"client_key":"` + canary[:12] + `"`),
		chat(`"id":7,` + keys),
		`{"type":"resume","run_id":"` + canary + `","client_key":"` + canary + `"}`,
		`{"type":"cancel","run_id":"` + canary + `","client_key":"` + canary + `"}`,
		`{"type":"cancel","api_keys":{"openai":"` + canary + `"}}`,
		"\"" + canary + "\"", canary, "[" + canary,
		chat(`"provider":"echo","model":"echo-0s",` + keys),
	}
	for _, f := range wrong {
		s.says("/ws/chat/s1", f)
		s.posts(f)
	}
	s.posts(chat(keys), "Content-Type", "text/plain")
	status, body, _ := w.post("/api/chat/"+url.PathEscape(canary)+"/cancel", `{"session_id":"s1","client_key":"`+canary+`"}`)
	s.received(fmt.Sprint(status, body))
	s.posts(`{"session_id":"s1"}`, "Last-Event-ID", canary+":1")

	s.clean()
	handshakeCanaries(s)
	s.clean()
	panicCanaries(s, l, chat(`"model":"answers",`+keys))
	s.clean()
	require.NotEmpty(t, w.logged("Panic caught"))
	require.NotEmpty(t, w.logged("Provider failed"), "the debug log was on")
}

// handshakeCanaries plants the key around the handshake.
func handshakeCanaries(s *sinks) {
	escaped := url.QueryEscape(canary)
	header := []string{
		"Authorization", "Bearer " + canary, "X-Api-Key", canary, "Cookie", "key=" + escaped, "User-Agent", canary,
		"Referer", "https://x/?key=" + escaped, "Sec-WebSocket-Protocol", "chat, " + strings.NewReplacer("/", "", "=", "", "?", "").Replace(canary),
	}
	for _, path := range []string{"/ws/chat/s1?api_key=" + escaped, "/ws/chat/customer/11/s1?token=" + escaped} {
		c, resp, err := s.w.tryDial(path, header...)
		require.NoError(s.w.t, err)
		s.received(fmt.Sprint(resp.Header))
		c.send(`{"type":"chat","content":"hi","model":"echo-0s"}`)
		for {
			raw := c.raw()
			s.received(raw)
			if parse(s.w.t, raw).terminal() {
				break
			}
		}
		c.CloseNow()
		status, body, h := s.w.get(path, header...) // no upgrade
		s.received(fmt.Sprint(status, body, h))
		_, resp, err = s.w.tryDial(path, append(header, "Origin", "https://evil.example")...)
		require.Error(s.w.t, err)
		s.received(fmt.Sprint(resp.Status, resp.Header))
	}
	for _, path := range []string{"/", "/nothing?k=" + escaped, "/api/health?k=" + escaped, "/metrics?k=" + escaped} {
		status, body, h := s.w.get(path, "Authorization", "Bearer "+canary, "X-Forwarded-For", canary)
		if path != "/" {
			s.received(fmt.Sprint(status, body, h))
		}
	}
}

// panicCanaries panics with the key, in actors and in a provider.
func panicCanaries(s *sinks, l *leaky, chat string) {
	t := s.w.t
	values := []func() any{
		func() any { return "panic with " + canary },
		func() any { return fmt.Errorf("panic with %s", canary) },
		func() any { return struct{ Key string }{canary} },
		func() any { return []byte(canary) },
	}
	for i, kind := range []string{"connection", "run", "provider", "limiter", "pool", "roster", "connections"} {
		l.set(kind, values[i%len(values)])
		require.Eventually(t, func() bool {
			c, _, err := s.w.tryDial("/ws/chat/s1")
			if err != nil {
				return false
			}
			defer c.CloseNow()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_ = c.Write(ctx, 1, []byte(chat))
			for !l.sprung() {
				_, data, err := c.Read(ctx)
				if err != nil {
					break
				}
				s.received(string(data))
				if parse(t, string(data)).terminal() {
					break
				}
			}
			return l.sprung()
		}, 10*time.Second, 5*time.Millisecond, kind)
	}
	require.Eventually(t, func() bool { // everything is back
		status, _, _ := s.w.post("/api/chat", `{"content":"x","model":"echo-0s"}`)
		return status == http.StatusOK
	}, 5*time.Second, 10*time.Millisecond)

	s.w.worker.actors.Reload(map[string]actors.ProviderSetup{"openai": {Provider: careless{}, State: provider.StateReady}})
	s.says("/ws/chat/s1", chat)
	require.Contains(t, s.texts()["frames"], `{"type":"chunk","content":"before "}`)
}

// The deployment's key and the admin token, from a file, in every role of it.
func TestCanaryInTheConfiguration(t *testing.T) {
	v := providertest.New(t, providertest.Script{Status: 401, Body: "you sent ", EchoAuth: true})
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	file := write("troupe.yaml", "http: {admin_token: '"+canary+"'}\nproviders:\n  echo: {type: echo}\n  openai: {type: openai, base_url: '"+v.URL()+"', api_keys: ['"+canary+"']}\n")
	c, _, err := config.Load(config.Sources{ConfigFile: file, Args: []string{"--http.listen=127.0.0.1:0"}, Env: []string{}})
	require.NoError(t, err)
	w := start(t, func(o *appOptions) { o.Config = c; wide(o) })
	s := &sinks{w: w, p: w.tap()}
	s.says("/ws/chat/s1", `{"type":"chat","id":"n","content":"q","provider":"openai","model":"x"}`)
	require.Equal(t, "Bearer "+canary, v.Requests()[0].Authorization)
	status, body, _ := w.get("/metrics", "Authorization", "Bearer "+canary)
	require.Equal(t, http.StatusOK, status)
	s.received(body)
	status, body, _ = w.get("/metrics", "Authorization", "Bearer "+canary+"x")
	require.Equal(t, http.StatusNotFound, status)
	s.received(body)
	s.clean()

	bad := map[string]string{
		"wrong type":  "providers: {openai: {type: openai, api_keys: {key: '" + canary + "'}}}\n",
		"wrong place": "providers: {openai: {type: openai, api_keyz: ['" + canary + "']}}\n",
		"broken":      "providers: {openai: {type: openai, api_keys: ['" + canary + "}\n",
		"not a list":  "http: {admin_token: ['" + canary + "', x]}\n",
		"good":        "providers: {openai: {type: openai, api_keys: ['" + canary + "']}}\n",
	}
	for name, text := range bad {
		path := write("bad.yaml", text)
		for _, command := range []string{"check", "print"} {
			_, stdout, stderr := started(t, nil, "", "config", command, "--config", path)
			require.NotEmpty(t, stdout+stderr)
			require.Empty(t, leaks(stdout+stderr), "%s: config %s: %s%s", name, command, stdout, stderr)
		}
	}
}

// Each sink finds the canary where it is, or TestCanary is blind.
func TestCanaryIsFoundWhereItIs(t *testing.T) {
	w := start(t, wide)
	s := &sinks{w: w, p: w.tap()}
	s.received("nothing yet")
	require.Eventually(t, func() bool { return len(s.p.heard("")) > 0 }, 2*time.Second, 5*time.Millisecond)
	s.clean()

	w.app.log.Debug().Str("key", base64.URLEncoding.EncodeToString([]byte("Bearer "+canary))).Msg("planted")
	s.says("/ws/chat/s1", `{"type":"chat","content":"`+canary+`","model":"echo-0s"}`)
	planted := prometheus.NewGauge(prometheus.GaugeOpts{Name: "planted", ConstLabels: prometheus.Labels{"key": canary}})
	require.NoError(t, w.registry.Register(planted))
	message := &nats.Msg{Subject: "planted", Header: nats.Header{"Key": {hex.EncodeToString([]byte(canary))}}}
	require.NoError(t, s.p.PublishMsg(message))
	beat, err := json.Marshal(map[string]any{
		"role": "worker", "id": "PLANTED", "sent": time.Now().UnixMilli(), "capacity": 1,
		"providers": []map[string]any{{"name": canary, "type": "echo", "state": "ready"}},
	})
	require.NoError(t, err)
	until(t, "the planted worker is known", func() bool { // said again: one that was heard once is soon lost
		return s.p.Publish("troupe.v1.beat.worker.PLANTED", beat) == nil && w.gateway.actors.Health().Workers == 2
	})

	texts := s.texts()
	for _, sink := range []string{"log", "frames", "status", "metrics", "providers", "bus"} {
		require.NotEmpty(t, leaks(texts[sink]), sink)
	}
	require.Contains(t, texts["goroutines"], "TestCanaryIsFoundWhereItIs", "stacks hold no values, but they are all there")
	require.Contains(t, texts["bus"], hex.EncodeToString([]byte(canary)), "headers are looked at")

	for name, text := range map[string]string{
		"plain": canary, "base64": base64.StdEncoding.EncodeToString([]byte("x" + canary + "y")), "base64url": base64.URLEncoding.EncodeToString([]byte("xy" + canary)),
		"hex": hex.EncodeToString([]byte(canary)), "HEX": fmt.Sprintf("%X", canary), "query": url.QueryEscape(canary), "path": url.PathEscape(canary),
	} {
		require.NotEmpty(t, leaks("before "+text+" behind"), name)
	}
	require.Empty(t, leaks("sk-another-key that is no canary"))
}
