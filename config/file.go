package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"go.yaml.in/yaml/v3"
)

// defaultFile is read when it is there and nobody named another.
const defaultFile = "./troupe.yaml"

// readFile finds, parses and walks the configuration file. Walking the nodes
// instead of a decoded map is what gives every problem its line.
func (l *loader) readFile(named string) []setting {
	path, origin := named, "--config"
	if path == "" {
		path, origin = l.env[envConfig], "env "+envConfig
	}
	optional := path == ""
	if optional {
		path = defaultFile
	}
	data, err := l.read(path)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		if optional {
			origin = "the working directory"
		}
		l.fail(problem("config file "+quoted(path), "", origin, "cannot be read: "+reason(err)))
		return nil
	}
	l.report.File = path
	w := fileWalk{loader: l, file: strings.TrimPrefix(path, "./")}
	w.document(data)
	return w.settings
}

// reason drops the path from a file error: the line has named it already.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

type fileWalk struct {
	*loader
	file     string
	settings []setting
}

func (w *fileWalk) document(data []byte) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		w.fail(problem("config file "+quoted(w.file), "", "file", "is not valid YAML: "+yamlReason(err)))
		return
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) { // empty, or comments alone
		return
	}
	w.mapping(w.root, doc.Content[0], nil)
}

// yamlReason keeps the parser's words unless they could quote the file, which
// may hold keys: its messages about anchors and tags do. What it misses of the
// syntax it names in quotes too, from a short list of its own.
func yamlReason(err error) string {
	text := strings.TrimPrefix(strings.SplitN(err.Error(), "\n", 2)[0], "yaml: ")
	for _, syntax := range []string{"did not find expected ',' or ']'", "did not find expected ',' or '}'", "did not find expected '-' indicator"} {
		if strings.HasSuffix(text, syntax) {
			return syntax // without the line, which is the one before where a list is open
		}
	}
	for _, quoting := range []string{"anchor", "tag", "`", "'", "\"", "unmarshal"} {
		if strings.Contains(text, quoting) {
			return "an anchor, tag or key is wrong"
		}
	}
	return text
}

// mapping walks a section, or one entry of a table.
func (w *fileWalk) mapping(n *node, at *yaml.Node, path []string) {
	at = target(at)
	if at.Kind != yaml.MappingNode {
		if !isNull(at) {
			w.fail(problem(keyOrFile(path), "", w.origin(at), "must hold keys of its own, as in {key: value}"))
		}
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(at.Content); i += 2 {
		name, value := at.Content[i], at.Content[i+1]
		if w.twice(seen, name, path) {
			continue
		}
		w.key(n, name, value, append(path[:len(path):len(path)], name.Value))
	}
}

// twice refuses a name that stood in its mapping before: one of the two would be
// lost, or both made one.
func (w *fileWalk) twice(seen map[string]int, name *yaml.Node, path []string) bool {
	line, twice := seen[name.Value]
	if twice {
		w.fail(problem(joinKey(path, name.Value), "", w.origin(name), fmt.Sprintf("is given twice; first in line %d", line)))
	} else {
		seen[name.Value] = name.Line
	}
	return twice
}

func (w *fileWalk) key(parent *node, name, value *yaml.Node, path []string) {
	n := parent.child(name.Value)
	if name.Kind != yaml.ScalarNode || n == nil {
		w.unknown(strings.Join(path, "."), w.origin(name), w.siblings(parent, path))
		return
	}
	switch n.kind {
	case section:
		w.mapping(n, value, path)
	case table:
		w.table(n, value, path)
	case leaf:
		w.leaf(n, value, path)
	}
}

func (w *fileWalk) table(n *node, at *yaml.Node, path []string) {
	at = target(at)
	if at.Kind != yaml.MappingNode {
		w.mapping(n, at, path)
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(at.Content); i += 2 {
		name, value := at.Content[i], at.Content[i+1]
		if w.twice(seen, name, path) {
			continue
		}
		entry := append(path[:len(path):len(path)], name.Value)
		if wrong := badEntry(n.name, name.Value); wrong != "" {
			w.fail(problem(joinKey(path, name.Value), "", w.origin(name), wrong))
			continue
		}
		// An entry counts even when it is empty: a product without fields exists.
		w.settings = append(w.settings, setting{path: entry, value: map[string]any{}, origin: w.origin(name)})
		w.mapping(n, value, entry)
	}
}

func (w *fileWalk) leaf(n *node, at *yaml.Node, path []string) {
	at = target(at)
	key, origin := joinKey(path[:len(path)-1], path[len(path)-1]), w.origin(at)
	switch {
	case isNull(at):
		w.fail(problem(key, "", origin, "has no value; leave the line out for the default; "+wanted(n.typ)))
	case at.Kind == yaml.ScalarNode:
		w.settings = w.accept(w.settings, path, n, at.Value, origin)
	case at.Kind == yaml.SequenceNode && isList(n.typ):
		if items, ok := scalars(at); ok {
			if list, ok := parseList(n.typ, items); ok {
				w.settings = append(w.settings, setting{path: path, value: list, origin: origin})
				return
			}
		}
		w.fail(problem(key, "", origin, wanted(n.typ)))
	default:
		w.fail(problem(key, "", origin, wanted(n.typ)))
	}
}

func scalars(at *yaml.Node) ([]string, bool) {
	list := make([]string, 0, len(at.Content))
	for _, item := range at.Content {
		item = target(item)
		if item.Kind != yaml.ScalarNode || isNull(item) {
			return nil, false
		}
		list = append(list, item.Value)
	}
	return list, true
}

// target follows an alias. The target of an alias is never an alias.
func target(at *yaml.Node) *yaml.Node {
	if at.Kind == yaml.AliasNode {
		return at.Alias
	}
	return at
}

func isNull(at *yaml.Node) bool { return at.Kind == yaml.ScalarNode && at.Tag == "!!null" }

func (w *fileWalk) origin(at *yaml.Node) string {
	return fmt.Sprintf("file %s:%d", w.file, at.Line)
}

func keyOrFile(path []string) string {
	if len(path) == 0 {
		return "the file"
	}
	return joinKey(path[:len(path)-1], path[len(path)-1])
}
