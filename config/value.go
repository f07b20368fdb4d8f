package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

var (
	secretType   = reflect.TypeFor[protocol.Secret]()
	secretsType  = reflect.TypeFor[[]protocol.Secret]()
	stringsType  = reflect.TypeFor[[]string]()
	intsType     = reflect.TypeFor[[]int]()
	durationType = reflect.TypeFor[time.Duration]()
)

// isList tells whether a value of type t is written as a list.
func isList(t reflect.Type) bool { return t == stringsType || t == secretsType || t == intsType }

// isSecret tells whether a value of type t must never be shown.
func isSecret(t reflect.Type) bool { return t == secretType || t == secretsType }

func isBool(n *node) bool { return n.typ.Kind() == reflect.Bool }

// parse reads one value from text, as a variable or a flag spells it: lists by
// comma. The result is what a layer holds: a secret is still a string there,
// because it may yet be a reference, and becomes a Secret with the Config.
func parse(t reflect.Type, text string) (any, bool) {
	if isList(t) {
		return parseList(t, splitList(text))
	}
	return parseScalar(t, text)
}

// parseList reads the items of a list.
func parseList(t reflect.Type, items []string) (any, bool) {
	if t != intsType {
		return items, true
	}
	list := make([]int, len(items))
	for i, item := range items {
		n, err := strconv.Atoi(strings.TrimSpace(item))
		if err != nil {
			return nil, false
		}
		list[i] = n
	}
	return list, true
}

func parseScalar(t reflect.Type, text string) (any, bool) {
	switch {
	case t == durationType:
		d, err := time.ParseDuration(strings.TrimSpace(text))
		return d, err == nil
	case t == secretType, t.Kind() == reflect.String:
		return text, true
	case t.Kind() == reflect.Int:
		n, err := strconv.Atoi(strings.TrimSpace(text))
		return n, err == nil
	case t.Kind() == reflect.Float64:
		f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		return f, err == nil
	case t.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(strings.TrimSpace(text))
		return b, err == nil
	}
	return nil, false
}

// splitList never returns nil: an empty list is a value, not an absence. It may
// also be written [], as files and the documentation do.
func splitList(text string) []string {
	list := []string{}
	if strings.TrimSpace(text) == "[]" {
		return list
	}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// wanted says what a value of type t looks like.
func wanted(t reflect.Type) string {
	switch {
	case t == durationType:
		return "must be a duration with its unit, as in 500ms, 30s or 5m"
	case t == intsType:
		return "must be a list of whole numbers, as in [1, 3]"
	case isList(t):
		return "must be a list of texts, as in [a, b]"
	case t == secretType:
		return "must be a text, env:NAME or file:PATH"
	case t.Kind() == reflect.Int:
		return "must be a whole number"
	case t.Kind() == reflect.Float64:
		return "must be a number"
	case t.Kind() == reflect.Bool:
		return "must be true or false"
	}
	return "must be a text"
}

// layered turns a field of a Config into what a layer holds.
func layered(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case protocol.Secret:
		return string(x.Reveal())
	case []protocol.Secret:
		list := make([]string, len(x))
		for i, s := range x {
			list[i] = string(s.Reveal())
		}
		return list
	case []string:
		return append([]string{}, x...)
	case []int:
		return append([]int{}, x...)
	default:
		return x
	}
}

// shown is how a problem quotes a value: never a secret's, on one line, short.
func shown(t reflect.Type, text string) string {
	if isSecret(t) {
		return "[redacted]"
	}
	return quoted(text)
}

func quoted(text string) string {
	const most = 80
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strconv.Quote(text)
}

// formatDuration writes 5m where Duration.String writes 5m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// sortedKeys lists the names of a table's entries.
func sortedKeys(m reflect.Value) []string {
	keys := make([]string, 0, m.Len())
	for _, k := range m.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	return keys
}

// problem is one reason not to start, on one line, shaped as the lines of the
// packages' own Validate become once they are annotated.
func problem(key, value, origin, remedy string) error {
	if value != "" {
		key += ": " + value + " is not allowed"
	}
	return fmt.Errorf("%s: %s (from %s)", key, remedy, origin)
}
