package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus/bustest"
)

// byHand is a gateway of bare messages.
type byHand struct {
	*tap
	id     string
	worker string
}

// newByHand hears what gateways and beats hear, and no more: a listener to the
// jobs would hide that no worker takes them.
func newByHand(t *testing.T, s *bustest.NATS) *byHand {
	t.Helper()
	nc, err := nats.Connect(s.URL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	h := &byHand{tap: &tap{Conn: nc}, id: "byhand"}
	for _, subject := range []string{"troupe.v1.gateway.>", "troupe.v1.beat.>"} {
		_, err = nc.Subscribe(subject, func(m *nats.Msg) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.all = append(h.all, m)
		})
		require.NoError(t, err)
	}
	require.NoError(t, nc.Flush())
	return h
}

func (h *byHand) ask(subject string, to uint64, message map[string]any) {
	message["gateway"], message["to"] = h.id, strconv.FormatUint(to, 10)
	data, _ := json.Marshal(message)
	_ = h.PublishRequest(subject, fmt.Sprintf("troupe.v1.gateway.%s.r.%d", h.id, to), data) // missed by what waits for its answer
}

func (h *byHand) job(to uint64, job string, more map[string]any) {
	m := map[string]any{"job": job, "session": "s", "provider": "node-echo", "messages": []any{map[string]any{"role": "user", "content": words(400)}}}
	for k, v := range more {
		m[k] = v
	}
	h.ask("troupe.v1.chat.node-echo", to, m)
}

func (h *byHand) control(kind, run string, to uint64, more map[string]any) {
	m := map[string]any{"type": kind, "run": run, "session": "s"}
	for k, v := range more {
		m[k] = v
	}
	h.ask("troupe.v1.worker."+h.worker+".control", to, m)
}

// spoken is what a test looks at in a worker's message.
type spoken struct {
	Type, To, Run, Worker, Name, Code, Content, Text, State string
	Age                                                     *int64
	Over, More                                              bool
	Seq, From                                               uint64
}

// said lists what the worker told the asker `to`, replies and events, in order.
func (h *byHand) said(to uint64) (out []spoken) {
	for _, m := range h.heard(`^troupe\.v1\.gateway\.` + h.id + `\.`) {
		for line := range strings.Lines(string(m.Data)) {
			var w spoken
			reply := strings.HasSuffix(m.Subject, ".r."+strconv.FormatUint(to, 10))
			if json.Unmarshal([]byte(line), &w) == nil && (reply || w.To == strconv.FormatUint(to, 10)) {
				out = append(out, w)
			}
		}
	}
	return out
}

// first waits for the first word of a type to an asker.
func (h *byHand) first(t *testing.T, to uint64, kind string) (found spoken) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, w := range h.said(to) {
			if w.Type == kind {
				found = w
				return true
			}
		}
		return false
	}, 8*time.Second, 5*time.Millisecond, "%s to %d", kind, to)
	return found
}

// TestNodeWorkerContract speaks to the worker in JavaScript as a gateway would,
// where a client cannot see the difference.
func TestNodeWorkerContract(t *testing.T) {
	s := bustest.Server(t)
	p := startNode(t, s, "MAX_RUNS=12", "GRACE_MS=300", "PACE_MS=10", "KEEP_MS=3000")
	h := newByHand(t, s)
	require.Eventually(t, func() bool { return len(h.heard(`\.beat\.worker\.`)) > 1 }, 10*time.Second, 5*time.Millisecond)
	var beat struct {
		ID        string
		Capacity  int
		Providers []struct{ Name, State string }
	}
	require.NoError(t, json.Unmarshal(h.heard(`\.beat\.worker\.`)[0].Data, &beat))
	h.worker = beat.ID
	require.Equal(t, 12, beat.Capacity)

	t.Run("a repeated job starts nothing", func(t *testing.T) {
		for range 3 {
			h.job(1, "job-1", nil)
		}
		run := h.first(t, 1, "accepted").Run
		require.True(t, strings.HasPrefix(run, h.worker+"-"))
		h.control("cancel", run, 1, nil)
		h.first(t, 1, "cancelled")
		accepts := 0
		for _, w := range h.said(1) {
			if w.Type == "accepted" {
				accepts++
			}
		}
		require.Equal(t, 1, accepts)
		require.Equal(t, "accepted", h.said(1)[0].Type, "before every event")
	})

	t.Run("what the loss of the last follower means", func(t *testing.T) {
		secret := func(policy string) string { return base64.StdEncoding.EncodeToString([]byte(policy)) }
		begin := func(to uint64, policy string) string {
			h.job(to, "job-"+policy, map[string]any{"name": "n", "on_disconnect": policy, "client_key": secret(policy)})
			h.first(t, to, "chunk")
			return h.first(t, to, "accepted").Run
		}
		end := func(run string, to uint64) string {
			h.control("resume", run, to, nil)
			h.first(t, to, "snapshot")
			require.Eventually(t, func() bool { return len(h.said(to)) > 2 }, 2*time.Second, time.Millisecond)
			return h.said(to)[2].Type
		}
		stopped := begin(20, "cancel")
		h.control("gone", stopped, 20, nil)
		require.Equal(t, "cancelled", end(stopped, 21), "at once")

		goesOn := begin(30, "continue")
		h.control("gone", goesOn, 30, nil)

		graced := begin(40, "grace")
		h.control("gone", graced, 40, nil)
		h.control("resume", graced, 41, nil) // in time
		from := h.first(t, 41, "snapshot").Seq
		require.Eventually(t, func() bool { // twice the grace later it still speaks
			said := h.said(41)
			return said[len(said)-1].Seq > from+60
		}, 8*time.Second, 5*time.Millisecond)
		h.control("gone", graced, 0, nil) // no follower named: all of this gateway
		h.over(t, 42, secret("grace"))
		require.Equal(t, "cancelled", end(graced, 49))
		h.over(t, 32, secret("continue"))
		require.Equal(t, "complete", end(goesOn, 39))
	})

	t.Run("a job is taken back", func(t *testing.T) {
		back := func(job string, to uint64) { h.control("withdraw", "", to, map[string]any{"job": job}) }
		back("job-back", 6310)
		h.first(t, 6310, "missing")
		h.job(6311, "job-back", nil)
		h.job(6312, "job-kept", nil)
		run := h.first(t, 6312, "accepted").Run
		back("job-kept", 6313)
		require.Equal(t, run, h.first(t, 6313, "accepted").Run)
		require.Empty(t, h.said(6311), "it was given back before it came")
		h.control("cancel", run, 6312, nil)
		h.first(t, 6312, "cancelled")
		h.control("ack", run, 6312, nil)
	})

	t.Run("find and probe", func(t *testing.T) {
		secret := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
		h.job(100, "job-find", map[string]any{"name": "n7", "client_key": secret, "content": "aGFzaA=="})
		run := h.first(t, 100, "accepted").Run
		h.control("probe", "", 101, nil)
		h.control("find", "", 102, map[string]any{"client_key": secret, "name": "n7"})
		f := h.first(t, 102, "found")
		require.Equal(t, []string{run, h.worker, "n7", "aGFzaA=="}, []string{f.Run, f.Worker, f.Name, f.Content})
		require.False(t, f.Over)
		require.NotNil(t, f.Age)
		require.Less(t, *f.Age, int64(5000))
		h.control("find", "", 103, map[string]any{"client_key": secret, "name": "another"})
		h.control("find", "", 104, map[string]any{"client_key": secret, "name": "n7", "session": "foreign"})
		h.control("find", "", 105, map[string]any{"name": "n7"})
		for to := uint64(103); to <= 105; to++ {
			h.first(t, to, "missing")
		}
		require.Empty(t, h.said(101), "the server's silence is the answer")
		h.control("cancel", run, 100, nil)
		require.Equal(t, run, h.first(t, 100, "cancelled").Run)
		h.control("find", "", 106, map[string]any{"client_key": secret})
		require.True(t, h.first(t, 106, "found").Over)
	})

	t.Run("a run that nobody knows, and one beyond its end", func(t *testing.T) {
		h.control("resume", h.worker+"-nothing", 110, nil)
		h.first(t, 110, "missing")
		h.job(111, "job-beyond", map[string]any{"name": "n"})
		run := h.first(t, 111, "accepted").Run
		h.control("resume", run, 112, map[string]any{"after": 1000})
		require.Equal(t, "INVALID_MESSAGE", h.first(t, 112, "refused").Code)
		h.control("cancel", run, 113, nil) // by another follower: found, the text, the end
		require.Equal(t, []string{"found", "snapshot", "cancelled"}, kinds(t, h, 113, "cancelled"))
		h.first(t, 111, "cancelled")
	})

	t.Run("an unacknowledged end is repeated, a kept run expires", func(t *testing.T) {
		h.job(120, "job-repeat", map[string]any{"name": "n", "model": "node-echo-0ms", "messages": []any{map[string]any{"content": "x"}}})
		run := h.first(t, 120, "complete").Run
		ends := func() (n int) {
			for _, w := range h.said(120) {
				if w.Type == "complete" {
					n++
				}
			}
			return n
		}
		require.Eventually(t, func() bool { return ends() >= 3 }, 5*time.Second, 5*time.Millisecond)
		h.control("ack", run, 120, nil)
		to := uint64(130)
		require.Eventually(t, func() bool {
			to++
			h.control("resume", run, to, nil)
			require.Eventually(t, func() bool { return len(h.said(to)) > 0 }, 2*time.Second, time.Millisecond)
			h.control("ack", run, to, nil)
			return h.said(to)[0].Type == "missing"
		}, 8*time.Second, 200*time.Millisecond, "KEEP_MS")
	})

	t.Run("a silent run says its last seq", func(t *testing.T) {
		h.job(200, "job-silent", map[string]any{"model": "node-echo-60000ms"})
		w := h.first(t, 200, "status")
		require.Equal(t, []any{"streaming", uint64(0)}, []any{w.State, w.Seq})
		require.Equal(t, h.first(t, 200, "accepted").Run, w.Run)
		h.control("release", w.Run, 200, nil)
		h.control("resume", w.Run, 201, nil)
		h.first(t, 201, "missing")
	})

	t.Run("it leaves its queue group when it is full", func(t *testing.T) {
		const offered = 60
		require.NoError(t, p.Process.Signal(syscall.SIGSTOP)) // so that all are delivered before the first is answered
		for i := range uint64(offered) {
			h.job(300+i, fmt.Sprintf("job-cap-%d", i), map[string]any{
				"name": "n", "on_disconnect": "continue", "model": "node-echo-60000ms", "messages": []any{map[string]any{"content": "x"}},
			})
		}
		require.NoError(t, h.Flush())
		require.NoError(t, p.Process.Signal(syscall.SIGCONT))
		answers := func() map[string]int {
			n := map[string]int{}
			for _, m := range h.heard(`^troupe\.v1\.gateway\.byhand\.r\.3[0-5][0-9]$`) {
				var w spoken
				require.NoError(t, json.Unmarshal(m.Data, &w))
				n[w.Type]++
			}
			return n
		}
		require.Eventually(t, func() bool { return answers()["accepted"]+answers()["busy"] == offered }, 5*time.Second, 20*time.Millisecond)
		require.Equal(t, 12, answers()["accepted"])
		require.Eventually(t, func() bool { // the queue is left in a moment; a job that still arrives is answered busy
			m, err := h.Request("troupe.v1.chat.node-echo", nil, time.Second)
			return err == nats.ErrNoResponders && m == nil
		}, 5*time.Second, 20*time.Millisecond)
		for i := range uint64(2) {
			h.control("cancel", h.first(t, 300+i, "accepted").Run, 300+i, nil)
			h.first(t, 300+i, "cancelled")
		}
		h.job(380, "job-room", nil)
		h.first(t, 380, "accepted")
		require.Equal(t, 12, answers()["accepted"])
	})

	t.Run("a gateway that falls silent takes its followers along", func(t *testing.T) {
		for i := range uint64(10) { // make room
			h.control("release", h.first(t, 302+i, "accepted").Run, 302+i, nil)
		}
		secret := base64.StdEncoding.EncodeToString([]byte("silence"))
		h.job(400, "job-silence", map[string]any{"name": "n", "on_disconnect": "cancel", "model": "node-echo-60000ms", "client_key": secret})
		run := h.first(t, 400, "accepted").Run
		beat := fmt.Sprintf(`{"role":"gateway","id":"byhand","sent":%d}`, time.Now().UnixMilli())
		require.NoError(t, h.Publish("troupe.v1.beat.gateway.byhand", []byte(beat))) // and never again
		other := &byHand{tap: h.tap, id: "another", worker: h.worker}
		other.over(t, 401, secret)
		other.control("resume", run, 499, nil)
		require.Equal(t, []string{"found", "snapshot", "cancelled"}, kinds(t, other, 499, "cancelled"))
	})
}

// over waits until the run of a secret has ended, without following it.
func (h *byHand) over(t *testing.T, to uint64, secret string) {
	t.Helper()
	require.Eventually(t, func() bool {
		h.control("find", "", to, map[string]any{"client_key": secret})
		said := h.said(to)
		return len(said) > 0 && said[len(said)-1].Over
	}, 8*time.Second, 50*time.Millisecond)
}

// kinds waits for the last word and returns the types of all up to it.
func kinds(t *testing.T, h *byHand, to uint64, last string) (out []string) {
	t.Helper()
	h.first(t, to, last)
	for _, w := range h.said(to) {
		out = append(out, w.Type)
		if w.Type == last {
			break
		}
	}
	return out
}
