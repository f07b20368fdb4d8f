package main

import (
	"bufio"
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

// child is a process of its own that a suite uses or measures, from the outside.
// Its methods are for one goroutine.
type child struct {
	cmd   *exec.Cmd
	pid   int
	addr  string // where it listens
	stdin io.WriteCloser
	log   *os.File       // what it says on standard error
	lines *bufio.Scanner // its standard output, after the address
	err   error          // of the CPU clock, if ever
}

const startTimeout = 20 * time.Second

// buildTroupe builds the program that is measured, into dir.
func buildTroupe(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "troupe")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "github.com/troupe-chat/troupe/cmd/troupe")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/troupe: %w\n%s", err, out)
	}
	return path, nil
}

// launch starts cmd and waits for the line that begins with word and ends with
// the address where it listens. The child ends with its standard input.
func launch(cmd *exec.Cmd, word string) (*child, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	log, err := os.CreateTemp("", "troupe-bench-*.log") // a pipe would wake this process, which measures, for each line
	if err != nil {
		return nil, err
	}
	cmd.Stderr = log
	c := &child{cmd: cmd, stdin: in, log: log, lines: bufio.NewScanner(out)}
	if err := cmd.Start(); err != nil {
		c.forget()
		return nil, err
	}
	c.pid = cmd.Process.Pid
	late := time.AfterFunc(startTimeout, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	for c.lines.Scan() {
		fields := strings.Fields(c.lines.Text())
		if len(fields) == 2 && fields[0] == word {
			c.addr = strings.TrimPrefix(fields[1], "http://")
			return c, nil
		}
	}
	complaints := make([]byte, 4<<10)
	n, _ := log.ReadAt(complaints, 0) // what there is
	c.stop()
	return nil, fmt.Errorf("%s %s did not start: %s", filepath.Base(cmd.Path), strings.Join(cmd.Args[1:], " "), complaints[:n])
}

// stop ends the process without a goodbye: nothing it does then is measured.
func (c *child) stop() {
	_ = c.stdin.Close()
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait() // killed
	c.forget()
}

// forget lets go of the log.
func (c *child) forget() {
	_ = c.log.Close()
	_ = os.Remove(c.log.Name())
}

// ask sends one line and returns the line that answers it. Only our own small
// programs listen; see command.
func (c *child) ask(line string) (string, error) {
	if _, err := io.WriteString(c.stdin, line+"\n"); err != nil {
		return "", err
	}
	if !c.lines.Scan() {
		return "", errors.Join(io.ErrUnexpectedEOF, c.lines.Err())
	}
	answer := c.lines.Text()
	if trouble, ok := strings.CutPrefix(answer, "error "); ok {
		return "", fmt.Errorf("%s: %s", line, trouble)
	}
	return answer, nil
}

// cpu is what the process has used so far, user and system together.
func (c *child) cpu() time.Duration {
	d, err := cpuTime(c.pid)
	c.err = errors.Join(c.err, err)
	return d
}

// checked is what a side returns: its readings, unless the CPU clock failed.
func (c *child) checked(r readings) (readings, error) { return r, c.err }

// meter reads the CPU and a count now; what it returns reads them again and
// takes the difference.
func (c *child) meter(count func() int64) func() usage {
	cpu, n := c.cpu(), count()
	return func() usage { return usage{cpu: c.cpu() - cpu, chunks: count() - n} }
}

// usage is what a stretch of time cost and brought.
type usage struct {
	cpu    time.Duration
	chunks int64
}

func (u usage) perChunk() float64 { return micros(u.cpu) / float64(max(u.chunks, 1)) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
