package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

type override = scenario.Override

// splitOverrides takes the flags out that are keys of a scenario, like
// --connections=100 and --questions.rate 20. A key that is true or false may go
// without a value: --questions.named.
func splitOverrides(args []string) (found []override, rest []string, err error) {
	keys := scenario.Keys()
	for i := 0; i < len(args); i++ {
		flag, isFlag := strings.CutPrefix(args[i], "--")
		name, value, hasValue := strings.Cut(flag, "=")
		if !strings.HasPrefix(name, "headers.") {
			name = strings.ReplaceAll(name, "-", "_")
		}
		if !isFlag || !isKey(keys, name) {
			rest = append(rest, args[i])
			continue
		}
		switch next := i + 1; {
		case hasValue:
		case next < len(args) && !strings.HasPrefix(args[next], "--"):
			value = args[next]
			i++
		case scenario.IsSwitch(name):
			value = "true"
		default:
			return nil, nil, fmt.Errorf("--%s needs a value, like --%s=…; docs/load.md tells which", name, name)
		}
		found = append(found, override{Path: name, Value: value})
	}
	return found, rest, nil
}

// isKey tells whether a flag means a field. Flags with a dot always do, so that a
// mistyped one is told what is near.
func isKey(keys []string, name string) bool {
	return strings.Contains(name, ".") || slices.Contains(keys, name)
}
