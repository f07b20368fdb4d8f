package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/actors/upstream"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport/protocol"
)

const providersPage = "docs/providers.md"

// providersSection is the text below a heading of level 2 of the page.
func providersSection(t *testing.T, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut(readDoc(t, providersPage), "\n## "+heading+"\n")
	require.True(t, found, "%s has no section %s", providersPage, heading)
	section, _, _ := strings.Cut(rest, "\n## ")
	return section
}

// fenced lists the blocks of a kind; "" is a block without one.
func fenced(t *testing.T, page, kind string) (blocks []string) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		if m[1] == kind {
			blocks = append(blocks, m[2])
		}
	}
	require.NotEmpty(t, blocks, "no block of %q", kind)
	return blocks
}

// loadSnippet loads a block of the page as the configuration file.
func loadSnippet(snippet string) (*config.Config, error) {
	c, _, err := config.Load(config.Sources{
		ConfigFile: "troupe.yaml", Env: []string{"OPENAI_API_KEY=k-1", "OPENAI_SPARE=k-3"},
		ReadFile: func(path string) ([]byte, error) {
			switch path {
			case "troupe.yaml":
				return []byte(snippet), nil
			case "/run/secrets/openai-second":
				return []byte("k-2\n"), nil
			}
			return nil, errors.New("the page names no such file")
		},
	})
	return c, err
}

// TestProvidersPageConfiguration loads every block of YAML and makes every
// provider that it configures.
func TestProvidersPageConfiguration(t *testing.T) {
	named := map[string]bool{}
	for _, block := range fenced(t, readDoc(t, providersPage), "yaml") {
		c, err := loadSnippet(block)
		require.NoError(t, err, block)
		for name, p := range c.Providers {
			named[name] = true
			made, err := provider.New(name, p, provider.Deps{Log: zerolog.Nop(), FaultyURL: func(string) string { return "http://127.0.0.1:1/v1" }})
			require.NoError(t, err, block)
			if closer, ok := made.(io.Closer); ok {
				require.NoError(t, closer.Close())
			}
		}
	}
	for _, vendor := range []string{"openai", "anthropic", "gemini", "azure", "azure-v1", "ollama", "vllm", "groq", "openrouter", "mistral", "deepseek"} {
		require.True(t, named[vendor], "the page does not show how to connect %s", vendor)
	}
	_, err := loadSnippet("providers: {openai: {fallback: [nobody]}}")
	require.ErrorContains(t, err, "fallback", "what is wrong is noticed")
}

// TestProvidersPageErrors keeps the table of failures whole and its words those
// of the code.
func TestProvidersPageErrors(t *testing.T) {
	rows := docTable(t, providersPage, "What a failure means")
	var codes, words string
	for _, row := range rows {
		require.Len(t, row, 4, "%q", row)
		codes += row[1]
		words += row[2] + "…"
	}
	for _, c := range protocol.Codes() {
		if strings.HasPrefix(string(c.Code), "PROVIDER_") {
			require.Contains(t, codes, "`"+string(c.Code)+"`")
		}
	}
	source := strings.NewReplacer("{name}", "NAME", "{variable}", "VARIABLE").Replace(productionCode(t))
	for _, part := range strings.FieldsFunc(words, func(r rune) bool { return r == '…' || r == ';' }) {
		require.Contains(t, source, strings.TrimSpace(part), "the page says what no code says")
	}
}

// TestProvidersPageUsage compares the record with the page: each member has its
// row, and the example is one.
func TestProvidersPageUsage(t *testing.T) {
	var members, listed []string
	for i := range reflect.TypeFor[bus.UsageRecord]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[bus.UsageRecord]().Field(i).Tag.Get("json"), ",")
		members = append(members, name)
	}
	for _, row := range docTable(t, providersPage, "Usage records") {
		for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[0], -1) {
			listed = append(listed, m[1])
		}
	}
	require.ElementsMatch(t, members, listed)
	example := fenced(t, providersSection(t, "Usage records"), "json")[0]
	known := json.NewDecoder(strings.NewReader(example))
	known.DisallowUnknownFields()
	require.NoError(t, known.Decode(new(bus.UsageRecord)))
	for _, name := range members {
		require.Equal(t, name != "code", strings.Contains(example, `"`+name+`":`), "%s: an answer has no code and everything else", name)
	}
}

// TestProvidersPageFingerprint types the line that names a key.
func TestProvidersPageFingerprint(t *testing.T) {
	for _, tool := range []string{"sha256sum", "cut"} {
		if _, err := exec.LookPath(tool); err != nil {
			require.Empty(t, os.Getenv("CI"), "%s is not installed", tool)
			t.Skipf("%s is not installed: the line cannot be typed", tool)
		}
	}
	const key = "sk-a-key-100%"
	line := upstream.New(upstream.Settings{Keys: []upstream.Key{{Secret: protocol.NewSecret([]byte(key)), Weight: 1}}}, nil)
	call, err := line.Enter(t.Context(), upstream.Ask{}, nil)
	require.NoError(t, err)
	defer call.Done(upstream.Outcome{})
	t.Setenv("OPENAI_API_KEY", key)
	said := docShell(t, fenced(t, providersSection(t, "Keys of the deployment"), "sh")[0])
	require.Equal(t, call.KeyID(), strings.TrimSpace(said))
}

// TestProvidersPageFaultyModels asks every model of the table, each at a
// provider of its own, so that no breaker opens.
func TestProvidersPageFaultyModels(t *testing.T) {
	t.Parallel()
	rows := docTable(t, providersPage, "The faulty provider")
	var listed []string
	w := start(t, wide, with(func(c *config.Config) {
		c.Faults.Enabled = true
		for _, row := range rows {
			model := strings.Trim(row[0], "`")
			listed = append(listed, model)
			c.Providers["faulty-"+model] = provider.Config{
				Type: provider.TypeFaulty, FirstTokenTimeout: 4 * time.Second, StallTimeout: time.Second,
			}
		}
	}))
	require.ElementsMatch(t, faulty.Models(), listed)
	for _, row := range rows {
		model, want := strings.Trim(row[0], "`"), strings.Trim(row[2], "`")
		t.Run(model, func(t *testing.T) {
			said := postChat(t, w, `{"provider":"faulty-`+model+`","model":"`+model+`","content":"one two three four five six seven eight"}`)
			got := said.Type
			if said.Type == "error" {
				got = said.Code
			}
			require.Equal(t, want, got, "%s: %s", model, said.Message)
			if strings.HasSuffix(model, "-once") {
				require.Equal(t, 2, said.Attempts)
			}
		})
	}
}

// postChat asks over HTTP and reads the one JSON answer.
func postChat(t *testing.T, w *whole, body string) (s said) {
	t.Helper()
	resp, err := http.Post(w.http("/api/chat"), "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&s))
	return s
}

// shellWords takes a line of the page apart; it knows words and double quotes.
func shellWords(line string) (words []string) {
	for _, m := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		words = append(words, m[1]+m[2])
	}
	return words
}

// TestProvidersPageTerminal serves and asks as the lines of the page do.
func TestProvidersPageTerminal(t *testing.T) {
	blocks := fenced(t, providersSection(t, "The faulty provider"), "sh")
	require.Len(t, blocks, 2)
	serve := shellWords(blocks[0])
	require.Equal(t, []string{"./bin/troupe", "serve", "--dev"}, serve[:3])
	server := docServer(t, zerolog.Nop(), serve[3:]...)
	wants := map[string]string{"ok-200ms": "", "cut-50": "PROVIDER_INTERRUPTED", "500-once": "", "context-too-long": "PROVIDER_REJECTED"}
	lines := strings.Split(strings.TrimSpace(blocks[1]), "\n")
	require.Len(t, lines, len(wants))
	for _, line := range lines {
		words := shellWords(line)
		require.Equal(t, []string{"./bin/troupe", "chat"}, words[:2])
		model, question := words[slices.Index(words, "--model")+1], words[len(words)-1]
		want, known := wants[model]
		require.True(t, known, line)
		code, stdout, stderr := started(t, nil, "", append([]string{"chat", "--url", server}, words[2:]...)...)
		if want == "" {
			require.Zero(t, code, "%s: %s", line, stderr)
			require.Equal(t, question+"\n", stdout)
			continue
		}
		require.Equal(t, 1, code, line)
		require.Contains(t, stderr, want)
		require.NotContains(t, stdout, question, "the whole of it")
		if model == "cut-50" {
			require.True(t, strings.HasPrefix(question, strings.TrimSpace(stdout)) && strings.TrimSpace(stdout) != "", stdout)
		}
	}
}

// TestProvidersPageCodec puts the files of "How to add a vendor" into the package
// and runs their test.
func TestProvidersPageCodec(t *testing.T) {
	t.Parallel()
	section := providersSection(t, "How to add a vendor")
	blocks, names := fenced(t, section, "go"), regexp.MustCompile("`(actors/provider/\\w+\\.go)`").FindAllStringSubmatch(section, -1)
	require.Len(t, blocks, 2)
	require.Len(t, names, 2, "each block is introduced by its file")
	top, err := filepath.Abs(repoRoot)
	require.NoError(t, err)
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for i, block := range blocks {
		file := filepath.Join(t.TempDir(), filepath.Base(names[i][1]))
		require.NoError(t, os.WriteFile(file, []byte(block), 0o600))
		overlay.Replace[filepath.Join(top, filepath.FromSlash(names[i][1]))] = file
	}
	list, err := json.Marshal(overlay)
	require.NoError(t, err)
	listed := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(listed, list, 0o600))
	cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay", listed, "-run", "^TestParrot$", "-v", "./actors/provider")
	cmd.Dir = top
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestParrot")
}

// TestProvidersPageStream makes the documented JetStream stream and finds a run's
// record in it, once also where it comes twice.
func TestProvidersPageStream(t *testing.T) {
	t.Parallel()
	line := shellWords(strings.TrimSpace(fenced(t, providersSection(t, "Usage records"), "")[0]))
	require.Equal(t, []string{"nats", "stream", "add"}, line[:3])
	flag := func(name string) string { return line[slices.Index(line, name)+1] }
	window, err := time.ParseDuration(flag("--dupe-window"))
	require.NoError(t, err)
	require.Equal(t, []string{"file", "limits", "400d"}, []string{flag("--storage"), flag("--retention"), flag("--max-age")})

	s := bustest.Server(t, bustest.Config(`jetstream {store_dir: "`+filepath.ToSlash(t.TempDir())+`"}`))
	nc, err := nats.Connect(s.URL())
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: line[3], Subjects: []string{flag("--subjects")}, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy,
		MaxAge: 400 * 24 * time.Hour, Duplicates: window,
	})
	require.NoError(t, err)

	w := start(t, with(func(c *config.Config) { c.Bus.URL = s.URL() }))
	asked := postChat(t, w, `{"content":"what does it cost","id":"1","session_id":"s1"}`)
	require.Equal(t, "complete", asked.Type, asked.Message)
	var kept *jetstream.RawStreamMsg
	require.Eventually(t, func() bool {
		kept, err = stream.GetMsg(t.Context(), 1)
		return err == nil
	}, 5*time.Second, 10*time.Millisecond)
	var record bus.UsageRecord
	require.NoError(t, json.NewDecoder(bytes.NewReader(kept.Data)).Decode(&record))
	require.Equal(t, []any{"s1", "1", "complete", asked.Usage.OutputTokens}, []any{record.Session, record.Name, record.Outcome, record.OutputTokens})

	again := &nats.Msg{Subject: kept.Subject, Data: kept.Data, Header: kept.Header}
	ack, err := js.PublishMsg(t.Context(), again)
	require.NoError(t, err)
	require.True(t, ack.Duplicate)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, info.State.Msgs)
}
