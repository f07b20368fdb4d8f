package main

import (
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/config"
)

// faultsOn lets providers of type faulty be served.
func faultsOn(o *appOptions) { o.Config.Faults.Enabled = true }

// failing is a faulty provider on a wire, with clocks that a test can wait for.
func failing(wire string) provider.Config {
	return provider.Config{Type: provider.TypeFaulty, Wire: wire, FirstTokenTimeout: 5 * time.Second, StallTimeout: 500 * time.Millisecond}
}

// howModelsEnd is the end of a question to each model of the faulty provider:
// complete, or the code of its error.
func howModelsEnd() map[string]string {
	return map[string]string{
		"ok": "complete", "slow-first": "complete", "flap": "complete", // the next call finds it well
		"429-once": "complete", "500-once": "complete",
		"429": "PROVIDER_RATE_LIMITED", "503": "PROVIDER_UNAVAILABLE", "reset": "PROVIDER_UNAVAILABLE",
		"silent": "PROVIDER_TIMEOUT", "stall": "PROVIDER_TIMEOUT",
		"cut-50": "PROVIDER_INTERRUPTED", "malformed": "PROVIDER_INTERRUPTED", "no-done": "PROVIDER_INTERRUPTED",
		"context-too-long": "PROVIDER_REJECTED", "content-filter": "PROVIDER_REJECTED",
		"error-in-stream": "PROVIDER_UNAVAILABLE", "panic": "INTERNAL",
	}
}

// Every model of the faulty provider fails as its name says, on every wire. Each
// has a provider of its own, so that none rests for another's failures.
func TestFaultyModelsFailAsTheyAreCalled(t *testing.T) {
	ends := howModelsEnd()
	require.ElementsMatch(t, faulty.Models(), slices.Collect(maps.Keys(ends)))
	all := map[string]provider.Config{}
	for _, wire := range wires() {
		for model := range ends {
			all["f-"+wire+"-"+model] = failing(wire)
		}
		silent := all["f-"+wire+"-silent"]
		silent.FirstTokenTimeout = 500 * time.Millisecond
		all["f-"+wire+"-silent"] = silent
	}
	w := start(t, wide, faultsOn, entries(all))
	question := "every word of this sentence is said again until something happens to it on the way"
	asked := map[string]*peer{}
	for name := range all {
		model := strings.SplitN(name, "-", 3)[2]
		if model == "flap" {
			continue // counts its questions over all wires: asked one by one below
		}
		asked[name] = w.dial("/ws/chat/" + name)
		asked[name].send(chat(map[string]any{"id": "x", "provider": name, "model": model, "content": question}))
	}
	for name, c := range asked {
		model := strings.SplitN(name, "-", 3)[2]
		text, f := c.answer()
		requireEnd(t, name, ends[model], text, f)
		switch model {
		case "429-once", "500-once":
			require.Equal(t, 2, f.Attempts, name)
		case "429":
			require.Equal(t, 1, f.RetryAfter, name)
		case "stall", "malformed", "no-done", "content-filter", "error-in-stream":
			require.NotEmpty(t, f.Partial, name)
		}
		if f.Type == "complete" {
			require.Equal(t, question, text, name)
			require.Equal(t, []any{strings.Count(question, " ") + 1, false}, []any{f.Usage.OutputTokens, f.Usage.Estimated}, name)
		}
	}
	attempts := 0
	for _, wire := range wires() {
		name := "f-" + wire + "-flap"
		for range 2 {
			c := w.dial("/ws/chat/" + name)
			c.send(chat(map[string]any{"id": "x", "provider": name, "model": "flap", "content": question}))
			text, f := c.answer()
			requireEnd(t, name, "complete", text, f)
			attempts += f.Attempts
		}
	}
	require.Equal(t, 6+5, attempts, "every second call met it unwell and was followed by another")
	until(t, "no call is left", func() bool { n, _ := w.faulty.Counts(); return n.Open == 0 })
	status, body, _ := w.post("/api/chat", chat(map[string]any{"provider": "f-openai-ok"}))
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "ok", parse(t, body).Model, "asked where a question names none")
	status, body, _ = w.post("/api/chat", chat(map[string]any{"provider": "f-openai-ok", "model": "no-such-fault"}))
	require.Equal(t, []any{http.StatusBadRequest, "UNKNOWN_MODEL"}, []any{status, parse(t, body).Code})
}

func requireEnd(t *testing.T, name, want, text string, f said) {
	t.Helper()
	if want == "complete" {
		require.Equal(t, "complete", f.Type, name+": "+f.Code+" "+f.Message)
		return
	}
	require.Equal(t, []string{"error", want}, []string{f.Type, f.Code}, name+": "+f.Message)
	require.Equal(t, text, f.Partial, name)
}

// listening lists the ports on which this process accepts TCP, as the system
// tells; nil where the system does not tell.
func listening(t *testing.T) map[string]bool {
	t.Helper()
	mine := map[string]bool{}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, fd := range open {
		to, _ := os.Readlink("/proc/self/fd/" + fd.Name()) // closed meanwhile
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			mine[strings.TrimSuffix(inode, "]")] = true
		}
	}
	ports := map[string]bool{}
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		text, _ := os.ReadFile(table) // one of the two may not be there
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" && mine[f[9]] {
				ports[f[1]] = true
			}
		}
	}
	return ports
}

func opened(before, after map[string]bool) (more []string) {
	for port := range after {
		if !before[port] {
			more = append(more, port)
		}
	}
	return more
}

// Nobody meets the faulty provider by accident: it is not there, and nothing
// listens for it, unless faults are enabled.
func TestFaultsAreOffUnlessEnabled(t *testing.T) {
	before := listening(t)
	w := start(t, entries(map[string]provider.Config{"f-gemini": failing(provider.TypeGemini)}))
	if before != nil {
		require.Len(t, opened(before, listening(t)), 1, "the HTTP port alone")
	}
	require.Nil(t, w.faulty)
	for _, name := range []string{"faulty", "f-gemini"} {
		status, body, _ := w.post("/api/chat", chat(map[string]any{"provider": name, "model": "ok"}))
		require.Equal(t, []any{http.StatusBadRequest, "UNKNOWN_PROVIDER"}, []any{status, parse(t, body).Code}, body)
		c := w.dial("/ws/chat/s1")
		c.send(chat(map[string]any{"provider": name, "model": "ok"}))
		require.Equal(t, "UNKNOWN_PROVIDER", c.next().Code)
	}
	_, body, _ := w.get("/api/providers")
	require.NotContains(t, body, "f-gemini")
	require.NotContains(t, body, `"faulty"`)
	require.Empty(t, w.logged("Faults are enabled: providers of type faulty fail as their models' names say; this is for tests"))
}

func TestFaultsThatAreEnabledSaySo(t *testing.T) {
	before := listening(t)
	w := start(t, faultsOn)
	if before != nil {
		more := opened(before, listening(t))
		require.Len(t, more, 2)
		for _, port := range more {
			require.True(t, strings.HasPrefix(port, "0100007F:"), "%s is on the loopback address", port)
		}
	}
	require.Len(t, w.logged("Faults are enabled: providers of type faulty fail as their models' names say; this is for tests"), 1)
	until(t, "its models are listed", func() bool { return len(offer(t, w, "faulty").Models) > 0 })
	require.ElementsMatch(t, faulty.Models(), offer(t, w, "faulty").Models)

	address, err := url.Parse(w.faulty.URL())
	require.NoError(t, err)
	_, body, _ := w.get("/api/providers")
	require.NotContains(t, body, address.Path, "the way to it is a secret")
	require.NotContains(t, w.log.String(), address.Path)
	conn, err := net.Dial("tcp", address.Host)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	w.stop(t.Context())
	_, err = net.Dial("tcp", address.Host)
	require.Error(t, err, "its port ends with the process")
}

// The switch is a key of the configuration like any other.
func TestFaultsByConfiguration(t *testing.T) {
	c, _, err := config.Load(config.Sources{
		Args: []string{"--http.listen=127.0.0.1:0", "--faults.enabled=true", "--providers.f-anthropic.type=faulty", "--providers.f-anthropic.wire=anthropic"}, Env: []string{},
	})
	require.NoError(t, err)
	w := start(t, func(o *appOptions) { o.Config = c })
	status, body, _ := w.post("/api/chat", chat(map[string]any{"provider": "f-anthropic", "model": "ok-1ms", "content": "said again"}))
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "said again", parse(t, body).FullResponse)
}
