package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/bus/bustest"
)

const secretA, secretB = "a-secret-of-the-client-A", "a-secret-of-the-client-B"

// fleet is two gateways and two workers over one NATS.
func fleet(t *testing.T, change ...func(*appOptions)) (one, two *whole, s *bustest.NATS) {
	t.Helper()
	s = bustest.Server(t)
	for range 2 {
		start(t, append([]func(*appOptions){over(s, roleWorker)}, change...)...)
	}
	one, two = start(t, over(s, roleGateway)), start(t, over(s, roleGateway))
	one.knows(2)
	two.knows(2)
	return one, two, s
}

// killGateway ends a gateway as a kill -9 would: neither the bus nor a client
// hears a word.
func (w *whole) killGateway() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.gateway.bus.Close(now)
	_ = w.gateway.server.Shutdown(now)
}

func TestAClientKeyFindsItsRunsAtAnotherGateway(t *testing.T) {
	one, two, _ := fleet(t)
	ask := func(id, more string) (c *peer, run string) {
		c = one.dial("/ws/chat/s1")
		c.send(fmt.Sprintf(`{"type":"chat","id":%q,"content":"word","model":"echo-20ms-60w","client_key":%q%s}`, id, secretA, more))
		run = c.next().RunID
		for range 3 {
			require.Equal(t, "chunk", c.next().Type)
		}
		return c, run
	}

	t.Run("resume", func(t *testing.T) {
		for _, how := range []string{`"id":"r"`, `"id":"r","after":2`, ``} {
			c, run := ask("r", "")
			c.CloseNow()
			back := two.dial("/ws/chat/s1")
			if how != "" {
				how += ","
			}
			back.send(`{"type":"resume",` + how + `"client_key":"` + secretA + `"}`)
			f := back.next()
			require.Equal(t, []string{"snapshot", "r", run}, []string{f.Type, f.ID, f.RunID})
			require.GreaterOrEqual(t, f.Seq, uint64(3))
			text := f.Content
			last := back.next()
			for ; last.Type == "chunk"; last = back.next() {
				text += last.Content
			}
			require.Equal(t, "complete", last.Type)
			require.True(t, strings.HasSuffix(last.FullResponse, text))
			require.Len(t, strings.Fields(last.FullResponse), 60)
		}
	})
	t.Run("cancel", func(t *testing.T) {
		c, run := ask("c", "")
		other := two.dial("/ws/chat/s1")
		other.send(`{"type":"cancel","id":"c","client_key":"` + secretA + `"}`)
		f := other.next()
		require.Equal(t, []string{"cancelled", run}, []string{f.Type, f.RunID})
		_, last := c.answerFrom(3)
		require.Equal(t, "cancelled", last.Type)
		require.Equal(t, f.FullResponse, last.FullResponse)
	})
	t.Run("repeat", func(t *testing.T) {
		_, run := ask("p", "")
		other := two.dial("/ws/chat/s1")
		other.send(`{"type":"chat","id":"p","content":"other words","client_key":"` + secretA + `","repeat":true}`)
		f := other.next()
		require.Equal(t, []string{"error", "INVALID_MESSAGE", "p"}, []string{f.Type, f.Code, f.ID})
		for range 2 { // while it runs and after its end
			other = two.dial("/ws/chat/s1")
			other.send(`{"type":"chat","id":"p","content":"word","model":"echo-20ms-60w","client_key":"` + secretA + `","repeat":true}`)
			f = other.next()
			require.Equal(t, []string{"accepted", "p", run}, []string{f.Type, f.ID, f.RunID})
			text, last := other.answer()
			require.Equal(t, []string{"complete", run, text}, []string{last.Type, last.RunID, last.FullResponse})
		}
		status, body, _ := two.post("/api/chat", `{"session_id":"s1","id":"p","content":"word","model":"echo-20ms-60w","client_key":"`+secretA+`","repeat":true}`)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, run, parse(t, body).RunID)
		other.send(`{"type":"chat","id":"new","content":"never asked","client_key":"` + secretA + `","repeat":true}`)
		text, last := other.answer()
		require.Equal(t, []string{"never asked", "complete"}, []string{text, last.Type})
	})
}

// answerFrom reads the rest of an answer of which n chunks were read.
func (c *peer) answerFrom(n uint64) (text string, last said) {
	c.t.Helper()
	for f := c.next(); ; f = c.next() {
		if f.Type != "chunk" {
			return text, f
		}
		first := f.Seq
		if f.From > 0 { // a gap that was filled
			first = f.From
		}
		require.Equal(c.t, n+1, first)
		n = f.Seq
		text += f.Content
	}
}

// Session and id are labels. Neither they nor somebody else's key reveal, repeat
// or cancel anything.
func TestStrangersOnOneSessionWithOneID(t *testing.T) {
	one, two, _ := fleet(t)
	a, b := one.dial("/ws/chat/same"), two.dial("/ws/chat/same")
	question := func(word, key string) string {
		return fmt.Sprintf(`{"type":"chat","id":"1","content":%q,"model":"echo-20ms-40w","repeat":true%s}`, word, key)
	}
	a.send(question("alpha", `,"client_key":"`+secretA+`"`))
	runA := a.next().RunID
	for _, key := range []string{"", `,"client_key":"` + secretB + `"`} {
		b.send(question("delta", key))
		textB, lastB := b.answer()
		require.NotContains(t, textB, "alpha")
		require.NotEqual(t, runA, lastB.RunID)
	}
	for _, ask := range []string{"cancel", "resume"} {
		for _, proof := range []string{`"id":"1","client_key":"` + secretB + `-wrong"`, `"client_key":"` + secretB + `-wrong"`} {
			b.send(`{"type":"` + ask + `",` + proof + `}`)
			f := b.next()
			require.Equal(t, []string{"error", "RUN_NOT_FOUND", ask}, []string{f.Type, f.Code, f.For})
		}
	}
	b.send(`{"type":"cancel","id":"1"}`)
	require.Equal(t, "NO_ACTIVE_RUN", b.next().Code)
	elsewhere := two.dial("/ws/chat/another")
	elsewhere.send(`{"type":"resume","id":"1","client_key":"` + secretA + `"}`)
	require.Equal(t, "RUN_NOT_FOUND", elsewhere.next().Code, "the right key in another session")
	textA, lastA := a.answer()
	require.Equal(t, []string{"complete", runA}, []string{lastA.Type, lastA.RunID})
	require.Equal(t, strings.Repeat("alpha ", 39)+"alpha", strings.TrimSpace(textA))
}

func TestAGatewayDies(t *testing.T) {
	v := providertest.New(t, slowly("some"))
	one, two, _ := fleet(t, asking(v, "sk-1"))
	named, unnamed := one.dial("/ws/chat/s1"), one.dial("/ws/chat/s2")
	named.send(`{"type":"chat","id":"n","content":"word","model":"echo-20ms-200w"}`)
	run := named.next().RunID
	require.Equal(t, "chunk", named.next().Type)
	unnamed.send(`{"type":"chat","content":"x","provider":"openai"}`)
	require.Equal(t, "some", unnamed.next().Content)
	at := time.Now()
	one.killGateway()

	back := two.dial("/ws/chat/s1")
	back.send(`{"type":"resume","run_id":"` + run + `"}`)
	text, last := back.answer()
	require.Equal(t, []string{"complete", run, text}, []string{last.Type, last.RunID, last.FullResponse})
	require.Len(t, strings.Fields(text), 200)
	v.WaitLeft(t, 1, 4*time.Second) // a run that nobody may resume does not go on
	require.Less(t, time.Since(at), 8*time.Second)
}

// The bus delivers one job to two workers, and the second one speaks at once:
// its run is released, and no byte of it is shown.
func TestAJobThatTwoWorkersTake(t *testing.T) {
	one, _, s := fleet(t)
	p := tapInto(t, s.URL())
	c := one.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"1","content":"first","model":"echo-5ms-200w"}`)
	run := c.next().RunID
	for range 3 {
		require.Equal(t, "chunk", c.next().Type)
	}
	until(t, "the job was heard", func() bool { return len(p.heard(`\.chat\.echo$`)) > 0 })
	job := p.heard(`\.chat\.echo$`)[0]
	var asked struct{ To, Gateway string }
	require.NoError(t, json.Unmarshal(job.Data, &asked))
	events := fmt.Sprintf("troupe.v1.gateway.%s.events", asked.Gateway)
	require.NoError(t, p.Publish(job.Reply, []byte(`{"type":"accepted","worker":"OTHER","run":"OTHER-run"}`)))
	for seq := range 400 {
		require.NoError(t, p.Publish(events, fmt.Appendf(nil, `{"type":"chunk","to":%q,"seq":%d,"text":"OTHER "}`, asked.To, seq+1)))
	}
	_, last := c.answerFrom(3)
	require.Equal(t, []string{"complete", run}, []string{last.Type, last.RunID})
	require.Equal(t, strings.Repeat("first ", 199)+"first", strings.TrimSpace(last.FullResponse))
	until(t, "it was released", func() bool { return len(p.heard(`\.worker\.OTHER\.control$`)) > 0 })
	released := p.heard(`\.worker\.OTHER\.control$`)
	require.Contains(t, string(released[0].Data), `"type":"release"`)
}
