package proc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// fetchTimeout bounds a question to a process: a paused one never answers.
const fetchTimeout = 2 * time.Second

// Admin is the operator's address of one process.
type Admin struct {
	Base  string // http://host:port
	Token string // empty = none
}

// ErrAbsent: the process does not have this address.
var ErrAbsent = errors.New("the server has no such address, or does not open it to us")

// Get asks without a body.
func (a Admin) Get(ctx context.Context, path string) (string, error) {
	return a.Ask(ctx, http.MethodGet, path, nil)
}

// Ask returns the body of an answer below 300. It keeps no connection: an idle
// one would count as a descriptor of the process that is measured.
func (a Admin) Ask(ctx context.Context, method, path string, body any) (string, error) {
	var text io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return "", err
		}
		text = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.Base+path, text)
	if err != nil {
		return "", err
	}
	req.Close = true
	if a.Token != "" {
		req.Header.Set("Authorization", "Bearer "+a.Token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := (&http.Client{Timeout: fetchTimeout, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 32<<20))
	switch {
	case err != nil:
		return "", err
	case resp.StatusCode == http.StatusNotFound:
		return "", fmt.Errorf("%s: %w", path, ErrAbsent)
	case resp.StatusCode >= 300:
		return "", fmt.Errorf("%s answered %d: %s", path, resp.StatusCode, strings.TrimSpace(string(data[:min(len(data), 200)])))
	}
	return string(data), nil
}
