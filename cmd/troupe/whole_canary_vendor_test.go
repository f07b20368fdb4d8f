package main

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// echo is how a vendor tells a key back.
type echo func(wire, key string) providertest.Script

// objection is an error object in a vendor's own shape that says text wherever
// it can say something.
func objection(wire, text string) string {
	switch wire {
	case provider.TypeAnthropic:
		return fmt.Sprintf(`{"type":"error","error":{"type":%[1]q,"message":"invalid x-api-key: %[2]s","code":%[1]q},"request_id":%[1]q}`, "authentication_error", text)
	case provider.TypeGemini:
		return fmt.Sprintf(`{"error":{"code":401,"message":"API key %[1]s not valid","status":"UNAUTHENTICATED %[1]s","details":[`+
			`{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":%[1]q,"domain":%[1]q,"metadata":{"key":%[1]q}},`+
			`{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":%[1]q,"description":%[1]q}]}]}}`, text)
	}
	return providertest.ErrorObject("Incorrect API key provided: "+text+".", text, text)
}

// bodies are errors that tell the key.
func bodies() map[string]echo {
	html502 := http.Header{"Content-Type": {"text/html"}}
	all := map[string]echo{
		"json401": func(wire, key string) providertest.Script {
			return providertest.Script{Status: 401, Body: objection(wire, key), Header: http.Header{"Content-Type": {"application/json"}}}
		},
		"json500": func(wire, key string) providertest.Script {
			return providertest.Script{Status: 500, Body: objection(wire, key)}
		},
		"json200": func(wire, key string) providertest.Script {
			return providertest.Script{Raw: []byte(objection(wire, key)), Header: http.Header{"Content-Type": {"application/json"}}}
		},
		"echo403": func(string, string) providertest.Script {
			return providertest.Script{Status: 403, Body: "you sent ", EchoAuth: true}
		},
		"page502": func(_, key string) providertest.Script {
			return providertest.Script{Status: 502, Header: html502, Body: "<h1>" + html.EscapeString(key) + "</h1><!-- " + key + " -->"}
		},
		"cut400": func(_, key string) providertest.Script { // the bound of an error's body goes through the key
			return providertest.Script{Status: 400, Body: strings.Repeat("x", 8<<10-10) + key}
		},
		"header500": func(_, key string) providertest.Script {
			return providertest.Script{Status: 500, Body: "failed", Header: http.Header{
				"X-Request-Id": {key}, "Request-Id": {"for " + key}, "Www-Authenticate": {"Bearer " + key}, "Set-Cookie": {"k=" + key}, "Retry-After": {key}, "X-" + labelled(key): {key},
			}}
		},
		"inside": func(wire, key string) providertest.Script {
			return providertest.Script{Deltas: []string{"some "}, Error: objection(wire, key)}
		},
		"behind": func(wire, key string) providertest.Script { // outside of any event
			s := providertest.Script{Deltas: []string{"some "}, NoDone: true}
			s.Raw = append(s.StreamOn(faulty.Wire(wire), "m"), objection(wire, key)...)
			return s
		},
		"garbage": func(_, key string) providertest.Script {
			return providertest.Script{Raw: []byte("data: {\"key\":\"" + key + "\n\n")}
		},
	}
	for name, spelt := range map[string]func(string) string{
		"base64":    func(k string) string { return base64.StdEncoding.EncodeToString([]byte(k)) },
		"basic":     func(k string) string { return base64.StdEncoding.EncodeToString([]byte("user:" + k)) },
		"base64url": func(k string) string { return base64.RawURLEncoding.EncodeToString([]byte("Bearer " + k)) },
		"hex":       func(k string) string { return hex.EncodeToString([]byte(k)) },
		"large-hex": func(k string) string { return fmt.Sprintf("%X", k) },
		"query":     url.QueryEscape,
		"path":      url.PathEscape,
		"small": func(k string) string {
			return strings.NewReplacer("%2F", "%2f", "%2B", "%2b", "%3D", "%3d", "%3F", "%3f").Replace(url.QueryEscape(k))
		},
		"page":    func(k string) string { return strings.ReplaceAll(html.EscapeString(k), "+", "&#43;") },
		"slashes": func(k string) string { return strings.ReplaceAll(k, "/", `\/`) },
		"json":    func(k string) string { return strings.ReplaceAll(k, "&", `\u0026`) },
	} {
		all["as-"+name] = func(_, key string) providertest.Script {
			return providertest.Script{Status: 400, Body: "key " + spelt(key) + " is not known"}
		}
	}
	return all
}

// redirects are answers that want the question, and the key, to go elsewhere.
func redirects(away string) map[string]echo {
	all := map[string]echo{}
	for _, status := range []int{302, 307, 308} {
		all[fmt.Sprint("moved", status)] = func(wire, key string) providertest.Script {
			return providertest.Script{Status: status, Body: objection(wire, key), Header: http.Header{"Location": {away + "/" + url.PathEscape(key) + "?key=" + url.QueryEscape(key)}}}
		}
	}
	return all
}

// houseKeys are deployment keys, of which each holds the finch.
func houseKeys() []string { return []string{finch, "2nd-" + finch} }

// echoing is a vendor for each wire and echo, once for users' keys and once for
// the deployment's: so that none rests for what another did.
func echoing(v *providertest.Server, echoes map[string]echo) map[string]provider.Config {
	all := map[string]provider.Config{}
	for _, wire := range wires() {
		for name := range echoes {
			all[wire+"-"+name] = speaking(v, wire)
			if !userOnly(name) {
				house := speaking(v, wire, houseKeys()...)
				house.APIKeyWeights = []int{1, 3}
				all[wire+"-"+name+"-d"] = house
			}
		}
	}
	return all
}

// userOnly are the echoes that need no second look: those of one more spelling.
func userOnly(name string) bool { return strings.HasPrefix(name, "as-") }

// asks sends a question over a socket of its own.
func (s *sinks) asks(fields map[string]any) *peer {
	s.t.Helper()
	c := s.front.dial("/ws/chat/s1")
	c.send(chat(fields))
	return c
}

// fail reads to the end of all, which are errors.
func (s *sinks) fail(all []*peer) {
	s.t.Helper()
	for _, c := range all {
		require.Equal(s.t, "error", s.ends(c).Type)
		c.CloseNow()
	}
}

// echoed asks each vendor for its echo, at once.
func (s *sinks) echoed(v *providertest.Server, echoes map[string]echo) {
	s.t.Helper()
	var all []*peer
	for _, wire := range wires() {
		for model := range echoes {
			name := wire + "-" + model
			all = append(all, s.asks(own(name, map[string]any{"model": model, "id": "n"})))
			if !userOnly(model) {
				all = append(all, s.asks(map[string]any{"provider": name + "-d", "model": model}))
			}
		}
	}
	s.fail(all)
	came := map[string]bool{}
	for _, r := range v.Requests() {
		came[fmt.Sprint(r.Wire, " ", r.Model, " ", keyOf(r))] = true
		for name, values := range r.Header {
			if !slices.Contains([]string{"Authorization", "X-Api-Key", "X-Goog-Api-Key"}, name) {
				require.Empty(s.t, leaks(fmt.Sprint(name, values)), "a key goes in one header")
			}
		}
		require.Empty(s.t, leaks(r.Path+string(r.Body)), "and nowhere else")
	}
	for _, wire := range wires() {
		for model := range echoes {
			require.True(s.t, came[wire+" "+model+" "+canary], "%s %s got the user's key", wire, model)
			require.True(s.t, userOnly(model) || came[wire+" "+model+" "+finch] || came[wire+" "+model+" 2nd-"+finch], "%s %s got the deployment's", wire, model)
		}
		require.True(s.t, echoes["json401"] == nil || came[wire+" json401 "+finch] && came[wire+" json401 2nd-"+finch], "%s: each of the deployment's was tried", wire)
	}
}

// garbler answers no HTTP: its first line, or a line of its header, is the key
// that it was sent.
type garbler struct {
	net.Listener
	mu    sync.Mutex
	heard map[string]int // by key
}

func newGarbler(t *testing.T) *garbler {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := &garbler{Listener: l, heard: map[string]int{}}
	var served sync.WaitGroup
	served.Go(g.serve)
	t.Cleanup(func() { _ = l.Close(); served.Wait() })
	return g
}

func (g *garbler) serve() {
	for {
		c, err := g.Accept()
		if err != nil {
			return
		}
		g.answer(c)
		_ = c.Close()
	}
}

func (g *garbler) answer(c net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	key := keyOf(providertest.Request{Header: r.Header, Authorization: r.Header.Get("Authorization")})
	g.mu.Lock()
	g.heard[key]++
	odd := g.heard[key]%2 == 1
	g.mu.Unlock()
	if odd {
		_, _ = fmt.Fprintf(c, "%s\r\n\r\n", key)
		return
	}
	_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nbad header %s\r\n\r\n", key)
}

// garbling is a vendor for each wire that answers no HTTP.
func garbling(g *garbler) map[string]provider.Config {
	all := map[string]provider.Config{}
	for _, wire := range wires() {
		for _, more := range []string{"", "-d"} {
			c := provider.Config{Type: wire, BaseURL: "http://" + g.Addr().String(), DefaultModel: "m"}
			if more != "" {
				c.APIKeys = secrets(houseKeys()...)
			}
			all["garbled-"+wire+more] = c
		}
	}
	return all
}

func (s *sinks) garbled(g *garbler) {
	s.t.Helper()
	var all []*peer
	for _, wire := range wires() {
		name := "garbled-" + wire
		all = append(all, s.asks(own(name, nil)), s.asks(map[string]any{"provider": name + "-d"}))
	}
	s.fail(all)
	g.mu.Lock()
	defer g.mu.Unlock()
	require.GreaterOrEqual(s.t, g.heard[canary], 2*len(wires()), "both kinds of garbage came: %v", slices.Collect(maps.Values(g.heard)))
	require.NotZero(s.t, g.heard[finch])
}

func secrets(keys ...string) (all []protocol.Secret) {
	for _, k := range keys {
		all = append(all, protocol.NewSecret([]byte(k)))
	}
	return all
}

// lister answers the question for a list of models with the key that came with
// it, in the way that the first segment of the path names.
func lister(t *testing.T, away string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := keyOf(providertest.Request{Header: r.Header, Authorization: r.Header.Get("Authorization")})
		parts := strings.Split(r.URL.Path, "/")
		wire, how := parts[1], parts[2]
		switch how {
		case "refused":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, objection(wire, key))
		case "page":
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<p>"+html.EscapeString(key))
		case "moved":
			w.Header().Set("X-Request-Id", key)
			http.Redirect(w, r, away+"/?key="+url.QueryEscape(key), http.StatusTemporaryRedirect)
		case "error200":
			_, _ = io.WriteString(w, objection(wire, key))
		case "named":
			_, _ = io.WriteString(w, namedAfter(key))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// namedAfter is a list of models, in every vendor's shape, of which one has a
// name of its own.
func namedAfter(key string) string {
	var openai, gemini []string
	for _, name := range []string{key, "models/x-" + key, hex.EncodeToString([]byte(key)), url.QueryEscape(key), "an-innocent-one"} {
		openai = append(openai, fmt.Sprintf(`{"id":%q}`, name))
		gemini = append(gemini, fmt.Sprintf(`{"name":%q,"supportedGenerationMethods":["generateContent"]}`, "models/"+name))
	}
	return `{"data":[` + strings.Join(openai, ",") + `],"models":[` + strings.Join(gemini, ",") + `]}`
}

// listing is a vendor for each wire and way to tell a key in a list of models.
func listing(at string) map[string]provider.Config {
	all := map[string]provider.Config{}
	for _, wire := range wires() {
		for _, how := range []string{"refused", "page", "moved", "error200", "named"} {
			all["list-"+wire+"-"+how] = provider.Config{Type: wire, BaseURL: at + "/" + wire + "/" + how, APIKeys: secrets(houseKeys()...), Discover: true}
		}
	}
	return all
}

// listed waits for all lists.
func (s *sinks) listed() {
	s.t.Helper()
	until(s.t, "all lists came or did not", func() bool {
		return len(s.front.logged("Models listed")) == len(wires()) && len(s.front.logged("Models could not be listed")) == 4*len(wires())
	})
	for _, wire := range wires() {
		until(s.t, "the list is offered", func() bool { return len(offer(s.t, s.front, "list-"+wire+"-named").Models) > 0 })
		require.Equal(s.t, []string{"an-innocent-one"}, offer(s.t, s.front, "list-"+wire+"-named").Models)
	}
}
