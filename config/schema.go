package config

import (
	"reflect"
	"strings"
)

// kind tells what stands at a place of the tree.
type kind uint8

const (
	section kind = iota // a fixed set of keys
	table               // entries under names the operator chooses, all alike
	leaf                // one value
)

// node is one place of the configuration tree. The tree is read off the koanf
// tags of Config, so a room that gains a field gains its key, its variable, its
// flag and its line of documentation with it.
type node struct {
	name     string
	key      string // dotted; an entry of a table is spelled <name> or <id>
	kind     kind
	doc      string
	typ      reflect.Type
	children []*node // of a section, or of any entry of a table
}

// schema reads the tree. It is built per use: the tree is small and start-up
// and reload are its only readers.
func schema() *node {
	root := &node{kind: section, typ: reflect.TypeFor[Config]()}
	root.children = fieldsOf(root.typ, "")
	return root
}

func fieldsOf(t reflect.Type, prefix string) []*node {
	nodes := make([]*node, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("koanf")
		if name == "" {
			continue
		}
		n := &node{name: name, key: prefix + name, doc: f.Tag.Get("doc"), typ: f.Type, kind: leaf}
		switch {
		case f.Type.Kind() == reflect.Map:
			n.kind = table
			n.children = fieldsOf(f.Type.Elem(), n.key+"."+entryLabel(name)+".")
		case f.Type.Kind() == reflect.Struct && f.Type != secretType:
			n.kind = section
			n.children = fieldsOf(f.Type, n.key+".")
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// entryLabel is how documentation spells the name of a table's entry.
func entryLabel(table string) string {
	if table == tableProducts {
		return "<id>"
	}
	return "<name>"
}

func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// leaves lists the values under n in the order of the structs.
func (n *node) leaves() []*node {
	if n.kind == leaf {
		return []*node{n}
	}
	var all []*node
	for _, c := range n.children {
		all = append(all, c.leaves()...)
	}
	return all
}

// resolve finds the value that a dotted key means. The name of a table's entry
// may hold dots itself, so entries are told by the field they end with.
func (n *node) resolve(key string) (path []string, found *node) {
	for _, c := range n.children {
		rest, under := strings.CutPrefix(key, c.name+".")
		switch {
		case c.kind == leaf && key == c.name:
			return []string{c.name}, c
		case c.kind == section && under:
			if path, found = c.resolve(rest); found != nil {
				return append([]string{c.name}, path...), found
			}
		case c.kind == table && under:
			for _, f := range c.children {
				if entry, ok := strings.CutSuffix(rest, "."+f.name); ok && entry != "" {
					return []string{c.name, entry, f.name}, f
				}
			}
		}
	}
	return nil, nil
}

// visit calls do for every value of c, entries of tables in the order of their
// names. It only reads: a configuration in use may be visited.
func visit(c *Config, do func(path []string, n *node, v reflect.Value)) {
	visitValue(reflect.ValueOf(c).Elem(), schema(), nil, do)
}

func visitValue(v reflect.Value, n *node, path []string, do func([]string, *node, reflect.Value)) {
	for _, c := range n.children {
		field := fieldNamed(v, c.name)
		at := append(path[:len(path):len(path)], c.name)
		switch c.kind {
		case leaf:
			do(at, c, field)
		case section:
			visitValue(field, c, at, do)
		case table:
			for _, entry := range sortedKeys(field) {
				value := field.MapIndex(reflect.ValueOf(entry))
				visitValue(value, c, append(at[:len(at):len(at)], entry), do)
			}
		}
	}
}

// fieldNamed finds the field of struct v whose tag is name. The schema was read
// off the same type, so there is one.
func fieldNamed(v reflect.Value, name string) reflect.Value {
	t := v.Type()
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("koanf") == name {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}
