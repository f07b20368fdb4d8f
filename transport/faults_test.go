package transport

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// scriptedFaults knows one fault.
type scriptedFaults struct{ there bool }

func (f *scriptedFaults) Add(body []byte) (string, error) {
	if !strings.Contains(string(body), "connection") {
		return "", errors.New("actor: is missing: say what is to fail")
	}
	f.there = true
	return "f1", nil
}

func (f *scriptedFaults) List() any { return map[string]bool{"there": f.there} }

func (f *scriptedFaults) Clear() int {
	if f.Remove("f1") {
		return 1
	}
	return 0
}

func (f *scriptedFaults) Remove(id string) bool {
	was := f.there && id == "f1"
	f.there = f.there && !was
	return was
}

// breakable starts a gateway's or a worker's server with faults.
func breakable(t *testing.T, worker bool) (public, operators string) {
	t.Helper()
	c, f := operatorHTTP(), &scriptedFaults{}
	c.Listen = localHTTP().Listen
	c.AdminFrom = nil
	var s *Server
	var err error
	if worker {
		s, err = NewOperator(OperatorOptions{
			HTTP: c, WebSocket: DefaultWebSocket(), Worker: newScriptedWorker(), Log: zerolog.Nop(), Registry: prometheus.NewRegistry(), Faults: f,
		})
	} else {
		s, err = New(Options{
			HTTP: c, WebSocket: DefaultWebSocket(), Gateway: newScripted(), Log: zerolog.Nop(), Registry: prometheus.NewRegistry(), Faults: f,
		})
	}
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
	})
	if !worker {
		public = "http://" + s.Addrs()[0].String()
	}
	return public, "http://" + s.AdminAddr().String()
}

func TestFaultRoutes(t *testing.T) {
	for _, worker := range []bool{false, true} {
		_, base := breakable(t, worker)
		at := base + faultsPath
		require.Equal(t, `{"there":false}`+"\n", ask(t, "GET", at, "").body)
		require.Equal(t, 200, ask(t, "HEAD", at, "").status)

		bad := ask(t, "POST", at, `{}`)
		require.Equal(t, 400, bad.status)
		require.Equal(t, "INVALID_MESSAGE", bad.object(t)["code"])
		require.Contains(t, bad.body, "say what is to fail")
		require.Equal(t, 413, ask(t, "POST", at, strings.Repeat(" ", maxFaultBody+1)).status)

		set := ask(t, "POST", at, `{"actor":"connection"}`)
		require.Equal(t, 201, set.status)
		require.Equal(t, `{"id":"f1"}`+"\n", set.body)
		require.Equal(t, `{"there":true}`+"\n", ask(t, "GET", at, "").body)
		require.Equal(t, 404, ask(t, "DELETE", at+"/f2", "").status)
		gone := ask(t, "DELETE", at+"/f1", "")
		require.Equal(t, 204, gone.status)
		require.Empty(t, gone.body)
		require.Equal(t, 404, ask(t, "DELETE", at+"/f1", "").status)
		ask(t, "POST", at, `{"actor":"connection"}`)
		require.Equal(t, `{"cleared":1}`+"\n", ask(t, "DELETE", at, "").body)

		wrong := ask(t, "PUT", at, "")
		require.Equal(t, 405, wrong.status)
		require.Equal(t, "GET, POST, DELETE, HEAD", wrong.header.Get("Allow"))
		require.Equal(t, 405, ask(t, "GET", at+"/f1", "").status)
		require.Equal(t, 404, ask(t, "GET", at+"/f1/x", "").status)
		require.Equal(t, 404, ask(t, "GET", at, "", "Origin", "https://evil.example").status)
	}
}

// TestFaultsAreNoPublicMatter: a stranger sees what an unknown path shows.
func TestFaultsAreNoPublicMatter(t *testing.T) {
	public, _ := breakable(t, false)
	for _, method := range []string{"GET", "POST", "DELETE", "PUT", "OPTIONS", "HEAD"} {
		want := ask(t, method, public+"/api/debug/nothing", `{"actor":"connection"}`)
		require.Equal(t, http.StatusNotFound, want.status)
		want.header.Del("Date")
		for _, path := range []string{faultsPath, faultsPath + "/f1", "/api/debug/faults/"} {
			got := ask(t, method, public+path, `{"actor":"connection"}`)
			got.header.Del("Date")
			require.Equal(t, want, got, "%s %s", method, path)
		}
	}
}
