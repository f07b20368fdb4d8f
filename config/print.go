package config

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// keyBusURL is a text that may hold a user and a password.
const keyBusURL = "bus.url"

// Print writes the configuration in effect as YAML. Secrets are redacted; a
// value that somebody set carries a comment with its source.
func (c *Config) Print(w io.Writer, r *Report) error {
	root := printSection(reflect.ValueOf(c).Elem(), schema(), nil, r)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(root); err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	return e.Close()
}

func printSection(v reflect.Value, n *node, path []string, r *Report) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for _, c := range n.children {
		field, at := fieldNamed(v, c.name), append(path[:len(path):len(path)], c.name)
		var value *yaml.Node
		switch c.kind {
		case leaf:
			value = printLeaf(field)
			if c.key == keyBusURL {
				value = word(bus.RedactURL(field.String()))
			}
			if key := strings.Join(at, "."); r.given(key) {
				value.LineComment = r.Source(key)
			}
		case section:
			value = printSection(field, c, at, r)
		case table:
			value = printTable(field, c, at, r)
		}
		m.Content = append(m.Content, word(c.name), value)
	}
	return m
}

func printTable(v reflect.Value, n *node, path []string, r *Report) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for _, entry := range sortedKeys(v) {
		at := append(path[:len(path):len(path)], entry)
		m.Content = append(m.Content, word(entry), printSection(v.MapIndex(reflect.ValueOf(entry)), n, at, r))
	}
	return m
}

func printLeaf(v reflect.Value) *yaml.Node {
	switch x := v.Interface().(type) {
	case []string:
		return printList(x)
	case []int:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, n := range x {
			list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.Itoa(n)})
		}
		return list
	case protocol.Secret:
		return word(shownSecret(x))
	case []protocol.Secret:
		list := make([]string, len(x))
		for i, s := range x {
			list[i] = shownSecret(s)
		}
		return printList(list)
	case string:
		return word(x)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: formatScalar(v)}
}

func shownSecret(s protocol.Secret) string {
	if s.Empty() {
		return ""
	}
	return s.String()
}

func printList(items []string) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, item := range items {
		list.Content = append(list.Content, word(item))
	}
	return list
}

// word is a text; the encoder quotes what would read as something else.
func word(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

// formatScalar spells a number, a bool, a duration or a text as a file would.
func formatScalar(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return formatDuration(x)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	default:
		return fmt.Sprint(x)
	}
}
