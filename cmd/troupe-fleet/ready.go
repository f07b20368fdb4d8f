package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/troupe-chat/troupe/bus/natsproc"
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
