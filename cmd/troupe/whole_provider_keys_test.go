package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
)

// Whose keys pay is the operator's choice: only users', or only the deployment's.
func TestWhoseKeysAreTaken(t *testing.T) {
	v := providertest.New(t, providertest.Say("paid"))
	w := start(t, wide, func(o *appOptions) {
		for _, wire := range wires() {
			needs, refuse := speaking(v, wire, "sk-deployment"), speaking(v, wire, "sk-deployment")
			needs.UserKeys, refuse.UserKeys = provider.UserKeysRequire, provider.UserKeysRefuse
			entries(map[string]provider.Config{"req-" + wire: needs, "ref-" + wire: refuse})(o)
		}
	})
	until(t, "the offers are known", func() bool { return offer(t, w, "req-gemini").State == provider.StateNeedsKey })
	for _, wire := range wires() {
		for _, tt := range []struct {
			name, own, key string
			code           string
		}{
			{"req-" + wire, "sk-user", "sk-user", ""},
			{"req-" + wire, "", "", "your own key here: send it as api_keys.req-" + wire},
			{"ref-" + wire, "", "sk-deployment", ""},
			{"ref-" + wire, "sk-user", "", "takes no keys of users here: ask without api_keys.ref-" + wire},
		} {
			before := len(v.Requests())
			question := map[string]any{"provider": tt.name}
			if tt.own != "" {
				question["api_keys"] = map[string]string{tt.name: tt.own}
			}
			f := w.asks(question)
			status, body, _ := w.post("/api/chat", chat(question))
			asked := v.Requests()[before:]
			if tt.code != "" {
				require.Equal(t, []string{"error", "PROVIDER_UNAUTHORIZED"}, []string{f.Type, f.Code}, tt)
				require.Contains(t, f.Message, tt.code)
				require.Equal(t, http.StatusUnauthorized, status, body)
				require.Empty(t, asked, tt)
				continue
			}
			require.Equal(t, []string{"complete", "paid"}, []string{f.Type, f.FullResponse}, f.Message)
			require.Equal(t, http.StatusOK, status, body)
			require.Equal(t, []string{tt.key, tt.key}, []string{keyOf(asked[0]), keyOf(asked[1])}, tt)
		}
		require.Equal(t, provider.StateReady, offer(t, w, "ref-"+wire).State)
	}
}

// A user's own key that is refused says so, rests nobody and is not tried twice.
func TestAUsersDeadKeyIsTheUsersAlone(t *testing.T) {
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		if keyOf(r) == "sk-user" {
			return providertest.Script{Why: faulty.KeyRefused}
		}
		return providertest.Say("fine")
	})
	w := start(t, wide, everyWire(v))
	for _, wire := range wires() {
		before := len(v.Requests())
		for range 3 {
			f := w.asks(map[string]any{"provider": wire, "api_keys": map[string]string{wire: "sk-user"}})
			require.Equal(t, "PROVIDER_UNAUTHORIZED", f.Code, f.Message)
		}
		f := w.asks(map[string]any{"provider": wire})
		require.Equal(t, "complete", f.Type, f.Message)
		require.Len(t, v.Requests(), before+4)
	}
}

// socket opens a chat socket to a program as a shell started it.
func (r *running) socket(path string) *peer {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(r.base, "http", "ws", 1)+path, nil)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { conn.CloseNow() })
	return &peer{Conn: conn, t: r.t}
}

// A SIGHUP swaps keys: what streams goes on with the old one, the next question
// has the new one.
func TestKeysAreSwappedWhileAnswersStream(t *testing.T) {
	g := gated(t)
	file := func(key string) string {
		return fmt.Sprintf("providers: {openai: {type: openai, base_url: '%s', default_model: m, api_keys: ['%s']}}\n", g.URL(), key)
	}
	r := runServe(t, file("sk-old"))
	streams := r.socket("/ws/chat/s1")
	streams.send(chat(map[string]any{"id": "x", "provider": "openai"}))
	g.asked(1)
	require.Contains(t, fmt.Sprint(r.reload(file("sk-new"), reloaded)["changed"]), "providers.openai.api_keys")

	next := r.socket("/ws/chat/s2")
	next.send(chat(map[string]any{"id": "y", "provider": "openai"}))
	g.asked(2)
	g.let()
	g.let()
	for _, c := range []*peer{streams, next} {
		text, f := c.answer()
		require.Equal(t, []any{"let in", "complete", 1}, []any{text, f.Type, f.Attempts}, f.Message)
	}
	asked := g.Requests()
	require.Equal(t, []string{"sk-old", "sk-new"}, []string{keyOf(asked[0]), keyOf(asked[1])})
	require.Zero(t, g.Left())
	require.NotContains(t, r.stderr.String()+r.stdout.String(), "sk-new")
}

// A reload is how an operator says that a refused key is good again.
func TestAReloadForgetsThatAKeyWasRefused(t *testing.T) {
	var good atomic.Bool
	v := providertest.NewFunc(t, func(providertest.Request) providertest.Script {
		if good.Load() {
			return providertest.Say("good again")
		}
		return providertest.Script{Why: faulty.KeyRefused}
	})
	file := fmt.Sprintf("providers: {openai: {type: openai, base_url: '%s', default_model: m, api_keys: [sk-1]}}\n", v.URL())
	r := runServe(t, file)
	ask := func() said {
		_, body := r.ask(http.MethodPost, "/api/chat", chat(map[string]any{"provider": "openai"}))
		return parse(t, body)
	}
	require.Equal(t, "PROVIDER_UNAUTHORIZED", ask().Code)
	f := ask()
	require.Equal(t, "PROVIDER_UNAVAILABLE", f.Code, f.Message)
	require.Greater(t, f.RetryAfter, 200)
	require.Contains(t, f.Message, "refused the deployment's keys")
	good.Store(true)
	require.Equal(t, "PROVIDER_UNAVAILABLE", ask().Code, "nobody said that it is good")
	require.Len(t, v.Requests(), 1)
	r.reload(file, reloaded)
	f = ask()
	require.Equal(t, "good again", f.FullResponse, f.Message)
	require.Len(t, v.Requests(), 2)
}
