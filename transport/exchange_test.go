package transport

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// recorded runs an exchange in fake time, without a network.
func recorded(events bool, ask protocol.Request, script func(k *sink)) (*httptest.ResponseRecorder, *scripted, protocol.Cause) {
	w, gw := httptest.NewRecorder(), newScripted()
	gw.answer = func(Socket, protocol.Request) {}
	x := &exchange{w: w, rc: http.NewResponseController(w), session: "s", events: events}
	x.sink = newSink(1<<10, !events, func() {})
	go script(x.sink)
	cause := x.run(httptest.NewRequest(http.MethodPost, "/api/chat", nil), &scriptedSession{g: gw, socket: x.sink}, ask)
	return w, gw, cause
}

func TestSilenceIsFilledWithComments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, cause := recorded(true, &protocol.Chat{}, func(k *sink) {
			k.Next()
			k.Send(&protocol.Frame{Type: protocol.TypeAccepted, RunID: "r"})
			time.Sleep(50 * time.Second)
			k.Send(&protocol.Frame{Type: protocol.TypeComplete, RunID: "r", Seq: 1})
		})
		require.Equal(t, protocol.CauseClient, cause)
		require.Equal(t, 3, strings.Count(w.Body.String(), ":\n\n"))
	})
}

func TestNobodyAdmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := protocol.NewSecret([]byte("sk-canary"))
		began := time.Now()
		w, gw, cause := recorded(false, &protocol.Chat{Keys: map[string]protocol.Secret{"openai": key}}, func(*sink) {})
		require.Equal(t, admissionTimeout, time.Since(began))
		require.Equal(t, protocol.CauseAdmission, cause)
		require.Equal(t, http.StatusInternalServerError, w.Code)
		require.Empty(t, gw.requests)
		require.NotContains(t, string(key.Reveal()), "canary", "a key that nobody took is wiped")
	})
}

func TestStreamThatEndsWithoutResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, cause := recorded(true, &protocol.Chat{}, func(k *sink) {
			k.Next()
			k.Send(&protocol.Frame{Type: protocol.TypeAccepted, RunID: "r"})
			synctest.Wait()
			k.Close(protocol.ShuttingDown)
		})
		require.Equal(t, protocol.CauseServer, cause)
		require.Equal(t, http.StatusOK, w.Code)
		require.Contains(t, w.Body.String(), `event: error`)
		require.Contains(t, w.Body.String(), `"code":"SHUTTING_DOWN"`)
	})
}
