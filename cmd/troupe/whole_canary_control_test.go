package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	stdlog "log"
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
	"github.com/troupe-chat/troupe/transport/protocol"
)

// telltale is a provider without any redaction: it says the key wherever a
// provider says something.
type telltale struct{}

func (telltale) Stream(_ context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
	key := string(q.Key.Reveal())
	sink.Text([]byte(key))
	return provider.Result{Model: key}, &protocol.Error{Code: protocol.ProviderRejected, Message: "no: " + key, Err: errors.New(key)}
}

// parked holds a key in its arguments, where a dump of the stack shows it.
//
//go:noinline
func parked(key [8]byte, in chan<- byte, out <-chan struct{}) byte {
	in <- key[0]
	<-out
	return key[1]
}

// TestCanary would be blind where a sink cannot be seen to hold a key. Of frames,
// error frames, other clients, the log, the bus and files a provider without
// redaction proves it, asked the same question. No answer of a vendor reaches the
// others, so the key is planted there: on stdout, stderr and the library's log,
// and in metrics, the status and a goroutine's arguments.
func TestCanaryIsFoundWhereItIs(t *testing.T) {
	v := providertest.New(t, providertest.Say("fine"))
	b := newGuardedBus(t)
	p := b.spied("troupe.v1.usage", "troupe.v1.gateway.>")
	w := start(t, b.role(roleServe), entries(map[string]provider.Config{"telltale": speaking(v, provider.TypeOpenAI)}))
	s := newSinks(w, p, []string{b.store})
	s.ways(own("telltale", nil))
	p.until(t, "a worker lives", func(m *nats.Msg) bool { return strings.Contains(m.Subject, "beat.worker") })
	s.clean("with redaction")

	w.worker.actors.Reload(map[string]actors.ProviderSetup{"telltale": {Provider: telltale{}, State: provider.StateReady}})
	c, run := s.asked("telltale")
	s.ends(c)
	s.others[0].send(`{"type":"resume","run_id":"` + run + `"}`)
	for f := (said{}); !f.terminal(); {
		raw := s.others[0].raw()
		s.heard.WriteString(raw)
		f = parse(t, raw)
	}
	s.requireFound("frames", "error frames", "other clients", "log", "bus", "files")

	require.Zero(t, s.commands(nil, "config", "print", "--providers.openai.default_model="+canary))
	require.Equal(t, 2, s.commands(nil, "config", "print", "--config", url64(canary)))
	s.requireFound("stdout", "stderr")
	s.stderr.Reset()
	stdlog.Print(canary)
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "planted", ConstLabels: prometheus.Labels{"key": canary}})
	require.NoError(t, w.registry.Register(gauge))
	beat, err := json.Marshal(map[string]any{
		"role": "worker", "id": "PLANTED", "sent": time.Now().UnixMilli(), "capacity": 1,
		"providers": []map[string]any{{"name": canary, "type": "echo", "state": "ready"}},
	})
	require.NoError(t, err)
	planter, err := nats.Connect(b.as("troupe"))
	require.NoError(t, err)
	defer planter.Close()
	until(t, "the planted worker is known", func() bool { // said again: one that was heard once is soon lost
		return planter.Publish("troupe.v1.beat.worker.PLANTED", beat) == nil && w.gateway.actors.Health().Workers == 2
	})
	in, out := make(chan byte), make(chan struct{})
	var over sync.WaitGroup
	t.Cleanup(func() { close(out); over.Wait() })
	over.Go(func() { parked([8]byte([]byte(canary[:8])), in, out) })
	<-in
	s.requireFound("stdout", "stderr", "metrics", "status", "goroutines")
	require.Len(t, s.texts(), 11, "each of the sinks was tried")
}

// requireFound waits until these sinks are seen to hold the key.
func (s *sinks) requireFound(names ...string) {
	s.t.Helper()
	for _, name := range names {
		until(s.t, name+" holds the key", func() bool { return len(leaks(s.texts()[name])) > 0 })
	}
}

// What is only in a header of a message, or in an encoding, is found on the bus
// and in the log as well.
func TestCanaryIsFoundInEveryCoding(t *testing.T) {
	w := start(t, wide)
	s := newSinks(w, w.tap(), nil)
	for name, text := range map[string]string{
		"plain": canary, "base64": base64.StdEncoding.EncodeToString([]byte("Bearer " + canary)), "url64": url64(canary),
		"hex": hex.EncodeToString([]byte(canary)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(canary))), "token": labelled(canary),
	} {
		w.app.log.Debug().Str("key", text).Msg("planted")
		line := w.logged("planted")
		require.NotEmpty(t, leaks(line[len(line)-1]["key"].(string)), name)
		before := len(leaks(s.onTheBus()))
		require.NoError(t, s.p.PublishMsg(&nats.Msg{Subject: "planted", Header: nats.Header{"Key": {text}}}))
		require.NoError(t, s.p.Flush())
		until(t, "it is heard", func() bool { return len(leaks(s.onTheBus())) > before })
	}
	require.NoError(t, s.p.Publish("planted."+labelled(finch), nil))
	until(t, "a subject is heard", func() bool {
		found := leaks(s.onTheBus())
		return found[len(found)-1].key == finch
	})
}

func url64(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }
