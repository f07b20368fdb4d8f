package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/troupe-chat/troupe/bus/natsproc"
)

const (
	askEvery   = 20 * time.Millisecond
	askTimeout = 2 * time.Second
)

// buildTroupe builds the measured program into dir, from the source tree that
// this is run in, and returns its path.
func buildTroupe(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "troupe")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "github.com/troupe-chat/troupe/cmd/troupe")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/troupe, to be run inside the source tree: %w\n%s", err, out)
	}
	return path, nil
}

// freePort returns a TCP port of 127.0.0.1 that nobody listens on and that stays
// usable while its owner is being restarted.
func freePort() (int, error) { return natsproc.FreePort() }

// waitReady asks url until it answers 200. When ctx ends first, the error says
// what the last answer was.
func waitReady(ctx context.Context, url string) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: askTimeout}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		last := ask(ctx, client, url)
		if last == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; the last answer: %w", url, context.Cause(ctx), last)
		}
	}
}

func ask(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	return nil
}
