package actors

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// idleSocket is a client that says nothing and is told nothing.
type idleSocket struct{ Socket }

func (idleSocket) Next()                {}
func (idleSocket) Send(*protocol.Frame) {}
func (idleSocket) Close(protocol.Code)  {}

// Nothing holds a connection that is gone, however many were there at once.
func TestAPeakLeavesNobodyBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := defaultPlan()
		p.pool.MaxPerIP = 0
		h := build(t, p)
		var gone []weak.Pointer[Session]
		func() {
			var all []*Session
			for range 64 {
				all = append(all, h.gateway.Open(idleSocket{}, protocol.Client{Kind: protocol.WebSocket, Session: "s1", Address: "192.0.2.1"}))
			}
			synctest.Wait()
			for _, s := range all {
				require.True(t, s.marked(markAdmitted))
				gone = append(gone, weak.Make(s))
				s.Closed(protocol.CauseGone)
			}
		}()
		pass(2 * time.Second)
		require.Zero(t, h.gateway.Status().Actors.Connection)
		runtime.GC()
		runtime.GC()
		held := 0
		for _, p := range gone {
			if p.Value() != nil {
				held++
			}
		}
		require.Zero(t, held)
	})
}
