package actors

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tables is what each Receive of this package takes, read off its source: by the
// name of the actor's type, the messages in the words of %T.
func tables(t *testing.T, sources ...*ast.File) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, file := range sources {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "Receive" || !hasParam(f, "actor.Context") {
				continue
			}
			who := strings.TrimPrefix(spell(f.Recv.List[0].Type), "*")
			var heard []string
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CaseClause:
					for _, typ := range n.List {
						heard = append(heard, typeName(typ))
					}
				case *ast.TypeAssertExpr:
					if n.Type != nil { // nil: the head of a switch
						heard = append(heard, typeName(n.Type))
					}
				}
				return true
			})
			slices.Sort(heard)
			out[who] = slices.Compact(heard)
		}
	}
	return out
}

func hasParam(f *ast.FuncDecl, typ string) bool {
	p := f.Type.Params.List
	return len(p) == 1 && spell(p[0].Type) == typ
}

// spell writes a type as it stands in the source.
func spell(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return "*" + spell(e.X)
	case *ast.SelectorExpr:
		return spell(e.X) + "." + e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return fmt.Sprintf("%T", e)
}

// typeName is spell in the words of %T.
func typeName(e ast.Expr) string {
	name := spell(e)
	if strings.Contains(name, ".") {
		return name
	}
	return "*actors." + strings.TrimPrefix(name, "*")
}

// sourcesHere parses this package without its tests.
func sourcesHere(t *testing.T) []*ast.File {
	t.Helper()
	names, err := fs.Glob(os.DirFS("."), "*.go")
	require.NoError(t, err)
	var out []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		out = append(out, file)
	}
	return out
}

// lifecycleOf is what protoactor itself tells an actor: of a kind that is
// restarted, and of one with children, something more.
func lifecycleOf(kind string) []string {
	names := []string{"*actor.Started", "*actor.Stopping", "*actor.Stopped"}
	switch kind {
	case kindLimiter, kindPool, kindRoster:
		return append(names, "*actor.Restarting")
	case kindGateway, kindWorker, kindConnections, kindProvider:
		return append(names, "*actor.Terminated")
	}
	return names
}

// unproven lists what actors take and no row of the panic tables sends, and rows
// whose message nobody takes.
func unproven(heard map[string][]string) (out []string) {
	rows := map[string]bool{}
	for _, c := range slices.Concat(panicCases(), stoppingCases()) {
		rows[fmt.Sprintf("%s %s %T", c.actor, c.kind, c.message)] = true
	}
	known := map[string]bool{}
	for _, kind := range kinds() {
		for _, who := range typesOf(kind) {
			known[who] = true
			if heard[who] == nil {
				out = append(out, who+" has no Receive")
			}
			for _, m := range append(lifecycleOf(kind), heard[who]...) {
				if row := fmt.Sprintf("%s %s %s", who, kind, m); !rows[row] {
					out = append(out, row)
				}
			}
		}
	}
	for who := range heard {
		if !known[who] {
			out = append(out, who+" is of no kind")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestPanicRowsAreWhole: whatever an actor takes has a row in the panic tables. A
// new message, or a new actor, fails here until it has one.
func TestPanicRowsAreWhole(t *testing.T) {
	heard := tables(t, sourcesHere(t)...)
	delete(heard, "faultpoint") // it stands before all of them, where faults are enabled
	require.Empty(t, unproven(heard))
	require.Contains(t, heard["run"], fmt.Sprintf("%T", &piece{}), "the source is not read any more")
	require.Contains(t, heard["providerSupervisor"], fmt.Sprintf("%T", &startRun{}))

	// What this test is for, once each.
	newer, err := parser.ParseFile(token.NewFileSet(), "newer.go", `package actors
		func (p *pool) Receive(ctx actor.Context) { switch ctx.Message().(type) { case *granted: } }
		func (j *janitor) Receive(ctx actor.Context) {}`, parser.SkipObjectResolution)
	require.NoError(t, err)
	for who, messages := range tables(t, newer) {
		heard[who] = append(heard[who], messages...)
	}
	require.Equal(t, []string{"janitor is of no kind", "pool pool *actors.granted"}, unproven(heard))
}

// TestEveryMessageIsTaken: each type of messages.go has somebody who takes it.
func TestEveryMessageIsTaken(t *testing.T) {
	taken := map[string]bool{}
	sources := sourcesHere(t)
	for _, messages := range tables(t, sources...) {
		for _, m := range messages {
			taken[m] = true
		}
	}
	parts := map[string]bool{"arrived": true} // of a message, none itself
	file, err := parser.ParseFile(token.NewFileSet(), "messages.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	count := 0
	for _, d := range file.Decls {
		types, ok := d.(*ast.GenDecl)
		if !ok || types.Tok != token.TYPE {
			continue
		}
		for _, s := range types.Specs {
			if name := s.(*ast.TypeSpec).Name.Name; !parts[name] {
				count++
				require.True(t, taken["*actors."+name], "nobody takes %s", name)
			}
		}
	}
	require.Greater(t, count, 50, "messages.go is not read any more")
}

// typesOf lists the types of the actors of one kind.
func typesOf(kind string) []string {
	switch kind {
	case kindGateway, kindWorker:
		return []string{"treeRoot"}
	case kindProvider:
		return []string{"providerSupervisor"}
	case kindRoster:
		return []string{"roster", "gatewayRoster"}
	}
	return []string{kind}
}
