package transport

import (
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// scriptedTree knows one kind and one actor, and what it was asked.
type scriptedTree struct {
	mu    sync.Mutex
	asked []protocol.ActorsQuery
}

func (s *scriptedTree) Actors(q protocol.ActorsQuery) (protocol.Actors, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, q)
	if q.ID != "" && q.ID != "gateway-X/connections/c1" {
		return protocol.Actors{}, protocol.ErrNoActor
	}
	return protocol.Actors{Role: "serve", At: time.Unix(0, 0).UTC()}, nil
}

func (s *scriptedTree) take() []protocol.ActorsQuery {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

func TestActorsQueries(t *testing.T) {
	tree := &scriptedTree{}
	s, base := startOperator(t, newScriptedWorker(), operatorHTTP())
	s.tree = tree
	for _, tt := range []struct {
		query  string
		status int
		asked  []protocol.ActorsQuery
	}{
		{"", 200, []protocol.ActorsQuery{{}}},
		{"?kind=run", 200, []protocol.ActorsQuery{{Kind: "run"}}},
		{"?kind=run&limit=1", 200, []protocol.ActorsQuery{{Kind: "run", Limit: 1}}},
		{"?kind=run&limit=10000", 200, []protocol.ActorsQuery{{Kind: "run", Limit: 10000}}},
		{"?kind=run&limit=0", 400, nil},
		{"?kind=run&limit=10001", 400, nil},
		{"?kind=run&limit=-1", 400, nil},
		{"?kind=run&limit=many", 400, nil},
		{"?kind=run&limit=9223372036854775808", 400, nil},
		{"?kind=", 400, nil},
		{"?limit=5", 400, nil},
		{"?kind=run&kind=run", 400, nil},
		{"?id=gateway-X/connections/c1", 200, []protocol.ActorsQuery{{ID: "gateway-X/connections/c1"}}},
		{"?id=gateway-X%2Fconnections%2Fc1", 200, []protocol.ActorsQuery{{ID: "gateway-X/connections/c1"}}},
		{"?id=a&kind=run", 400, nil},
		{"?id=a&limit=5", 400, nil},
		{"?all=1", 400, nil},
		{"?a;b", 400, nil},
		{"?kind=%zz", 400, nil},
		{"?id=nobody", 404, []protocol.ActorsQuery{{ID: "nobody"}}},
	} {
		r := ask(t, "GET", base+actorsPath+tt.query, "")
		require.Equal(t, tt.status, r.status, tt.query)
		require.Equal(t, tt.asked, tree.take(), tt.query)
		if tt.status != 200 {
			require.Equal(t, "INVALID_MESSAGE", r.object(t)["code"], tt.query)
			require.NotContains(t, r.body, "many", "what was asked is not repeated")
		}
	}
	for _, id := range []string{strings.Repeat("x", 7000), "../../etc/passwd", "\x00\n", "gateway-\u202eX", "日本語", "%", "eventstream", " "} {
		r := ask(t, "GET", base+actorsPath+"?id="+url.QueryEscape(id), "")
		require.Equal(t, 404, r.status, "%q", id)
		require.Less(t, len(r.body), 300, "%q is not repeated", id)
	}
	require.Equal(t, 405, ask(t, "POST", base+actorsPath, "").status)
	require.Equal(t, 404, ask(t, "GET", base+actorsPath, "", "Origin", "https://evil.example").status)
}
