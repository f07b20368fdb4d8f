package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// machine says where and of what the numbers are.
type machine struct {
	date, processor, system, kernel, compiler, commit, reader string
	cores                                                     int
}

func thisMachine(ctx context.Context, reader string) machine {
	if reader == "" {
		reader = "the server's choice"
	}
	return machine{
		date: time.Now().UTC().Format(time.DateOnly), processor: processor(), cores: runtime.NumCPU(),
		system: runtime.GOOS + "/" + runtime.GOARCH, kernel: kernel(), compiler: runtime.Version(), commit: commit(ctx), reader: reader,
	}
}

// String is one line of Markdown.
func (m machine) String() string {
	return fmt.Sprintf("**troupe-bench**, %s · %s, %d cores, %s %s · %s · commit %s · websocket.reader: %s",
		m.date, m.processor, m.cores, m.system, m.kernel, m.compiler, m.commit, m.reader)
}

func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// commit is that of the working directory, where it is a repository, else that
// of which this program was built.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err == nil {
		return strings.TrimSpace(string(out))
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}
