package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// child is the process that is measured, from the outside.
type child struct {
	cmd   *exec.Cmd
	pid   int
	addr  string // where it accepts WebSockets
	stdin io.WriteCloser
	lines *bufio.Scanner // its standard output, after the address
	floor bool
	err   error // of the CPU clock, if ever
}

const startTimeout = 10 * time.Second

func buildTroupe(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "troupe")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "github.com/troupe-chat/troupe/cmd/troupe")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/troupe: %w\n%s", err, out)
	}
	return path, nil
}

func startTroupe(ctx context.Context, binary string, flags ...string) (*child, error) {
	args := append([]string{"serve", "--http.listen=127.0.0.1:0", "--log.format=json"}, flags...)
	return launch(exec.CommandContext(ctx, binary, args...), false)
}

func startFloor(ctx context.Context, f floorSpec) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return launch(exec.CommandContext(ctx, self, f.args()...), true)
}

// launch starts cmd and waits for the line that says where it listens.
func launch(cmd *exec.Cmd, floor bool) (*child, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var complaints bytes.Buffer
	cmd.Stderr = &firstBytes{buf: &complaints, room: 4 << 10}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, pid: cmd.Process.Pid, stdin: in, lines: bufio.NewScanner(out), floor: floor}
	late := time.AfterFunc(startTimeout, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	for c.lines.Scan() {
		fields := strings.Fields(c.lines.Text())
		if len(fields) == 2 && fields[0] == "listening" {
			c.addr = strings.TrimPrefix(fields[1], "http://")
			return c, nil
		}
	}
	c.stop()
	return nil, fmt.Errorf("%s did not start: %s", filepath.Base(cmd.Path), complaints.Bytes())
}

// stop ends the process without a goodbye: nothing it does then is measured.
func (c *child) stop() {
	_ = c.stdin.Close()
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait() // killed
}

// cpu is what the process has used so far, user and system together.
func (c *child) cpu() time.Duration {
	d, err := cpuTime(c.pid)
	c.err = errors.Join(c.err, err)
	return d
}

// checked is what a suite returns: its readings, unless the CPU clock failed.
func (c *child) checked(r readings) (readings, error) { return r, c.err }

// meter reads the CPU and the crowd's chunks now; what it returns reads them
// again and takes the difference.
func (c *child) meter(crowd *crowd) func() usage {
	cpu, chunks := c.cpu(), crowd.chunks()
	return func() usage { return usage{cpu: c.cpu() - cpu, chunks: crowd.chunks() - chunks} }
}

// usage is what a stretch of time cost and brought.
type usage struct {
	cpu    time.Duration
	chunks int64
}

func (u usage) perChunk() float64 { return micros(u.cpu) / float64(max(u.chunks, 1)) }

// firstBytes keeps the beginning of what a process complains about, and lets
// the rest go by.
type firstBytes struct {
	buf  *bytes.Buffer
	room int
}

// Write implements io.Writer.
func (f *firstBytes) Write(p []byte) (int, error) {
	f.buf.Write(p[:min(len(p), f.room-f.buf.Len())])
	return len(p), nil
}
