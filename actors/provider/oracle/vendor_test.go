package oracle

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	testKey   = "sk-oracle"
	testModel = "m-1"

	// patience bounds one question: nothing here is ever waited for.
	patience = time.Minute
)

// library is a vendor's own client.
type library interface {
	// ask streams one answer and says what it heard.
	ask(ctx context.Context, q *provider.Question) heard
}

// vendor is one wire's server with both of its clients.
type vendor struct {
	wire   faulty.Wire
	script atomic.Pointer[faulty.Script]  // of the next answers
	last   atomic.Pointer[faulty.Request] // the last question
	ours   provider.Provider
	theirs library
}

func newVendor(t testing.TB, wire faulty.Wire) *vendor {
	t.Helper()
	v := &vendor{wire: wire}
	srv, err := faulty.New(faulty.Options{
		Go:     func(_ string, f func()) { go f() },
		Script: func(*faulty.Request) faulty.Script { return *v.script.Load() },
		Asked:  func(r *faulty.Request) { v.last.Store(r) },
	})
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	v.ours = newOurs(t, string(wire), srv.BaseURL(wire))
	v.theirs = newTheirs(t, wire, srv.URL())
	return v
}

// newOurs is a provider as the server makes it.
func newOurs(t testing.TB, kind, base string) provider.Provider {
	t.Helper()
	c := provider.Config{Type: kind, BaseURL: base}
	require.NoError(t, c.Validate("vendor"))
	p, err := provider.New("vendor", c, provider.Deps{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.(interface{ Close() error }).Close()) })
	return p
}

// newTheirs is the vendor's library, told of nothing but the server at url.
func newTheirs(t testing.TB, wire faulty.Wire, url string) library {
	t.Helper()
	client := newClient(t)
	switch wire {
	case faulty.OpenAI:
		return newOpenAI(url, client)
	case faulty.Anthropic:
		return newAnthropic(url, client)
	default:
		return newGemini(t, url, client)
	}
}

// newClient keeps the libraries' connections apart and lets go of them at the
// end.
func newClient(t testing.TB) *http.Client {
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// ask asks the same through both clients.
func (v *vendor) ask(t testing.TB, q *provider.Question) (ours, theirs heard) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ours = askOurs(ctx, v.ours, q)
	theirs = v.theirs.ask(ctx, q)
	require.NoError(t, ctx.Err(), "a question took longer than %s", patience)
	return ours, theirs
}

// askOurs says what our codec heard.
func askOurs(ctx context.Context, p provider.Provider, q *provider.Question) heard {
	var e ear
	res, err := p.Stream(ctx, q, &e)
	h := heard{text: e.text.String(), reasoning: e.reasoning.String(), model: res.Model, finish: res.Finish, kind: whole, err: err}
	if u := res.Usage; u != nil {
		h.tokens = tokens{counted: true, in: u.InputTokens, out: u.OutputTokens, estimated: u.Estimated}
	}
	if err != nil {
		h.kind = "an error of no code"
		var told *protocol.Error
		if errors.As(err, &told) {
			h.kind = kindOfCode(told.Code)
		}
	}
	return h
}

// question is the shortest that every wire takes.
func question() *provider.Question {
	return &provider.Question{
		Model:     testModel,
		Messages:  []protocol.Message{{Role: protocol.RoleUser, Content: "Why is the sky blue?"}},
		MaxTokens: 64,
		Key:       protocol.NewSecret([]byte(testKey)),
	}
}
