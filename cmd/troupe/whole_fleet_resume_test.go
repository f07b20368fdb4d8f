package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// Two live sockets on two gateways follow one run: each reads every chunk, and
// the end.
func TestTwoGatewaysFollowOneRun(t *testing.T) {
	one, two, _ := fleet(t)
	first := one.dial("/ws/chat/s1")
	first.send(`{"type":"chat","id":"n","content":"word","model":"echo-20ms-80w"}`)
	run := first.next().RunID
	seen := ""
	for range 3 {
		seen += first.next().Content
	}
	second := two.dial("/ws/chat/s1")
	second.send(`{"type":"resume","run_id":"` + run + `"}`)
	missed := second.next()
	require.Equal(t, []string{"snapshot", run}, []string{missed.Type, missed.RunID})
	require.Less(t, missed.Seq, uint64(80), "both are to be live")

	text, last := first.answerFrom(3)
	require.Equal(t, []string{"complete", run, seen + text}, []string{last.Type, last.RunID, last.FullResponse})
	require.Len(t, strings.Fields(last.FullResponse), 80)
	rest, end := second.answerFrom(missed.Seq)
	require.Equal(t, []string{"complete", run, last.FullResponse}, []string{end.Type, end.RunID, missed.Content + rest})
	require.Equal(t, []any{last.Seq, last.FullResponse}, []any{end.Seq, end.FullResponse})
}

// A run that has said nothing yet is followed from another gateway too: one
// empty snapshot, then everything, of one call at the vendor.
func TestResumeElsewhereBeforeTheFirstChunk(t *testing.T) {
	s := providertest.Say("a ", "\"b\"\n", "é😀")
	s.Before = 2 * time.Second
	v := providertest.New(t, s)
	one, two, _ := fleet(t, asking(v, "sk-1"))
	c := one.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"n","content":"x","provider":"openai"}`)
	run := c.next().RunID
	c.CloseNow()
	back := two.dial("/ws/chat/s1")
	back.send(`{"type":"resume","run_id":"` + run + `"}`)
	missed := back.next()
	require.Equal(t, []any{"snapshot", uint64(0), ""}, []any{missed.Type, missed.Seq, missed.Content})
	text, last := back.answerFrom(0)
	require.Equal(t, []string{"complete", run, "a \"b\"\né😀", text}, []string{last.Type, last.RunID, last.FullResponse, last.FullResponse})
	require.Len(t, v.Requests(), 1)
}

// Whoever asks for a run that is over and forgotten, is somebody else's, or never
// was, hears the same bytes.
func TestForgottenForeignAndUnknownRunsAreAlike(t *testing.T) {
	one, two, _ := fleet(t, with(func(c *config.Config) { c.Runs.Keep = 200 * time.Millisecond }))
	ask := func(model string) string {
		c := one.dial("/ws/chat/s1")
		c.send(`{"type":"chat","id":"n","content":"word","model":"` + model + `"}`)
		run := c.next().RunID
		require.Equal(t, "chunk", c.next().Type)
		return run
	}
	foreign, forgotten := ask("echo-20ms-2000w"), ask("echo-0s-2w")
	until(t, "it is forgotten", func() bool {
		c := one.dial("/ws/chat/s1")
		c.send(`{"type":"resume","run_id":"` + forgotten + `"}`)
		return c.next().Code == "RUN_NOT_FOUND"
	})
	worker, secret, _ := strings.Cut(foreign, "-")
	asked := []struct{ session, run string }{
		{"s1", forgotten},
		{"s2", foreign},
		{"s1", worker + "-" + strings.Repeat("A", len(secret))},
		{"s1", strings.Repeat("A", len(worker)) + "-" + secret},
	}
	for _, word := range []string{"resume", "cancel", "over HTTP"} {
		heard := map[string]bool{}
		for _, a := range asked {
			answer := ""
			if word == "over HTTP" {
				status, body, _ := two.post("/api/chat/"+a.run+"/cancel", `{"session_id":"`+a.session+`"}`)
				require.Equal(t, http.StatusNotFound, status, body)
				answer = body
			} else {
				c := two.dial("/ws/chat/" + a.session)
				c.send(`{"type":"` + word + `","run_id":"` + a.run + `"}`)
				answer = c.raw()
			}
			require.Equal(t, "RUN_NOT_FOUND", parse(t, answer).Code)
			heard[strings.NewReplacer(a.run, "RUN", `"session_id":"`+a.session+`"`, "SESSION").Replace(answer)] = true
		}
		require.Len(t, heard, 1, word)
	}
}

// What a worker keeps of ended runs is bounded by runs.keep_bytes; the oldest go.
func TestKeptRunsAreBoundedInBytes(t *testing.T) {
	const size, runs = 64 << 10, 10
	w := start(t, wide, with(func(c *config.Config) { c.Runs.KeepBytes = 4 * size }))
	var kept []string
	for i := range runs {
		c := w.dial("/ws/chat/s1")
		c.send(fmt.Sprintf(`{"type":"chat","id":"n%d","content":"word","model":"echo-0s-64kb"}`, i))
		_, last := c.answer()
		require.Equal(t, "complete", last.Type)
		kept = append(kept, last.RunID)
	}
	found := 0
	for i, run := range kept {
		c := w.dial("/ws/chat/s1")
		c.send(`{"type":"resume","run_id":"` + run + `"}`)
		f := c.next()
		if f.Type == "error" {
			require.Equal(t, "RUN_NOT_FOUND", f.Code)
			require.Zero(t, found, "run %d went before an older one", i)
			continue
		}
		require.Len(t, f.Content, size)
		found++
	}
	require.Positive(t, found, "the newest is there")
	require.LessOrEqual(t, found, 4)
}

// runs.on_disconnect is the deployment's word where the client says none.
func TestTheDeploymentSaysWhatALostSocketMeans(t *testing.T) {
	for _, policy := range []string{protocol.OnDisconnectCancel, protocol.OnDisconnectContinue} {
		t.Run(policy, func(t *testing.T) {
			s := providertest.Say("a", "b", "c", "d")
			s.Pace = time.Second // far longer than anybody takes to notice
			v := providertest.New(t, s)
			w := start(t, asking(v, "sk-1"), with(func(c *config.Config) { c.Runs.OnDisconnect, c.Runs.Grace = policy, time.Hour }))
			leave := func(more string) {
				c := w.dial("/ws/chat/s1")
				c.send(`{"type":"chat","id":"n","content":"x","provider":"openai"` + more + `}`)
				require.Equal(t, "accepted", c.next().Type)
				require.Equal(t, "a", c.next().Content)
				c.CloseNow()
			}
			if policy == protocol.OnDisconnectCancel {
				leave("")
				v.WaitLeft(t, 1, 2*time.Second)
				leave(`,"on_disconnect":"continue"`)
				v.WaitOpen(t, 0, 10*time.Second)
				require.Equal(t, 1, v.Left(), "what the client says counts")
				return
			}
			leave("")
			v.WaitOpen(t, 0, 10*time.Second)
			require.Zero(t, v.Left(), "it ran to its end")
			leave(`,"on_disconnect":"cancel"`)
			v.WaitLeft(t, 1, 2*time.Second)
		})
	}
}
