package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/config"
)

// readmeServer is the address that the README speaks of.
const readmeServer = "http://localhost:8000"

// docServer starts what `make run` starts, on a port of its own, and returns
// its address once a worker has joined.
func docServer(t *testing.T, log zerolog.Logger, flags ...string) string {
	t.Helper()
	c, report, err := config.Load(config.Sources{Args: append([]string{"--http.listen=127.0.0.1:0"}, flags...)})
	require.NoError(t, err)
	_, err = config.Dev(c, report)
	require.NoError(t, err)
	return docServing(t, log, c)
}

// docServing runs a whole Troupe until the test ends.
func docServing(t *testing.T, log zerolog.Logger, c *config.Config) string {
	t.Helper()
	c.Overload.Enabled = false // the machine of the tests may be busy
	a, err := newApp(t.Context(), appOptions{Role: roleServe, Config: c, Log: log, Version: "test"})
	require.NoError(t, err)
	t.Cleanup(func() { a.stop(context.Background()) })
	joined := func() bool { return a.gateway.actors.Health().Workers == 1 }
	require.Eventually(t, joined, 5*time.Second, 5*time.Millisecond, "the worker's first beat")
	return "http://" + a.addr().String()
}

// TestReadmeCurl runs every curl line of the README as a reader would and
// compares what comes back with the block below it.
func TestReadmeCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		require.Empty(t, os.Getenv("CI"), "curl is not installed: .ci/install installs it")
		t.Skip("curl is not installed: the README's curl lines cannot be run")
	}
	page := readDoc(t, "README.md")
	server := docServer(t, zerolog.Nop())
	tries := readmeCurls(t, page)
	require.GreaterOrEqual(t, len(tries), 7, "health, chat, SSE, plain GET, upgrade, status, reset")
	for _, try := range tries {
		t.Run(try.name(), func(t *testing.T) {
			out := docShell(t, strings.ReplaceAll(try.line, readmeServer, server))
			if try.kind == "json" {
				requireDocJSON(t, try.want, out)
				return
			}
			require.Regexp(t, docPattern(try.want), strings.TrimSpace(out))
		})
	}
}

// readmeCurl is one curl line and what stands below it.
type readmeCurl struct{ line, kind, want string }

func (c readmeCurl) name() string {
	return regexp.MustCompile(`https?://localhost:8000\S*`).FindString(c.line)
}

var readmeBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```\n\n^```(json|text)\n(.*?)^```$")

// readmeCurls finds the blocks. Every fenced sh block must hold exactly one curl
// line and have its answer below, so that none escapes the test.
func readmeCurls(t *testing.T, page string) []readmeCurl {
	t.Helper()
	var list []readmeCurl
	for _, m := range readmeBlock.FindAllStringSubmatch(page, -1) {
		line := strings.TrimSpace(m[1])
		require.True(t, strings.HasPrefix(line, "curl ") && !strings.Contains(line, "\n"), line)
		require.Contains(t, line, readmeServer)
		list = append(list, readmeCurl{line: line, kind: m[2], want: m[3]})
	}
	require.Len(t, list, strings.Count(page, "```sh\n"), "a sh block without its answer below")
	return list
}

// curlTimedOut is how curl says that --max-time is over: the way a socket that
// nobody closes ends.
const curlTimedOut = 28

func docShell(t *testing.T, line string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == curlTimedOut && strings.Contains(line, "--max-time") {
		err = nil
	}
	require.NoError(t, err, "%s\n%s", line, errs.String())
	return strings.ReplaceAll(string(out), "\r\n", "\n")
}

// docPattern makes a whole-text expression of an expectation: … stands for
// anything within its line.
func docPattern(want string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(strings.TrimSpace(want))
	return regexp.MustCompile(`\A` + strings.ReplaceAll(quoted, "…", `[^\n]*`) + `\z`)
}

func requireDocJSON(t *testing.T, want, got string) {
	t.Helper()
	var w, g any
	require.NoError(t, json.Unmarshal([]byte(want), &w), want)
	require.NoError(t, json.Unmarshal([]byte(got), &g), got)
	require.True(t, docMatches(w, g), "README says\n%s\nand the server\n%s", want, got)
}

// docMatches compares decoded JSON: "…" is any value, a member named "…" stands
// for members that are left out.
func docMatches(want, got any) bool {
	switch w := want.(type) {
	case string:
		s, ok := got.(string)
		return w == "…" || ok && docPattern(w).MatchString(strings.TrimSpace(s))
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !docMatches(w[i], g[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		g, ok := got.(map[string]any)
		return ok && docMembersMatch(w, g)
	}
	return want == got
}

func docMembersMatch(want, got map[string]any) bool {
	_, open := want["…"]
	if !open && len(want) != len(got) {
		return false
	}
	for name, w := range want {
		g, there := got[name]
		if name != "…" && (!there || !docMatches(w, g)) {
			return false
		}
	}
	return true
}

// TestReadmeMatcher keeps the comparison itself honest.
func TestReadmeMatcher(t *testing.T) {
	for _, tt := range []struct {
		want, got string
		equal     bool
	}{
		{`{"a":"…"}`, `{"a":[1]}`, true},
		{`{"a":1,"…":"…"}`, `{"a":1,"b":2}`, true},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
		{`{"a":1,"b":"…"}`, `{"a":1}`, false},
		{`{"a":[{"b":true}]}`, `{"a":[{"b":false}]}`, false},
		{`{"a":["x"]}`, `{"a":["x","y"]}`, false},
		{`{"a":"x … z"}`, `{"a":"x y z"}`, true},
		{`{"a":"x"}`, `{"a":1}`, false},
	} {
		var w, g any
		require.NoError(t, json.Unmarshal([]byte(tt.want), &w))
		require.NoError(t, json.Unmarshal([]byte(tt.got), &g))
		require.Equal(t, tt.equal, docMatches(w, g), "%s against %s", tt.want, tt.got)
	}
	require.Regexp(t, docPattern("id: …:1\nb"), "id: x:1\nb")
	require.NotRegexp(t, docPattern("id: …"), "id: x\nmore")
}

// repoRoot is the repository as seen from this package.
const repoRoot = "../.."

// readDoc reads a file of the repository.
func readDoc(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(repoRoot, filepath.FromSlash(name)))
	require.NoError(t, err)
	return string(data)
}
