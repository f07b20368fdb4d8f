package natsproc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	module     = "github.com/troupe-chat/troupe"
	natsModule = "github.com/nats-io/nats-server/v2"
)

// Binary returns the path of nats-server, of the version that the module
// depends on. It is built once per version into the user's cache, which takes a
// minute or two; later calls cost one look at the file system. Whoever builds at
// the same time does no harm: the last rename wins, and the files are equal.
func Binary(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("natsproc: no place to keep nats-server, set HOME or XDG_CACHE_HOME: %w", err)
	}
	return binary(ctx, filepath.Join(cache, "troupe-test"))
}

func binary(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, fmt.Sprintf("nats-server-%s-%s-%s", server.VERSION, runtime.GOOS, runtime.GOARCH))
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("natsproc: %w", err)
	}
	if err := build(ctx, path); err != nil {
		return "", fmt.Errorf("natsproc: build nats-server %s: %w", server.VERSION, err)
	}
	return path, nil
}

// build puts nats-server at path, in one step.
func build(ctx context.Context, path string) error {
	root, err := moduleDir(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(path), "build-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	built := filepath.Join(temp, filepath.Base(path))
	if _, err := goTool(ctx, root, "build", "-o", built, natsModule); err != nil {
		return err
	}
	return os.Rename(built, path)
}

// moduleDir finds the source tree, whose go.mod decides the version.
func moduleDir(ctx context.Context) (string, error) {
	dir, err := goTool(ctx, "", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return "", fmt.Errorf("run this inside the source tree of %s: %w", module, err)
	}
	return dir, nil
}

func goTool(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // needs no C compiler
	out, err := cmd.Output()
	if err == nil {
		return strings.TrimSpace(string(out)), nil
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return "", fmt.Errorf("go %s: %w", args[0], err)
}
