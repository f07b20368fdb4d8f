package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/config"
)

// configFiles hold a key in the right place, and in wrong ones.
func configFiles() map[string]string {
	all := map[string]string{
		"token":            "http: {admin_token: '" + canary + "'}\n",
		"token, list":      "http: {admin_token: ['" + canary + "', x]}\n",
		"token, misspelt":  "http: {admin_tokn: '" + canary + "'}\n",
		"not a table":      "providers: '" + canary + "'\n",
		"no YAML":          "providers: {openai: " + canary + "\n",
		"an anchor":        "providers: {openai: {type: openai, api_keys: [*" + labelled(canary) + "]}}\n",
		"a tag":            "providers: {openai: {type: openai, api_keys: !" + labelled(canary) + " [x]}}\n",
		"beside a mistake": "pool: {max_per_ip: x}\nhttp: {admin_token: '" + canary + "'}\n",
		"bus":              "bus: {url: 'nats://troupe:" + strings.NewReplacer("/", "%2F", "?", "%3F").Replace(canary) + "@nats.example:4222'}\n",
	}
	wrong := map[string]string{
		"one too many":   "api_keys: ['" + canary + "'], api_key_weights: [1, 3]",
		"bad weight":     "api_keys: ['" + canary + "'], api_key_weights: [-1]",
		"a weight":       "api_keys: ['x'], api_key_weights: ['" + canary + "']",
		"a text":         "api_keys: '" + canary + "'",
		"a table":        "api_keys: {key: '" + canary + "'}",
		"tables":         "api_keys: [{key: '" + canary + "'}]",
		"a space":        "api_keys: ['" + canary + " " + canary + "']",
		"a line":         `api_keys: ["` + canary + `\n"]`,
		"another letter": "api_keys: ['ż" + canary + "']",
		"misspelt":       "api_keyz: ['" + canary + "']",
		"unclosed":       "api_keys: ['" + canary,
		"twice":          "api_keys: ['" + canary + "'], api_keys: ['" + canary + "']",
		"in the address": "base_url: 'https://u:" + strings.NewReplacer("/", "%2F", "?", "%3F").Replace(canary) + "@vendor.example/v1'",
		"behind it":      "base_url: 'https://vendor.example/v1?key=" + canary + "'",
		"in a fragment":  "base_url: 'https://vendor.example/v1#" + canary + "'",
		"a bad address":  "base_url: 'https://u:" + canary + "%zz@vendor.example/v1'",
		"another type":   "api_keys: ['" + canary + "'], max_concurrent: many, user_keys: perhaps",
	}
	for _, wire := range wires() {
		all[wire+", good"] = "providers: {" + wire + ": {type: " + wire + ", api_keys: ['" + canary + "', '2nd-" + canary + "'], api_key_weights: [1, 3]}}\n"
	}
	for name, entry := range wrong {
		all[name] = "providers: {anthropic: {type: anthropic, " + entry + "}}\n"
	}
	return all
}

// Deployment keys from a file of configuration, from files of their own and from
// the environment reach each vendor, and nobody else: not at the start, not by a
// reload to others, not by one that is refused.
func TestCanaryInTheConfiguration(t *testing.T) {
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		return providertest.Script{Status: 401, Body: objection(string(r.Wire), keyOf(r))}
	})
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(canary+"\n"), 0o600))
	text := func(admin string, keys ...string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "log: {level: debug}\nhttp: {admin_token: '%s'}\nproviders:\n  echo: {type: echo}\n", admin)
		for _, wire := range wires() {
			fmt.Fprintf(&b, "  %s: {type: %s, base_url: '%s', default_model: m, api_keys: ['%s'], api_key_weights: [2]}\n", wire, wire, v.BaseURL(faulty.Wire(wire)), strings.Join(keys, "', '"))
		}
		return b.String()
	}
	r := runServe(t, text(finch, finch, "file:"+file))
	clean := func(when string) {
		t.Helper()
		_, pages := r.ask("GET", "/metrics", "", "Authorization", "Bearer "+finch)
		_, providers := r.ask("GET", "/api/providers", "")
		for name, text := range map[string]string{"stdout": r.stdout.String(), "stderr": r.stderr.String(), "metrics": pages, "providers": providers, "goroutines": stacks(t)} {
			require.NotEmpty(t, text, name)
			require.Empty(t, leaks(text), "%s: %s", when, name)
		}
	}
	spend := func(want ...string) {
		t.Helper()
		before := len(v.Requests())
		for _, wire := range wires() {
			status, body := r.ask("POST", "/api/chat", chat(map[string]any{"provider": wire}))
			require.NotEqual(t, http.StatusOK, status)
			require.Empty(t, leaks(body))
		}
		var keys []string
		for _, asked := range v.Requests()[before:] {
			keys = append(keys, keyOf(asked))
		}
		for _, key := range want {
			require.Contains(t, keys, key, "the vendor does get it")
		}
	}
	spend(finch, canary)
	clean("at the start")
	for _, shown := range []string{finch, finch + "x"} {
		status, body := r.ask("GET", "/metrics", "", "Authorization", "Bearer "+shown)
		require.Equal(t, map[bool]int{true: http.StatusOK, false: http.StatusNotFound}[shown == finch], status)
		require.Empty(t, leaks(body))
	}
	line := r.reload(text(finch, "3rd-"+finch, "4th-"+canary), reloaded)
	require.Contains(t, line["changed"], "providers.openai.api_keys")
	spend("3rd-"+finch, "4th-"+canary)
	clean("after a reload")
	for _, name := range []string{"another letter", "one too many", "a table", "unclosed", "token, list"} {
		r.reload(configFiles()[name], refused)
	}
	clean("after reloads that were refused")
	require.Zero(t, r.end())
	wrote := r.stdout.String() + r.stderr.String()
	require.Contains(t, wrote, "Troupe stopped")
	require.Empty(t, leaks(wrote))
}

// The variables that everybody knows, and the project's own.
func TestCanaryInTheEnvironment(t *testing.T) {
	v := providertest.New(t, providertest.Script{Status: 403, Body: "you sent ", EchoAuth: true})
	env := []string{"TROUPE_HTTP_ADMIN_TOKEN=" + canary, "TROUPE_PROVIDERS_MORE_API_KEYS=" + canary, "TROUPE_PROVIDERS_OPENAI_API_KEYZ=" + canary, "TROUPE_OPENAI_KEY=" + canary}
	args := []string{"--http.listen=127.0.0.1:0", "--providers.more.type=openai", "--providers.more.base_url=" + v.URL()}
	for _, wire := range wires() {
		env = append(env, provider.KeyVariable(wire)+"="+finch)
		args = append(args, "--providers."+wire+".base_url="+v.BaseURL(faulty.Wire(wire)))
	}
	c, report, err := config.Load(config.Sources{Args: args, Env: env})
	require.NoError(t, err)
	require.Empty(t, leaks(strings.Join(report.Warnings, "\n")))
	w := start(t, func(o *appOptions) { o.Config = c; wide(o) })
	s := newSinks(w, w.tap(), []string{t.TempDir()})
	require.NoError(t, os.WriteFile(filepath.Join(s.dirs[0], "nothing"), nil, 0o600))
	for _, name := range append(wires(), "more") {
		s.says("/ws/chat/s1", chat(map[string]any{"provider": name, "model": "m"}))
	}
	got := map[string]string{}
	for _, r := range v.Requests() {
		got[string(r.Wire)] += keyOf(r) + " "
	}
	require.Equal(t, map[string]string{"openai": finch + " " + canary + " ", "anthropic": finch + " ", "gemini": finch + " "}, got)
	for _, command := range []string{"print", "check"} {
		require.Zero(t, s.commands(env, append([]string{"config", command}, args...)...))
		require.Equal(t, 2, s.commands(env, append([]string{"config", command, "--pool.max_per_ip=x"}, args...)...))
	}
	for _, bad := range []string{"serve", "worker"} { // as a flag: misspelt, without a value, of another type
		for _, flag := range []string{"--providers.openai.api_keyz=", "--providers.openai.api-key=", "--http.admin_tokn=", "--pool.max_per_ip=1 --providers.openai.max_queue=x --providers.openai.api_keys="} {
			flags := strings.Fields(flag + canary)
			require.Equal(t, 2, s.commands(env, append([]string{bad}, flags...)...))
		}
	}
	s.clean("from the environment")
}
