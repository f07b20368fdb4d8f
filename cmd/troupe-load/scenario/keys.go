package scenario

import (
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Keys are all paths that a scenario may hold, sorted.
func Keys() []string {
	var keys []string
	collect(reflect.TypeFor[Scenario](), "", &keys)
	slices.Sort(keys)
	return keys
}

func collect(t reflect.Type, path string, keys *[]string) {
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		t = t.Elem()
	}
	if !isBranch(t) {
		*keys = append(*keys, path)
		return
	}
	for i := range t.NumField() {
		f := t.Field(i)
		collect(f.Type, joinPath(path, tagName(f)), keys)
	}
}

// isBranch tells whether a type holds further keys of ours.
func isBranch(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.Unmarshaler]())
}

func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if tagName(v.Type().Field(i)) == name {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func fieldNames(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		names = append(names, tagName(t.Field(i)))
	}
	return names
}

func tagName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

func joinPath(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// IsSwitch tells whether a path is that of a truth value.
func IsSwitch(path string) bool {
	t := reflect.TypeFor[Scenario]()
	for part := range strings.SplitSeq(path, ".") {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if !isBranch(t) {
			return false
		}
		field, ok := fieldOf(reflect.New(t).Elem(), part)
		if !ok {
			return false
		}
		t = field.Type()
	}
	return t.Kind() == reflect.Bool
}

// advice names the nearest key, or all where none is near.
func advice(wrong string, names []string, path string) string {
	best, distance := "", len(wrong)/2+2
	for _, name := range names {
		if d := editDistance(wrong, name); d < distance {
			best, distance = name, d
		}
	}
	if best != "" {
		return "the nearest is " + joinPath(path, best)
	}
	return "there are: " + strings.Join(names, ", ")
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
