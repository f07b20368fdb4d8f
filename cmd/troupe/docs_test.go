package main

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/troupe-chat/troupe/transport"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// docSchema is the part of a JSON schema that is compared with the code.
type docSchema struct {
	Ref        string               `yaml:"$ref"`
	Const      string               `yaml:"const"`
	Type       string               `yaml:"type"`
	Enum       []string             `yaml:"enum"`
	Required   []string             `yaml:"required"`
	AnyOf      []docSchema          `yaml:"anyOf"`
	Properties map[string]docSchema `yaml:"properties"`
	Items      *docSchema           `yaml:"items"`
	MaxLength  int                  `yaml:"maxLength"`
	Codes      map[string]docCode   `yaml:"x-codes"`
}

type docCode struct {
	HTTP      int    `yaml:"http"`
	Close     uint16 `yaml:"close"`
	Retryable bool   `yaml:"retryable"`
}

type docAPI struct {
	Paths      map[string]map[string]any `yaml:"paths"`
	Operations map[string]struct {
		Messages []struct {
			Ref string `yaml:"$ref"`
		} `yaml:"messages"`
	} `yaml:"operations"`
	Components struct {
		Schemas map[string]docSchema `yaml:"schemas"`
	} `yaml:"components"`
}

// readAPI reads a description. Its loader already refuses doubled keys.
func readAPI(t *testing.T, name string) docAPI {
	t.Helper()
	var api docAPI
	require.NoError(t, yaml.Unmarshal([]byte(readDoc(t, name)), &api))
	return api
}

// frameTypes lists the types of one operation, "ask" or "answer".
func (a docAPI) frameTypes(operation string) []string {
	var types []string
	for _, m := range a.Operations[operation].Messages {
		types = append(types, path.Base(m.Ref))
	}
	return types
}

// serverFrames is every shape of every frame that a server can say.
func serverFrames() []protocol.Frame {
	full := protocol.Frame{
		Named: true, ID: "1", RunID: "w-r", Session: "s", Seq: 3, From: 2, Text: []byte("x"), State: protocol.StateQueued, Position: 1,
		Finish: protocol.FinishStop, Provider: "echo", Model: "echo", Attempts: 1, Usage: &protocol.Usage{},
		Code: protocol.Internal, Message: "m", RetryAfter: 1, AfterMS: 5,
	}
	var frames []protocol.Frame
	for _, kind := range []protocol.Type{
		protocol.TypeAccepted, protocol.TypeStatus, protocol.TypeChunk, protocol.TypeReasoning, protocol.TypeSnapshot,
		protocol.TypeComplete, protocol.TypeCancelled, protocol.TypeError, protocol.TypePong, protocol.TypeReconnect,
	} {
		f := full
		f.Type = kind
		frames = append(frames, f)
		f.For = protocol.ForCancel
		frames = append(frames, f)
		// What a frame always has: nothing optional set, as HTTP without id has
		// it, and the small shape.
		bare := protocol.Frame{Type: kind, Named: true, RunID: "w-r"}
		small := protocol.Frame{Type: kind, RunID: "w-r"}
		frames = append(frames, bare, small)
	}
	return frames
}

// TestAsyncAPIServerFrames compares the members of every frame that the code
// can write with the schema of its type: all of them are properties, and those
// that no shape leaves out are required.
func TestAsyncAPIServerFrames(t *testing.T) {
	api := readAPI(t, "docs/asyncapi.yaml")
	may, must := map[string]map[string]bool{}, map[string]map[string]bool{}
	for _, f := range serverFrames() {
		var members map[string]any
		require.NoError(t, json.Unmarshal(f.Append(nil), &members))
		kind := string(f.Type)
		if may[kind] == nil {
			may[kind], must[kind] = map[string]bool{}, map[string]bool{}
			for name := range members {
				must[kind][name] = true
			}
		}
		for name := range members {
			may[kind][name] = true
		}
		maps.DeleteFunc(must[kind], func(name string, _ bool) bool { _, there := members[name]; return !there })
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(may)), api.frameTypes("answer"))
	for kind := range may {
		s := api.Components.Schemas[kind]
		require.Equal(t, kind, s.Properties["type"].Const)
		require.Equal(t, slices.Sorted(maps.Keys(may[kind])), slices.Sorted(maps.Keys(s.Properties)), kind)
		require.ElementsMatch(t, slices.Collect(maps.Keys(must[kind])), s.Required, "required of %s", kind)
	}
	requireShape(t, api, "usage", reflect.TypeFor[protocol.Usage]())
	require.Equal(t, []string{protocol.StateQueued, protocol.StateWaiting, protocol.StateStreaming}, api.Components.Schemas["status"].Properties["state"].Enum)
	require.Equal(t, []string{protocol.FinishStop, protocol.FinishLength}, api.Components.Schemas["complete"].Properties["finish_reason"].Enum)
	require.Equal(t, []string{protocol.ForCancel, protocol.ForResume}, api.Components.Schemas["error"].Properties["for"].Enum)
}

// TestAsyncAPIClientFrames sends every documented field with a value of the
// wrong type: a field that the decoder reads is refused by name, one that it
// does not know would be ignored. Documented lengths are tried out as well.
func TestAsyncAPIClientFrames(t *testing.T) {
	api := readAPI(t, "docs/asyncapi.yaml")
	least := map[string]map[string]any{
		"chat": {"content": "x"}, "cancel": {}, "stop": {}, "resume": {"run_id": "r"}, "ping": {},
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(least)), api.frameTypes("ask"))
	known := map[string]bool{}
	for kind, fields := range least {
		s := api.Components.Schemas[kind]
		require.Equal(t, kind, s.Properties["type"].Const)
		if len(s.AnyOf) == 0 {
			require.ElementsMatch(t, append(slices.Collect(maps.Keys(fields)), "type"), s.Required, kind)
		}
		_, refused := decoded(t, kind, fields, "nobodys_field", []any{}).(*protocol.Bad)
		require.False(t, refused, "%s with what its schema requires", kind)
		for name := range s.Properties {
			known[name] = true
			if name == "type" {
				continue
			}
			wrong := any(map[string]any{"a": []any{1}})
			if name == "api_keys" {
				wrong = "x"
			}
			bad, ok := decoded(t, kind, fields, name, wrong).(*protocol.Bad)
			require.True(t, ok, "%s.%s is documented and not read", kind, name)
			require.Contains(t, bad.Err.Message, name)
			if longest := s.Properties[name].MaxLength; longest > 0 {
				requireLongest(t, longest, func(value string) protocol.Request { return decoded(t, kind, fields, name, value) })
			}
		}
	}
	resume := api.Components.Schemas["resume"]
	require.Equal(t, []string{"type"}, resume.Required)
	require.Len(t, resume.AnyOf, 2)
	for i, fields := range []map[string]any{{"run_id": "r"}, {"client_key": strings.Repeat("k", 22)}} {
		require.Equal(t, slices.Collect(maps.Keys(fields)), resume.AnyOf[i].Required)
		_, refused := decoded(t, "resume", fields, "after", 1).(*protocol.Bad)
		require.False(t, refused, fields)
	}
	_, refused := decoded(t, "resume", map[string]any{}, "after", 1).(*protocol.Bad)
	require.True(t, refused, "a resume of nothing")

	over := []string{"session_id", "product_id"} // HTTP only
	require.ElementsMatch(t, decoderFields(t), append(slices.Collect(maps.Keys(known)), over...))

	question := readAPI(t, "docs/openapi.yaml").Components.Schemas["question"]
	chat := append(slices.Collect(maps.Keys(api.Components.Schemas["chat"].Properties)), over...)
	require.ElementsMatch(t, chat, slices.Collect(maps.Keys(question.Properties)))
	for name, p := range api.Components.Schemas["chat"].Properties {
		require.Equal(t, p.MaxLength, question.Properties[name].MaxLength, "maxLength of %s over HTTP", name)
	}
	require.Equal(t, []int{64, 256}, []int{question.Properties["id"].MaxLength, question.Properties["model"].MaxLength})
}

// requireLongest finds the bound of a text where its schema says it is.
func requireLongest(t *testing.T, longest int, decode func(value string) protocol.Request) {
	t.Helper()
	_, refused := decode(strings.Repeat("x", longest)).(*protocol.Bad)
	require.False(t, refused, "%d characters", longest)
	_, refused = decode(strings.Repeat("x", longest+1)).(*protocol.Bad)
	require.True(t, refused, "%d characters", longest+1)
}

func decoded(t *testing.T, kind string, fields map[string]any, name string, value any) protocol.Request {
	t.Helper()
	frame := maps.Clone(fields)
	frame["type"], frame[name] = kind, value
	data, err := json.Marshal(frame)
	require.NoError(t, err)
	return protocol.Decode(data, protocol.Bounds{})
}

// decoderFields are the names that the decoder knows, as its source lists them.
func decoderFields(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\s+field\w+:\s+"(\w+)",$`).FindAllStringSubmatch(readDoc(t, "transport/protocol/field.go"), -1) {
		names = append(names, m[1])
	}
	require.NotEmpty(t, names)
	return names
}

// TestDocumentedCodes compares the three places that list the codes with the
// table, in its order.
func TestDocumentedCodes(t *testing.T) {
	var names []string
	table := map[string]docCode{}
	for _, c := range protocol.Codes() {
		names = append(names, string(c.Code))
		table[string(c.Code)] = docCode{HTTP: c.HTTPStatus, Close: c.Close, Retryable: c.Retryable}
	}
	for _, file := range []string{"docs/asyncapi.yaml", "docs/openapi.yaml"} {
		code := readAPI(t, file).Components.Schemas["code"]
		require.Equal(t, names, code.Enum, file)
		require.Equal(t, table, code.Codes, file)
	}
	page, listed := map[string]docCode{}, []string(nil)
	for _, row := range docTable(t, "docs/protocol.md", "Codes") {
		name := strings.Trim(row[0], "`")
		listed = append(listed, name)
		status, _ := strconv.Atoi(row[1]) // empty = 0
		ends, _ := strconv.Atoi(row[2])
		page[name] = docCode{HTTP: status, Close: uint16(ends), Retryable: row[3] == "retry"}
		require.NotEmpty(t, row[4], name)
	}
	require.Equal(t, names, listed)
	require.Equal(t, table, page)
}

// docTable returns the cells of all table rows below a heading of level 2.
func docTable(t *testing.T, file, heading string) (rows [][]string) {
	t.Helper()
	_, rest, found := strings.Cut(readDoc(t, file), "\n## "+heading+"\n")
	require.True(t, found, "%s has no section %s", file, heading)
	section, _, _ := strings.Cut(rest, "\n## ")
	header := true
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			header = true
		case strings.HasPrefix(line, "|---"):
			header = false
		case !header:
			cells := strings.Split(strings.ReplaceAll(strings.Trim(line, "|"), `\|`, "\x00"), "|")
			for i := range cells {
				cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), "\x00", "|")
			}
			rows = append(rows, cells)
		}
	}
	require.NotEmpty(t, rows, "%s, section %s", file, heading)
	return rows
}

// TestOpenAPIRoutes compares addresses, methods, their parameters and who may
// ask with the server's own list.
func TestOpenAPIRoutes(t *testing.T) {
	api := readAPI(t, "docs/openapi.yaml")
	want := map[string]bool{} // method and pattern → operators only
	for _, r := range transport.Routes() {
		want[strings.ToLower(r.Method)+" "+r.Pattern] = r.Operator
	}
	got := map[string]bool{}
	for pattern, methods := range api.Paths {
		for method, spec := range methods {
			operation, ok := spec.(map[string]any)
			require.True(t, ok, pattern)
			tags := operation["tags"].([]any)
			got[method+" "+pattern] = slices.Contains(tags, any("operator"))
			parameters, _ := yaml.Marshal(operation["parameters"])
			for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(pattern, -1) {
				require.Contains(t, string(parameters), m[1], "%s %s does not describe {%s}", method, pattern, m[1])
			}
		}
	}
	require.Equal(t, want, got)
	page := readDoc(t, "docs/protocol.md")
	for _, r := range transport.Routes() {
		if rest, ok := strings.CutPrefix(r.Pattern, "/api/ws/chat/customer"); ok {
			require.Contains(t, page, "/ws/chat/customer"+rest+"` and the same under `/api`")
			continue
		}
		require.Contains(t, page, "`"+r.Method+" "+r.Pattern+"`")
	}
}

// TestOpenAPIShapes compares the answers with the structs that are encoded.
func TestOpenAPIShapes(t *testing.T) {
	api := readAPI(t, "docs/openapi.yaml")
	requireShape(t, api, "health", reflect.TypeFor[protocol.Health]())
	requireShape(t, api, "workerHealth", reflect.TypeFor[protocol.WorkerHealth]())
	for _, r := range transport.WorkerRoutes() {
		require.Contains(t, api.Paths[r.Pattern], strings.ToLower(r.Method), "%s of a worker", r.Pattern)
	}
	requireShape(t, api, "offer", reflect.TypeFor[protocol.Offer]())
	requireShape(t, api, "status", reflect.TypeFor[protocol.Status]())
}

func requireShape(t *testing.T, api docAPI, name string, typ reflect.Type) {
	t.Helper()
	s, ok := api.Components.Schemas[name]
	require.True(t, ok, name)
	requireFields(t, name, s, typ)
}

func requireFields(t *testing.T, at string, s docSchema, typ reflect.Type) {
	t.Helper()
	switch {
	case typ.Kind() == reflect.Slice:
		require.NotNil(t, s.Items, at)
		requireFields(t, at+"[]", *s.Items, typ.Elem())
		return
	case typ.Kind() != reflect.Struct:
		require.Empty(t, s.Properties, at)
		return
	}
	var all, required []string
	for i := range typ.NumField() {
		name, option, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		all = append(all, name)
		if option != "omitempty" {
			required = append(required, name)
		}
		requireFields(t, at+"."+name, s.Properties[name], typ.Field(i).Type)
	}
	require.ElementsMatch(t, all, slices.Collect(maps.Keys(s.Properties)), at)
	require.ElementsMatch(t, required, s.Required, at)
}

// TestDocumentedLogMessages finds every message of the page in the code.
func TestDocumentedLogMessages(t *testing.T) {
	composed := map[string]string{"Worker lost": `"Worker " + how`, "Worker left": `"Worker " + how`}
	source := productionCode(t)
	rows := docTable(t, "docs/operations.md", "Log messages")
	require.Greater(t, len(rows), 30)
	for _, row := range rows {
		message := strings.Trim(row[0], "`")
		spelled, ok := composed[message]
		if !ok {
			spelled = strconv.Quote(message)
		}
		require.Contains(t, source, spelled, "no code logs %q", message)
	}
}

// productionCode is all of our Go code but the tests.
func productionCode(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, room := range []string{"actors", "bus", "cmd", "config", "transport"} {
		err := filepath.WalkDir(filepath.Join(repoRoot, room), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			data, err := os.ReadFile(name)
			b.Write(data)
			return err
		})
		require.NoError(t, err)
	}
	return b.String()
}

// TestDocumentedMetrics compares names and labels with what a running server
// exports after one answer.
func TestDocumentedMetrics(t *testing.T) {
	server := docServer(t, zerolog.Nop(), "--faults.enabled=true")
	answer, err := http.Post(server+"/api/chat", "application/json", strings.NewReader(`{"content":"Hello"}`))
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)

	// A run's figures are written just after its client was told.
	var exported map[string][]string
	require.Eventually(t, func() bool {
		exported = exportedFamilies(t, server)
		return exported["troupe_tokens_total"] != nil
	}, 5*time.Second, 5*time.Millisecond)

	label := regexp.MustCompile("`(\\w+)`")
	documented := map[string][]string{}
	for _, row := range docTable(t, "docs/protocol.md", "Metrics") {
		labels := []string{}
		for _, m := range label.FindAllStringSubmatch(row[1], -1) {
			labels = append(labels, m[1])
		}
		slices.Sort(labels)
		documented[strings.Trim(row[0], "`")] = labels
	}
	require.Equal(t, exported, documented)

	for _, used := range regexp.MustCompile(`troupe_[a-z_]+`).FindAllString(readDoc(t, "docs/operations.md"), -1) {
		_, known := exported[strings.TrimSuffix(used, "_bucket")]
		require.True(t, known, "docs/operations.md watches %s, which nobody exports", used)
	}
}

// exportedFamilies are the families of /metrics that are ours, with their labels.
func exportedFamilies(t *testing.T, server string) map[string][]string {
	t.Helper()
	resp, err := http.Get(server + "/metrics")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	require.NoError(t, err)
	exported := map[string][]string{}
	for name, family := range families {
		if !strings.HasPrefix(name, "troupe_") {
			continue
		}
		labels := []string{}
		for _, l := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		exported[name] = labels
	}
	return exported
}

// TestLinks follows every relative link of the README and the docs, anchors too.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(repoRoot, "docs", "*.md"))
	require.NoError(t, err)
	files := []string{"README.md", "transport/web/client/README.md"}
	for _, p := range pages {
		files = append(files, "docs/"+filepath.Base(p))
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, file := range files {
		for _, m := range link.FindAllStringSubmatch(readDoc(t, file), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			name, anchor, _ := strings.Cut(m[1], "#")
			target := path.Join(path.Dir(file), name)
			if name == "" {
				target = file
			}
			_, err := os.Stat(filepath.Join(repoRoot, filepath.FromSlash(target)))
			require.NoError(t, err, "%s links to %s", file, m[1])
			if anchor != "" {
				require.Contains(t, anchors(readDoc(t, target)), anchor, "%s links to %s", file, m[1])
			}
		}
	}
}

// anchors are what headings can be linked by: lower case, words joined by -.
func anchors(page string) (list []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(page, -1) {
		plain := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		list = append(list, strings.ReplaceAll(plain, " ", "-"))
	}
	return list
}

// TestReadmeTable keeps the signposts of the README pointing at files.
func TestReadmeTable(t *testing.T) {
	rows := docTable(t, "README.md", "Looking for … open …")
	require.Greater(t, len(rows), 15)
	for _, row := range rows {
		names := regexp.MustCompile(`\[([^\]]+)\]\(([^)]+)\)`).FindAllStringSubmatch(row[1], -1)
		require.NotEmpty(t, names, row[0])
		for _, m := range names {
			require.Equal(t, m[1], m[2], "the name shown is the file")
			info, err := os.Stat(filepath.Join(repoRoot, filepath.FromSlash(m[2])))
			require.NoError(t, err)
			require.False(t, info.IsDir())
		}
	}
}
