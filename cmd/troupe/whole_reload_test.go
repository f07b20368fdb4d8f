package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/config"
)

// running is the program as a shell started it, on a port of its own, with a
// configuration file that the test writes.
type running struct {
	*whole
	base   string
	file   string
	hangup chan os.Signal
	end    func() int // drains and returns the exit code
	stdout *lockedBuffer
	stderr *lockedBuffer
}

// runServe starts `troupe serve` with this file, and more flags where there are.
func runServe(t *testing.T, file string, flags ...string) *running {
	t.Helper()
	r := &running{
		whole: &whole{t: t}, file: filepath.Join(t.TempDir(), "troupe.yaml"),
		hangup: make(chan os.Signal), stdout: &lockedBuffer{}, stderr: &lockedBuffer{},
	}
	r.write(file)
	terms := make(chan os.Signal, 1)
	p := &program{
		stdin: strings.NewReader(""), stdout: r.stdout, stderr: r.stderr,
		signals: func(wanted ...os.Signal) (<-chan os.Signal, func()) {
			if wanted[0] == syscall.SIGHUP {
				return r.hangup, func() {}
			}
			return terms, func() {}
		},
		exit: func(code int) { t.Errorf("exit %d", code) },
	}
	code := make(chan int, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		code <- p.run(ctx, append([]string{"serve", "--config", r.file, "--http.listen=127.0.0.1:0", "--log.format=json"}, flags...))
	}()
	ended := false
	r.end = func() int {
		ended = true
		terms <- syscall.SIGTERM
		return <-code
	}
	t.Cleanup(func() {
		cancel()
		if !ended {
			<-code
		}
	})
	listening := regexp.MustCompile(`listening\s+(http://\S+)`)
	until(t, "it listens", func() bool {
		m := listening.FindStringSubmatch(r.stdout.String())
		if m != nil {
			r.base = m[1]
		}
		return m != nil
	})
	until(t, "it serves", func() bool { status, _ := getFrom(t, r.base+"/api/health"); return status == http.StatusOK })
	return r
}

func (r *running) write(file string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(r.file, []byte(file), 0o600))
}

// reload writes the file, hangs up and returns the last line with this message.
func (r *running) reload(file, message string) map[string]any {
	r.t.Helper()
	before := len(r.logged(message))
	r.write(file)
	r.hangup <- syscall.SIGHUP
	until(r.t, message, func() bool { return len(r.logged(message)) > before })
	return r.logged(message)[before]
}

func (r *running) logged(message string) []map[string]any {
	log := &lockedBuffer{}
	_, _ = log.Write([]byte(r.stderr.String()))
	return (&whole{log: log}).logged(message)
}

func (r *running) ask(method, path, body string, header ...string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, strings.NewReader(body))
	require.NoError(r.t, err)
	req.Header.Set("Content-Type", "application/json")
	status, answer, _ := r.do(req, header...)
	return status, answer
}

// admits tells whether a page of this origin may open a WebSocket.
func (r *running) admits(origin string) bool {
	status, _ := r.ask("GET", "/ws/chat/s1", "", "Origin", origin)
	return status == http.StatusUpgradeRequired // allowed, but no handshake
}

const (
	reloaded = "Configuration reloaded"
	refused  = "Reload refused: the running configuration stays"
)

func TestReload(t *testing.T) {
	v := providertest.New(t, providertest.Say("hi"))
	file := func(origins, limits, products, keys, more string) string {
		return fmt.Sprintf("http: {extra_origins: [%s]}\nlimits: {messages: {max: %s}}\nproducts: {%s}\nproviders: {echo: {type: echo}, openai: {type: openai, base_url: %q, api_keys: [%s]}}\n%s",
			origins, limits, products, v.URL(), keys, more)
	}
	r := runServe(t, file(`"https://one.example"`, "40", "11: {}", "sk-one", ""))
	product := func(id string) int {
		status, _ := r.ask("POST", "/api/chat", `{"product_id":"`+id+`","content":"x"}`)
		return status
	}
	key := func() string {
		status, body := r.ask("POST", "/api/chat", `{"provider":"openai","model":"m","content":"x"}`)
		require.Equal(t, http.StatusOK, status, body)
		all := v.Requests()
		return all[len(all)-1].Authorization
	}
	limit := func() string {
		_, body := r.ask("GET", statusPath, "")
		return regexp.MustCompile(`"message_limit":"([^"]*)"`).FindStringSubmatch(body)[1]
	}
	require.Equal(t, []bool{true, false}, []bool{r.admits("https://one.example"), r.admits("https://two.example")})
	require.Equal(t, []int{200, 404}, []int{product("11"), product("12")})
	require.Equal(t, "Bearer sk-one", key())
	require.Equal(t, "40 messages per minute", limit())

	line := r.reload(file(`"https://two.example"`, "2", "12: {}", "sk-two", "log: {level: debug}\npool: {max_per_ip: 7}\n"), reloaded)
	require.Equal(t, []bool{false, true}, []bool{r.admits("https://one.example"), r.admits("https://two.example")})
	require.Equal(t, "2 messages per minute", limit())
	status, body := r.ask("POST", "/api/chat", `{"content":"x"}`)
	require.Equal(t, http.StatusTooManyRequests, status, "what was asked before the reload counts: "+body)
	status, _ = r.ask("POST", resetPath, "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, []int{404, 200}, []int{product("11"), product("12")})
	require.Equal(t, "Bearer sk-two", key())
	require.Equal(t, []any{"http.extra_origins", "limits.messages.max", "log.level", "products.11", "products.12", "providers.openai.api_keys"}, line["changed"])
	require.Equal(t, []any{"pool.max_per_ip"}, line["needs_restart"])
	_, body = r.ask("GET", statusPath, "")
	require.Contains(t, body, `"max_per_ip":25`)

	line = r.reload(file(`"https://two.example"`, "0", "12: {}", "sk-two", "pool: {max_per_ip: 7}\n"), reloaded)
	require.Equal(t, []any{"limits.messages.max", "log.level"}, line["changed"])
	require.Equal(t, []any{"pool.max_per_ip"}, line["needs_restart"], "named until it is obeyed")
	require.NotEmpty(t, r.logged("limits.messages.max = 0: this limit is off"))
	require.Equal(t, "off", limit())
	require.NotContains(t, r.stderr.String(), "sk-one")
	require.NotContains(t, r.stderr.String(), "sk-two")
	require.Zero(t, r.end())
	require.NotEmpty(t, r.logged("Troupe stopped"))
}

// keyFile is a file with a deployment's key.
type keyFile struct {
	t    *testing.T
	path string
}

func newKeyFile(t *testing.T, key string) *keyFile {
	t.Helper()
	f := &keyFile{t: t, path: filepath.Join(t.TempDir(), "key")}
	f.hold(key)
	return f
}

func (f *keyFile) hold(key string) {
	f.t.Helper()
	require.NoError(f.t, os.WriteFile(f.path, []byte(key+"\n"), 0o600))
}

// names is a configuration whose only key is in this file.
func (f *keyFile) names(v *providertest.Server) string {
	return fmt.Sprintf("providers: {openai: {type: openai, base_url: %q, api_keys: [%q], default_model: m}}\n", v.URL(), "file:"+f.path)
}

// A key that changes in its own file is taken at a hangup, though the
// configuration's file stays as it is.
func TestReloadOfAKeyFile(t *testing.T) {
	v := providertest.New(t, providertest.Say("hi"))
	key := newKeyFile(t, "sk-one")
	file := key.names(v)
	r := runServe(t, file)
	used := func() string {
		status, body := r.ask("POST", "/api/chat", `{"provider":"openai","content":"x"}`)
		require.Equal(t, http.StatusOK, status, body)
		all := v.Requests()
		return keyOf(all[len(all)-1])
	}
	require.Equal(t, "sk-one", used())
	key.hold("sk-two")
	require.Equal(t, "sk-one", used(), "nobody hung up")
	line := r.reload(file, reloaded)
	require.Equal(t, []any{"providers.openai.api_keys"}, line["changed"])
	require.NotContains(t, line, "needs_restart")
	require.Equal(t, "sk-two", used())
	line = r.reload(file, reloaded)
	require.Empty(t, line["changed"])

	require.NoError(t, os.Remove(key.path))
	line = r.reload(file, refused)
	require.Contains(t, line["error"], "providers.openai.api_keys")
	require.Contains(t, line["error"], key.path)
	require.Equal(t, "sk-two", used(), "the running one stays")
	require.NotContains(t, r.stderr.String()+r.stdout.String(), "sk-")
}

func TestReloadOfABadFileChangesNothing(t *testing.T) {
	const good = "http: {extra_origins: [\"https://one.example\"]}\nlimits: {messages: {max: 7}}\n"
	r := runServe(t, good)
	before := r.settings()
	for name, bad := range map[string]struct{ file, named string }{
		"no YAML":       {"http: [", "troupe.yaml"},
		"unknown key":   {"limits: {messages: {max: 1}}\nlimtis: {}\n", "limtis"},
		"bad value":     {"limits: {messages: {max: 1}, sessions: {max: many}}\n", "limits.sessions.max"},
		"bad origin":    {"limits: {messages: {max: 1}}\nhttp: {extra_origins: [\"https://*\"]}\n", "http.extra_origins"},
		"bad provider":  {"limits: {messages: {max: 1}}\nproviders: {x: {type: nonsense}}\n", "providers.x.type"},
		"default, none": {"limits: {messages: {max: 1}}\ndefault_provider: nobody\n", "default_provider"},
	} {
		line := r.reload(bad.file, refused)
		require.Contains(t, line["error"], bad.named, name)
		require.Equal(t, before, r.settings(), name)
		require.True(t, r.admits("https://one.example"), name)
	}
	require.NoError(t, os.Remove(r.file))
	r.hangup <- syscall.SIGHUP
	until(t, "a file that is gone", func() bool { return len(r.logged(refused)) == 7 })
	require.True(t, r.admits("https://one.example"))
	line := r.reload(good, reloaded)
	require.Empty(t, line["changed"])
	require.NotContains(t, line, "needs_restart")
}

// Sockets and the answers on them live through a reload.
func TestReloadCutsNobody(t *testing.T) {
	var running *config.Config
	w := start(t, with(func(c *config.Config) { running = c }))
	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"x","content":"word","model":"echo-10ms-60w"}`)
	require.Equal(t, "accepted", c.next().Type)
	over := time.After(300 * time.Millisecond)
	for going := true; going; {
		select {
		case <-over:
			going = false
		default:
			require.NoError(t, w.reload(running))
		}
	}
	text, last := c.answer()
	require.Equal(t, "complete", last.Type)
	require.Len(t, strings.Fields(text), 60)
	c.admitted()
}

// settings is what the status says of the limits and the pool: nothing in it
// moves by itself.
func (r *running) settings() (s struct {
	Limiter map[string]any `json:"rate_limiter"`
	Pool    map[string]any `json:"connection_pool"`
},
) {
	r.t.Helper()
	_, body := r.ask("GET", statusPath, "")
	require.NoError(r.t, json.Unmarshal([]byte(body), &s))
	require.NotEmpty(r.t, s.Limiter["message_limit"])
	require.NotEmpty(r.t, s.Pool)
	return s
}
