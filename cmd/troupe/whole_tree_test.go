package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport/protocol"
)

const actorsPath = "/api/debug/actors"

// actors asks for the tree of a gateway.
func (w *whole) actors(query string) (a protocol.Actors) {
	w.t.Helper()
	code, body, _ := w.get(actorsPath + query)
	require.Equal(w.t, http.StatusOK, code, body)
	require.NoError(w.t, json.Unmarshal([]byte(body), &a))
	return a
}

// kind finds one kind in the whole tree.
func (w *whole) kind(kind string) protocol.ActorKind {
	w.t.Helper()
	for _, k := range w.actors("").Kinds {
		if k.Kind == kind {
			return k
		}
	}
	require.Fail(w.t, "the kind is not there", kind)
	return protocol.ActorKind{}
}

// Fifty clients, ten of which ask: the tree has them all, and a crash counts
// where it was.
func TestTreeCounts(t *testing.T) {
	p := &trap{}
	w := start(t, wide, p.option)
	peers := make([]*peer, 50)
	for i := range peers {
		peers[i] = w.dial(fmt.Sprintf("/ws/chat/s%d", i)).admitted()
	}
	runs := map[string]bool{}
	for _, c := range peers[:10] {
		c.send(`{"type":"chat","id":"1","content":"x","model":"echo-20ms-1000w"}`)
		runs[c.next().RunID] = true
	}
	connections, run := w.kind("connection"), w.kind("run")
	require.Equal(t, []int{50, 10}, []int{connections.Actors, run.Actors})
	require.EqualValues(t, []uint64{50, 0, 0}, []uint64{connections.Started, connections.Panics, connections.Restarts})

	list := w.actors("?kind=run&limit=7")
	require.Equal(t, 10, *list.Count)
	require.Len(t, list.List, 7)
	for _, a := range list.List {
		require.True(t, runs[a.RunID], a.RunID)
		require.Equal(t, "echo", a.Provider)
		one := w.actors("?id=" + url.QueryEscape(a.Actor)).Actor
		require.Equal(t, a.RunID, one.RunID)
		require.True(t, strings.HasSuffix(one.Parent, "/provider-echo"), one.Parent)
	}
	turns := 0
	for _, a := range w.actors("?kind=connection").List {
		require.Equal(t, "websocket", a.Client)
		require.NotEmpty(t, a.Connection)
		turns += *a.Turns
	}
	require.Equal(t, 10, turns)

	p.set("connection", "asked")
	peers[49].send(`{"type":"ping"}`)
	until(t, "its actor is gone", func() bool { return w.kind("connection").Actors == 49 })
	p.set("pool", "vacated")
	peers[48].CloseNow()
	until(t, "the pool is back", func() bool { return w.kind("pool").Restarts == 1 && w.kind("connection").Actors == 48 })
	connections, pool := w.kind("connection"), w.kind("pool")
	require.EqualValues(t, []uint64{50, 1, 0}, []uint64{connections.Started, connections.Panics, connections.Restarts})
	require.EqualValues(t, []uint64{1, 1, 1}, []uint64{pool.Started, pool.Panics, pool.Restarts})
	require.Equal(t, map[string]uint64{"pool": 1}, w.status().Actors.Restarts)

	code, out, errs := started(t, nil, "", "tree", "http://"+w.addr().String())
	require.Zero(t, code, errs)
	require.Regexp(t, `(?m)^   └─ connection +48 +50 +1 +- `, out)
	require.Regexp(t, `(?m)^│  └─ run +10 +10 +0 +- `, out)
	code, out, errs = started(t, nil, "", "tree", w.addr().String(), "--kind", "run")
	require.Zero(t, code, errs)
	require.Contains(t, out, "run: 10 live, 10 listed")
	code, out, errs = started(t, nil, "", "tree", w.addr().String(), "--id", list.List[0].Actor)
	require.Zero(t, code, errs)
	require.Contains(t, out, "run         "+list.List[0].RunID)
	code, out, errs = started(t, nil, "", "tree", w.addr().String(), "--json")
	require.Zero(t, code, errs)
	var a struct {
		URL string
		protocol.Actors
	}
	require.NoError(t, json.Unmarshal([]byte(out), &a))
	require.Equal(t, "serve", a.Role)
	require.Len(t, a.Tree, 2)
}

// An actor that hangs is seen while it does, and nobody waits for it.
func TestTreeShowsWhoHangs(t *testing.T) {
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	f := &faults{}
	w := start(t, wide, f.install)
	t.Cleanup(free)
	f.set(func(kind, message string) {
		if kind == "roster" && message == "*actors.beatHeard" {
			<-release
		}
	})
	largest := func() (all []protocol.Actor) {
		for _, a := range w.actors("").Largest {
			if a.Kind == "roster" {
				all = append(all, a)
			}
		}
		return all
	}
	const long = protocol.Duration(500 * time.Millisecond)
	until(t, "both rosters are busy, and what waits for them grows old", func() bool {
		all := largest()
		return len(all) == 2 && all[0].State == "busy" && all[0].Waiting > 2 && all[0].Oldest > long && all[0].Busy >= all[0].Oldest
	})
	before := largest()[0]
	until(t, "and older, and more", func() bool {
		a := largest()[0]
		return a.Waiting > before.Waiting && a.Oldest > before.Oldest && a.Busy > before.Busy
	})
	free()
	until(t, "they have caught up", func() bool { return w.kind("roster").Waiting == 0 })
}

func TestTreeOfAWorker(t *testing.T) {
	s := bustest.Server(t)
	w := start(t, over(s, roleWorker), with(withPort))
	g := start(t, over(s, roleGateway))
	g.knows(1)
	c := g.dial("/ws/chat/s").admitted()
	c.send(`{"type":"chat","id":"1","content":"x","model":"echo-20ms-1000w"}`)
	run := c.next().RunID

	status, body := askWorker(t, w.app, actorsPath+"?kind=run")
	require.Equal(t, http.StatusOK, status, body)
	var a protocol.Actors
	require.NoError(t, json.Unmarshal([]byte(body), &a))
	require.Equal(t, "worker", a.Role)
	require.Equal(t, run, a.List[0].RunID)
	require.Zero(t, g.kind("connection").Panics)
	for _, k := range g.actors("").Kinds {
		require.NotEqual(t, "run", k.Kind, "it lives elsewhere")
	}
	worker := "http://" + w.worker.server.AdminAddr().String()
	code, out, errs := started(t, nil, "", "tree", g.http(""), worker, "http://"+freeAddress(t))
	require.Equal(t, 1, code)
	require.Regexp(t, `(?s)  gateway  .*└─ connection +1 .*  worker  .*└─ run +1 `, out)
	require.Contains(t, errs, "nothing listens on")
	require.Contains(t, errs, "http.admin_listen")
}

func TestTreeIsForOperators(t *testing.T) {
	const token = "0123456789abcdef"
	w := start(t, with(func(c *config.Config) { c.HTTP.AdminToken = protocol.NewSecret([]byte(token)) }))
	code, out, errs := started(t, nil, "", "tree", w.http(""))
	require.Equal(t, 1, code)
	require.Empty(t, out)
	require.Contains(t, errs, "shows its actors to operators alone")
	require.Contains(t, errs, "http.admin_token")
	require.Contains(t, errs, "http.admin_listen")
	code, _, errs = started(t, []string{"T=wrong"}, "", "tree", w.http(""), "--token-from-env", "T")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "does not take this token")
	code, out, errs = started(t, []string{"T=" + token}, "", "tree", w.http(""), "--token-from-env", "T")
	require.Zero(t, code, errs)
	require.Contains(t, out, "└─ connections")
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--id", "nobody"}, 1, "no living actor has this id"},
		{[]string{"--kind", "nobody"}, 1, "limiter"},
		{[]string{"--kind", "run", "--id", "x"}, 2, "--id and --kind"},
		{[]string{"--every", "1ms"}, 2, "--every: at least 100ms"},
		{[]string{"ftp://x"}, 2, "ftp"},
	} {
		args := append([]string{"tree", w.http(""), "--token-from-env", "T"}, tt.args...)
		code, _, errs := started(t, []string{"T=" + token}, "", args...)
		require.Equal(t, tt.code, code, "%v: %s", tt.args, errs)
		require.Contains(t, strings.ToLower(errs), tt.says, "%v", tt.args)
		require.NotContains(t, errs, token)
	}
	_, body, _ := w.do(must(http.NewRequestWithContext(t.Context(), http.MethodGet, w.http(actorsPath), nil)))
	require.NotContains(t, body, "gateway-")
}

func must(r *http.Request, err error) *http.Request {
	if err != nil {
		panic(err)
	}
	return r
}

// The picture is drawn over and over into the same place, as large as the window
// is at that moment, and the terminal gets its own screen back at the end.
func TestTreeLives(t *testing.T) {
	w := start(t)
	base, err := parseTarget(w.http(""))
	require.NoError(t, err)
	out := &lockedBuffer{}
	var size sync.Map
	size.Store("rows", 5)
	watch := &treeWatch{
		bases: []*url.URL{base}, http: newHTTPClient(), query: url.Values{}, out: out, errs: out, colour: true,
		size: func() (int, int) { rows, _ := size.Load("rows"); return 80, rows.(int) },
	}
	defer watch.http.CloseIdleConnections()
	interrupts := make(chan os.Signal, 1)
	over := make(chan error, 1)
	go func() { over <- watch.live(context.Background(), treeQuickest, interrupts) }()
	until(t, "it is cut to the window", func() bool { return strings.Contains(out.String(), " more lines") })
	size.Store("rows", 50)
	until(t, "it is drawn again, in whole and with rates", func() bool {
		last := out.String()[strings.LastIndex(out.String(), screenHome):]
		return !strings.Contains(last, " more lines") && strings.Contains(last, "provider-echo") && strings.Contains(last, "  /s  ")
	})
	interrupts <- os.Interrupt
	require.NoError(t, <-over)
	require.True(t, strings.HasPrefix(out.String(), screenEnter))
	require.True(t, strings.HasSuffix(out.String(), screenLeave))
}
