package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/troupe-chat/troupe/"

// mayImport says which of our rooms a room may open: itself and its own rooms
// always, besides these.
func mayImport(room string) []string {
	switch room {
	case "transport/protocol", "transport/web", "actors/limit", "actors/pressure", "actors/fault", "bus":
		return nil
	case "transport":
		return []string{"transport/protocol", "transport/web"}
	case "actors/provider", "actors/upstream", "actors/trace":
		return []string{"transport/protocol"}
	case "actors":
		return []string{"transport/protocol", "actors/fault", "actors/limit", "actors/pressure", "actors/provider", "actors/upstream", "actors/trace", "bus"}
	case "config":
		return []string{"transport", "transport/protocol", "actors", "actors/fault", "actors/limit", "actors/pressure", "actors/provider", "actors/trace", "bus"}
	case "cmd/troupe-load/witness": // judges from outside: nothing of the server but how processes are started
		return []string{"bus"}
	case "cmd/troupe-fleet", "cmd/troupe-load":
		return append(mayImport("cmd"), "cmd/troupe-load/witness")
	default: // cmd: wiring, and whatever a benchmark needs
		return []string{"config", "transport", "transport/protocol", "actors", "actors/fault", "actors/limit", "actors/pressure", "actors/provider", "actors/trace", "bus"}
	}
}

// onlyUser names who alone may use a library.
func onlyUser() map[string][]string {
	return map[string][]string{
		"github.com/asynkron/protoactor-go": {"actors"},
		"github.com/gobwas/ws":              {"transport", "cmd/troupe-bench"},
		"github.com/nats-io/nats.go":        {"bus", "cmd/troupe-bench"},
		"github.com/nats-io/nats-server/v2": {"bus", "cmd/troupe-bench"},
		"github.com/knadh/koanf/v2":         {"config"},
		"github.com/alecthomas/kong":        {"cmd/troupe", "cmd/troupe-load"},
		"github.com/tidwall/gjson":          {"actors/provider"},
		"go.opentelemetry.io":               {"actors/trace"},
	}
}

// rooms are the packages that imports are judged by, the longest first.
func rooms() []string {
	return []string{"transport/protocol", "transport/web", "actors/provider", "actors/upstream", "actors/trace", "actors/limit", "actors/pressure", "actors/fault", "cmd/troupe-bench", "cmd/troupe-fleet", "cmd/troupe-load/witness", "cmd/troupe-load", "cmd/troupe", "transport", "actors", "config", "bus"}
}

func roomOf(dir string) string {
	for _, r := range rooms() {
		if dir == r || strings.HasPrefix(dir, r+"/") {
			return r
		}
	}
	return dir
}

// goStatements are the only places that start a goroutine, each behind a
// recover of its own.
func goStatements() []string {
	return []string{
		"actors/crew.go",              // actors, whose mailboxes recover
		"actors/system.go",            // System.run: the guarded way for every actor's helper
		"bus/natsproc/child/child.go", // one a process
		"bus/outgoing.go",             // the one sender
		"cmd/troupe/chatcmd_conn.go",
		"cmd/troupe/chatcmd_turn.go",
		"cmd/troupe/cli.go",   // signals
		"transport/server.go", // Server.spawn: accept loops and the sweep
		"transport/parked.go", // one reader a socket, a flusher while it is full
	}
}

type source struct {
	path string // from the top, with slashes
	file *ast.File
	fset *token.FileSet
}

func (s source) dir() string { return filepath.ToSlash(filepath.Dir(s.path)) }

// sources parses every file of the module.
func sources(t *testing.T) (out []source) {
	t.Helper()
	top := filepath.Join("..", "..")
	require.NoError(t, filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && d.Name() != ".") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		out = append(out, source{filepath.ToSlash(rel), f, fset})
		return err
	}))
	require.Greater(t, len(out), 50)
	return out
}

func (s source) test() bool {
	return strings.HasSuffix(s.path, "_test.go") || strings.HasSuffix(s.dir(), "test")
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		room := roomOf(s.dir())
		for _, spec := range s.file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			if ours, ok := strings.CutPrefix(path, module); ok {
				other := roomOf(ours)
				require.True(t, other == room || slices.Contains(mayImport(room), other), "%s imports %s", s.path, ours)
			}
			for library, users := range onlyUser() {
				if path == library || strings.HasPrefix(path, library+"/") {
					require.Contains(t, users, room, "%s imports %s", s.path, path)
				}
			}
		}
	}
}

func TestNoStrayGoStatement(t *testing.T) {
	used := map[string]bool{}
	for _, s := range sources(t) {
		if s.test() || strings.HasPrefix(s.path, "cmd/troupe-bench/") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				require.Contains(t, goStatements(), s.path, "go statement at %s", s.fset.Position(g.Pos()))
				used[s.path] = true
			}
			return true
		})
	}
	for _, path := range goStatements() {
		require.True(t, used[path], "%s starts no goroutine any more: take it off the list", path)
	}
}

func TestNoInitAndNoMutablePackageVariables(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				require.False(t, f.Recv == nil && f.Name.Name == "init", "%s has an init", s.path)
			}
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				for i, name := range v.Names {
					require.True(t, name.Name == "_" || embedded(g) || constant(v, i), "%s: package variable %s", s.path, name.Name)
				}
			}
		}
	}
}

// constant tells whether a package variable is an error or a pattern, made once.
func constant(v *ast.ValueSpec, i int) bool {
	if i >= len(v.Values) {
		return false
	}
	call, ok := v.Values[i].(*ast.CallExpr)
	if !ok {
		return false
	}
	fun := call.Fun
	if generic, ok := fun.(*ast.IndexExpr); ok {
		fun = generic.X
	}
	sel, ok := fun.(*ast.SelectorExpr)
	return ok && slices.Contains([]string{"New", "Errorf", "MustCompile", "TypeFor"}, sel.Sel.Name)
}

func embedded(g *ast.GenDecl) bool {
	return g.Doc != nil && strings.Contains(g.Doc.List[len(g.Doc.List)-1].Text, "go:embed")
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	said := map[string]bool{}
	for _, s := range sources(t) {
		if !strings.HasSuffix(s.path, "_test.go") {
			said[s.dir()] = said[s.dir()] || s.file.Doc != nil
		}
	}
	for dir, ok := range said {
		require.True(t, ok, "package %s has no package comment", dir)
	}
}

func TestNothingIsLeftForLater(t *testing.T) {
	word := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	for _, s := range sources(t) {
		for _, group := range s.file.Comments {
			require.NotRegexp(t, word, group.Text(), s.path)
		}
	}
	for path, script := range scripts(t) {
		require.NotRegexp(t, word, script, path)
		require.NotRegexp(t, `\b(test|it|describe)\.(skip|only)\b|\bdebugger\b`, script, path)
	}
}

// scripts are our own files of the web side, by their paths.
func scripts(t *testing.T) map[string]string {
	t.Helper()
	top := filepath.Join("..", "..", "transport", "web")
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{"node_modules", "out", "third_party"}, d.Name()) {
			return filepath.SkipDir
		}
		if slices.Contains([]string{".js", ".mjs", ".ts", ".css", ".html"}, filepath.Ext(path)) {
			content, err := os.ReadFile(path)
			all[path] = string(content)
			return err
		}
		return nil
	}))
	require.Greater(t, len(all), 50)
	return all
}
