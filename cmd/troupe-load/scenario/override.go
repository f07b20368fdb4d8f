package scenario

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Override replaces one field: its path with dots, and its value as YAML.
type Override struct{ Path, Value string }

// override sets one field of s.
func override(s *Scenario, o Override) error {
	into := reflect.ValueOf(s).Elem()
	parts := strings.Split(o.Path, ".")
	for i, part := range parts {
		if into.Kind() == reflect.Pointer {
			if into.IsNil() {
				into.Set(reflect.New(into.Type().Elem()))
			}
			into = into.Elem()
		}
		field, ok := reflect.Value{}, false
		if isBranch(into.Type()) {
			field, ok = fieldOf(into, part)
		} else if into.Kind() == reflect.Map && i == len(parts)-1 {
			return overrideEntry(into, part, o)
		}
		if !ok {
			return fmt.Errorf("--%s: there is no such key; %s", o.Path, advice(o.Path, Keys(), ""))
		}
		into = field
	}
	return overrideValue(into, o)
}

func overrideValue(into reflect.Value, o Override) error {
	n, err := overrideNode(o, into.Type())
	if err != nil {
		return err
	}
	var d decoder
	d.value(n, into, o.Path)
	if len(d.errs) > 0 {
		return overrideError(o, d.errs[0])
	}
	return nil
}

// overrideEntry sets one entry of a mapping, like checks.p99.first_chunk.
func overrideEntry(into reflect.Value, key string, o Override) error {
	n, err := overrideNode(o, into.Type().Elem())
	if err != nil {
		return err
	}
	fresh := reflect.New(into.Type().Elem())
	if err := n.Decode(fresh.Interface()); err != nil {
		return fmt.Errorf("--%s: %s", o.Path, remedy(err, n, into.Type().Elem()))
	}
	whole := reflect.MakeMap(into.Type()) // the default's map is not ours to change
	for _, k := range into.MapKeys() {
		whole.SetMapIndex(k, into.MapIndex(k))
	}
	whole.SetMapIndex(reflect.ValueOf(key), fresh.Elem())
	into.Set(whole)
	return nil
}

// overrideNode is the value as YAML; for a field that is a text it is taken as it
// is.
func overrideNode(o Override, want reflect.Type) (*yaml.Node, error) {
	if o.Value == "" && want.Kind() != reflect.String {
		return nil, fmt.Errorf("--%s: a value is missing", o.Path)
	}
	var doc yaml.Node
	if want.Kind() == reflect.String || yaml.Unmarshal([]byte(o.Value), &doc) != nil || len(doc.Content) == 0 {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: o.Value}, nil
	}
	return doc.Content[0], nil
}

func overrideError(o Override, err error) error {
	_, text, _ := strings.Cut(err.Error(), o.Path+": ") // the line of a command line says nothing
	return fmt.Errorf("--%s: %s", o.Path, text)
}
