package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parse reads a scenario from YAML, then the overrides, fills in the defaults
// and checks it. name is told in errors.
func Parse(name string, text []byte, overrides ...Override) (*Scenario, error) {
	root, err := document(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s := Default()
	var d decoder
	d.structure(root, reflect.ValueOf(s).Elem(), "")
	if len(d.errs) > 0 {
		return nil, fmt.Errorf("%s: %w", name, errors.Join(d.errs...))
	}
	for _, o := range overrides {
		if err := override(s, o); err != nil {
			return nil, err
		}
	}
	s.settle()
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// Decode fills into, a pointer to a struct with yaml tags, from a YAML document.
// It knows every key by its path: what is unknown, there twice or of a wrong kind
// is an error that names the line, the key and the remedy. Structs in lists and
// values of mappings are read as strictly. name is told in errors.
func Decode(name string, text []byte, into any) error {
	root, err := document(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var d decoder
	d.structure(root, reflect.ValueOf(into).Elem(), "")
	if len(d.errs) > 0 {
		return fmt.Errorf("%s: %w", name, errors.Join(d.errs...))
	}
	return nil
}

// document returns the mapping that text is; an empty text is an empty mapping.
func document(text []byte) (*yaml.Node, error) {
	var doc yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return &yaml.Node{Kind: yaml.MappingNode}, nil
	} else if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one YAML document; a scenario is one")
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return &yaml.Node{Kind: yaml.MappingNode}, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: a scenario is a mapping like \"connections: 100\"", root.Line)
	}
	return root, nil
}

// decoder fills structs from nodes and collects what is wrong.
type decoder struct {
	errs []error
}

func (d *decoder) fail(n *yaml.Node, path, format string, args ...any) {
	d.errs = append(d.errs, fmt.Errorf("line %d: %s: %s", n.Line, path, fmt.Sprintf(format, args...)))
}

func (d *decoder) structure(n *yaml.Node, into reflect.Value, path string) {
	n = resolved(n)
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "holds further keys: %s", strings.Join(fieldNames(into.Type()), ", "))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		full := joinPath(path, key.Value)
		field, ok := fieldOf(into, key.Value)
		switch {
		case !ok:
			d.fail(key, full, "there is no such key; %s", advice(key.Value, fieldNames(into.Type()), path))
		case seen[key.Value]:
			d.fail(key, full, "is there twice; remove one")
		default:
			d.value(value, field, full)
		}
		seen[key.Value] = true
	}
}

func (d *decoder) value(n *yaml.Node, into reflect.Value, path string) {
	n = resolved(n)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // as if it was not there
	}
	if target, pointer := into.Type(), into.Kind() == reflect.Pointer; pointer && target.Elem().Kind() == reflect.Struct {
		into.Set(reflect.New(target.Elem()))
		into = into.Elem()
	}
	if isBranch(into.Type()) {
		d.structure(n, into, path)
		return
	}
	if into.Kind() == reflect.Slice && isBranch(into.Type().Elem()) && n.Kind == yaml.SequenceNode {
		d.list(n, into, path)
		return
	}
	if whole(into.Type()) && n.Tag == "!!float" { // which YAML would cut
		d.fail(n, path, "%q is no whole number", n.Value)
		return
	}
	fresh := reflect.New(into.Type())
	if err := n.Decode(fresh.Interface()); err != nil {
		d.fail(n, path, "%s", remedy(err, n, into.Type()))
		return
	}
	into.Set(fresh.Elem())
}

// list reads structs one after the other.
func (d *decoder) list(n *yaml.Node, into reflect.Value, path string) {
	all := reflect.MakeSlice(into.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.structure(item, all.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	into.Set(all)
}

// whole tells whether a type holds whole numbers.
func whole(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return kindName(t) == "whole number" && !reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.Unmarshaler]())
}

// remedy says what the value should have been.
func remedy(err error, n *yaml.Node, want reflect.Type) string {
	var ours *yaml.TypeError
	if !errors.As(err, &ours) {
		return err.Error()
	}
	if want.Kind() == reflect.Pointer {
		want = want.Elem()
	}
	if want.Kind() == reflect.Map && want.Elem() == reflect.TypeFor[Duration]() {
		for i := 1; i < len(n.Content); i += 2 {
			var d Duration
			if err := d.UnmarshalYAML(n.Content[i]); err != nil {
				return err.Error()
			}
		}
	}
	return strconv.Quote(n.Value) + " is no " + kindName(want)
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "truth value; write true or false"
	case reflect.Slice:
		return "list; write it like [a, b]"
	case reflect.Map:
		return "mapping; write it like {first_chunk: 200ms}"
	}
	return "text"
}

func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
