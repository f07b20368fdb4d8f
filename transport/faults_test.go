package transport

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
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
func breakable(t *testing.T, worker bool, change ...func(*HTTPConfig)) (public, operators string) {
	t.Helper()
	c, f := operatorHTTP(change...), &scriptedFaults{}
	c.Listen = localHTTP().Listen
	var s *Server
	var err error
	if worker {
		s, err = NewOperator(OperatorOptions{
			HTTP: c, WebSocket: DefaultWebSocket(), Worker: newScriptedWorker(), Log: zerolog.Nop(), Registry: prometheus.NewRegistry(), Faults: f,
		})
	} else {
		s, err = New(Options{
			HTTP: c, WebSocket: DefaultWebSocket(), Gateway: newScripted(), Tree: &scriptedTree{}, Log: zerolog.Nop(), Registry: prometheus.NewRegistry(), Faults: f,
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
	if at := s.AdminAddr(); at != nil {
		operators = "http://" + at.String()
	}
	return public, operators
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
	public, _ := breakable(t, false, func(c *HTTPConfig) { c.AdminFrom = nil })
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

// silentProxy passes on what it gets to base, as a proxy does that names its
// upstream in Host and adds no header.
func silentProxy(t *testing.T, base string) string {
	t.Helper()
	upstream, err := url.Parse(base)
	require.NoError(t, err)
	p := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) }})
	t.Cleanup(p.Close)
	return p.URL
}

// TestFaultsNeedAPortOrAToken: a person on the machine looks like a proxy there
// that adds no header, so neither sets faults on the public port.
func TestFaultsNeedAPortOrAToken(t *testing.T) {
	const token = "correct-horse-battery"
	public, operators := breakable(t, false)
	tokened, _ := breakable(t, false, func(c *HTTPConfig) { c.AdminListen, c.AdminToken = "", protocol.NewSecret([]byte(token)) })
	for _, base := range []string{public, silentProxy(t, public), tokened, silentProxy(t, tokened)} {
		for method, path := range map[string]string{"POST": faultsPath, "GET": faultsPath, "HEAD": faultsPath, "DELETE": faultsPath + "/f1"} {
			got := ask(t, method, base+path, `{"actor":"connection"}`, "Host", "localhost")
			require.Equal(t, http.StatusNotFound, got.status, "%s %s", method, base)
		}
	}
	require.Equal(t, http.StatusOK, ask(t, "GET", public+actorsPath, "").status, "a person on the machine operates it otherwise")
	require.Equal(t, http.StatusCreated, ask(t, "POST", operators+faultsPath, `{"actor":"connection"}`).status)
	for _, base := range []string{tokened, silentProxy(t, tokened)} {
		require.Equal(t, http.StatusCreated, ask(t, "POST", base+faultsPath, `{"actor":"connection"}`, "Authorization", "Bearer "+token).status)
		require.Equal(t, http.StatusOK, ask(t, "DELETE", base+faultsPath, "", "Authorization", "Bearer "+token).status)
	}
}

// TestARefusedFaultNamesTheRemedy: in the log, for the answer tells strangers
// nothing.
func TestARefusedFaultNamesTheRemedy(t *testing.T) {
	out := &lines{}
	s, err := New(Options{
		HTTP: localHTTP(), WebSocket: DefaultWebSocket(), Gateway: newScripted(), Log: zerolog.New(out), Registry: prometheus.NewRegistry(), Faults: &scriptedFaults{},
	})
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, s.Shutdown(context.WithoutCancel(t.Context()))) })
	require.Equal(t, http.StatusNotFound, ask(t, "GET", "http://"+s.Addrs()[0].String()+faultsPath, "").status)
	refused := out.with("operator address refused")
	require.Len(t, refused, 1)
	require.Contains(t, refused[0], "faults are set on http.admin_listen or with the token of http.admin_token alone")
}
