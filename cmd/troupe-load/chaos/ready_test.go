package chaos

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/proc"
)

// TestWithdrawnIsWhenReadinessIsDenied, or when nobody answers any more.
func TestWithdrawnIsWhenReadinessIsDenied(t *testing.T) {
	const after = 200 * time.Millisecond
	var asked atomic.Int64
	began := time.Now()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if time.Since(began) > after {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	m := &member{}
	m.Admin = proc.Admin{Base: server.URL}
	r := &round{}
	require.Zero(t, <-r.withdrawn(t.Context(), &Step{}, m))
	require.Zero(t, asked.Load(), "nobody wanted to know")

	wanted := &Step{NotReady: lasting(time.Second)}
	require.Greater(t, <-r.withdrawn(t.Context(), wanted, m), after/2)
	require.Greater(t, asked.Load(), int64(1))
	server.Close()
	require.Positive(t, <-r.withdrawn(t.Context(), wanted, m))
	r.all.Wait()
}
