package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
)

// A run is stopped through a gateway that has never heard of it, before its first
// token and in the middle: whoever hears that it is cancelled finds the vendor
// left, and no chunk comes behind, on the sockets or on the bus.
func TestStopThroughAnotherGateway(t *testing.T) {
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		if r.Model == "mute" {
			return mute()
		}
		s := providertest.Say("word ")
		s.Repeats, s.Pace = 5000, 2*time.Millisecond
		return s
	})
	one, two, s := fleet(t, asking(v, "sk-1"))
	p := tapInto(t, s.URL())
	left := 0
	for _, model := range []string{"mute", "talks"} {
		for _, how := range []string{"run_id", "client_key", "resumed", "HTTP"} {
			t.Run(model+" by "+how, func(t *testing.T) {
				session := fmt.Sprintf("s%d", left)
				c := one.dial("/ws/chat/" + session)
				c.send(`{"type":"chat","id":"n","content":"x","provider":"openai","model":"` + model + `","client_key":"` + secretA + `"}`)
				run := c.next().RunID
				v.WaitOpen(t, 1, 5*time.Second)
				if model == "talks" {
					require.Equal(t, "word ", c.next().Content)
				}
				other, f := two.dial("/ws/chat/"+session), said{}
				switch how {
				case "HTTP":
					status, body, _ := two.post("/api/chat/"+run+"/cancel", `{"session_id":"`+session+`"}`)
					require.Equal(t, http.StatusOK, status, body)
					f = parse(t, body)
				case "resumed":
					other.send(`{"type":"resume","run_id":"` + run + `"}`)
					require.Equal(t, "snapshot", other.next().Type)
					other.send(`{"type":"cancel"}`)
					_, f = readOn(other)
				case "run_id":
					other.send(`{"type":"cancel","run_id":"` + run + `"}`)
					f = other.next()
				default:
					other.send(`{"type":"cancel","id":"n","client_key":"` + secretA + `"}`)
					f = other.next()
				}
				left++
				v.WaitLeft(t, left, 2*time.Second)
				require.Equal(t, []string{"cancelled", run}, []string{f.Type, f.RunID})
				_, last := readOn(c)
				require.Equal(t, []string{"cancelled", f.FullResponse}, []string{last.Type, last.FullResponse})
				for _, socket := range []*peer{c, other} { // nothing is behind the end
					socket.send(`{"type":"ping"}`)
					require.Equal(t, "pong", socket.next().Type)
				}
			})
		}
	}
	require.NoError(t, p.Flush())
	over, chunks := map[string]bool{}, 0
	for _, m := range p.heard(`\.events$`) {
		for line := range strings.Lines(string(m.Data)) {
			var e spoken
			require.NoError(t, json.Unmarshal([]byte(line), &e))
			follower := m.Subject + " " + e.To
			if e.Type == "chunk" {
				chunks++
				require.False(t, over[follower], "a chunk behind its cancelled")
			}
			over[follower] = over[follower] || e.Type == "cancelled"
		}
	}
	require.Positive(t, chunks)
	require.GreaterOrEqual(t, len(over), left)
}
