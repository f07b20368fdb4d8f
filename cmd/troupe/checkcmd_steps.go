package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// fail turns any error of a step into its outcome.
func fail(err error) outcome {
	var t *trouble
	if !errors.As(err, &t) {
		t = &trouble{What: err.Error()}
	}
	return outcome{trouble: t}
}

// get fetches JSON from a path of the server. status is 0 without an answer.
func (k *check) get(ctx context.Context, into any, path ...string) (status int, err error) {
	address := k.base.JoinPath(path...)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return 0, err
	}
	if !k.token.Empty() {
		req.Header.Set("Authorization", "Bearer "+string(k.token.Reveal()))
	}
	resp, err := k.http.Do(req)
	if err != nil {
		return 0, explain(address, nil, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
		return resp.StatusCode, explainStatus(address, resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return resp.StatusCode, explain(address, nil, err)
	}
	if json.Unmarshal(body, into) != nil {
		return resp.StatusCode, &trouble{What: address.String() + " does not answer as Troupe does", Remedy: "give the address and port of Troupe, with the path a proxy puts before it"}
	}
	return resp.StatusCode, nil
}

// anyHealth is what a gateway or a worker answers: role tells which.
type anyHealth struct {
	protocol.Health
	Role     string `json:"role"`
	Active   int    `json:"active"`
	Capacity int    `json:"capacity"`
}

func (h anyHealth) note() string {
	if h.Role == protocol.RoleWorker {
		return fmt.Sprintf("worker %s, version %s, bus %s, runs %d of %d", h.Status, h.Version, h.Bus, h.Active, h.Capacity)
	}
	return fmt.Sprintf("%s, version %s, bus %s, workers %d, limiter %s", h.Status, h.Version, h.Bus, h.Workers, h.Limiter)
}

func (k *check) health(ctx context.Context) outcome {
	var h anyHealth
	status, err := k.get(ctx, &h, "api", "health")
	if err != nil {
		return fail(err)
	}
	if h.Status == "" {
		return fail(&trouble{What: k.base.Host + " does not answer as Troupe does", Remedy: "check the address and port"})
	}
	k.reached = true
	k.worker = h.Role == protocol.RoleWorker
	note := h.note()
	if status == http.StatusOK {
		return outcome{note: note}
	}
	remedy := "look at the server's log"
	switch {
	case h.Status == "draining":
		remedy = "this server is shutting down: ask another one, or wait for its restart"
	case h.Bus != "ok":
		remedy = protocol.Lookup(protocol.BusUnavailable).Advice
	case !k.worker && h.Workers == 0:
		remedy = protocol.Lookup(protocol.NoWorkers).Advice
	}
	return fail(&trouble{What: note, Remedy: remedy})
}

// open connects and asks for a pong: a server reads no frame before it has
// admitted the connection, so a pong is the proof and a limit shows as a frame.
func (k *check) open(ctx context.Context, origin string) (*client, error) {
	header := http.Header{}
	if origin != "" {
		header.Set("Origin", origin)
	}
	c, err := dial(ctx, chatAddress(k.base, checkSession, ""), header)
	if err != nil {
		return nil, err
	}
	if err = c.send(ctx, []byte(`{"type":"ping"}`)); err != nil {
		c.close()
		return nil, err
	}
	for {
		f, err := c.read(ctx)
		switch {
		case err != nil:
			c.close()
			return nil, err
		case f.Type == protocol.TypeError:
			c.close()
			return nil, f.trouble()
		case f.Type == protocol.TypePong:
			return c, nil
		}
	}
}

func (k *check) upgrade(ctx context.Context, origin string) outcome {
	c, err := k.open(ctx, origin)
	if err != nil {
		return fail(err)
	}
	defer c.close()
	c.leave(ctx)
	return outcome{note: origin}
}

func (k *check) refused(ctx context.Context) outcome {
	c, err := dial(ctx, chatAddress(k.base, checkSession, ""), http.Header{"Origin": {strangeOrigin}})
	if err == nil {
		c.close()
		return fail(&trouble{What: "a page of " + strangeOrigin + " may open sockets here", Remedy: "take the rule that allows it out of http.allowed_origins and http.extra_origins, or stop the proxy from rewriting Origin"})
	}
	var t *trouble
	if errors.As(err, &t) && t.Code == protocol.OriginNotAllowed {
		return outcome{}
	}
	return fail(err)
}

func (k *check) chat(ctx context.Context) outcome {
	c, err := k.open(ctx, "")
	if err != nil {
		return fail(err)
	}
	defer c.close()
	ask := k.ask
	ask.Type, ask.ID, ask.Content, ask.MaxTokens = protocol.TypeChat, "1", "Say hello.", 64
	ask.OnDisconnect = protocol.OnDisconnectCancel
	if err := c.send(ctx, ask.encode()); err != nil {
		return fail(err)
	}
	var text strings.Builder
	chunks := 0
	for {
		f, err := c.read(ctx)
		switch {
		case err != nil:
			return fail(err)
		case f.Type == protocol.TypeError:
			return fail(f.trouble())
		case f.Type == protocol.TypeChunk:
			chunks++
			text.WriteString(f.Content)
		case f.Type == protocol.TypeComplete:
			c.leave(ctx)
			return answered(f, chunks, text.String())
		}
	}
}

// answered judges a complete: it must hold exactly what the chunks said.
func answered(f frame, chunks int, text string) outcome {
	switch {
	case chunks == 0:
		return fail(&trouble{What: "the answer came without a chunk", Remedy: "ask another model, or look at the server's log"})
	case f.FullResponse != text:
		return fail(&trouble{What: "the chunks are not the full response", Remedy: "something between changes frames: look at the proxy"})
	}
	return outcome{note: fmt.Sprintf("%d chunks and a complete from %s %s", chunks, f.Provider, f.Model)}
}

func (k *check) limits(ctx context.Context) outcome {
	var s protocol.Status
	status, err := k.get(ctx, &s, "api", "debug", "websocket-status")
	switch {
	case status == http.StatusNotFound && !k.token.Empty():
		return fail(&trouble{What: "the server does not take this token", Remedy: "give the value of http.admin_token"})
	case status == http.StatusNotFound:
		return outcome{skipped: true, note: "shown to operators alone; run this on the server, or give --token-from-env"}
	case err != nil:
		return fail(err)
	}
	return outcome{note: fmt.Sprintf("%s; %s; %s; %d connections, %d per address",
		s.RateLimiter.ConnectionLimit, s.RateLimiter.MessageLimit, s.RateLimiter.SessionLimit,
		s.ConnectionPool.MaxConnections, s.ConnectionPool.MaxPerIP)}
}
