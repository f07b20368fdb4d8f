package config

import (
	"maps"
	"slices"
	"strings"
)

const envPrefix = "TROUPE_"

// envConfig names the file; it is a variable that sets no key.
const envConfig = "TROUPE_CONFIG"

// EnvName spells a key as a variable.
func EnvName(key string) string { return envPrefix + envWord(key) }

// envWord folds what a variable's name cannot hold: case, and . - : to _.
func envWord(s string) string {
	return strings.NewReplacer(".", "_", "-", "_", ":", "_").Replace(strings.ToUpper(s))
}

// readEnv reads the TROUPE_ variables. An unknown one is only a warning, since
// the environment belongs to others too.
func (l *loader) readEnv() []setting {
	var settings []setting
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		word, ours := strings.CutPrefix(name, envPrefix)
		if !ours || name == envConfig {
			continue
		}
		path, n := l.resolveEnv(word)
		if n == nil && injected(word, l.env[name]) {
			continue
		}
		if n == nil {
			l.unknownEnv = append(l.unknownEnv, name)
			continue
		}
		settings = l.accept(settings, path, n, l.env[name], "env "+name)
	}
	return settings
}

// resolveEnv finds the key that a variable means. A variable's name cannot tell
// where the name of a table's entry ends: an entry that a lower layer knows
// wins, then the longest field; a new entry is spelled small, with - for the _
// of a provider.
func (l *loader) resolveEnv(word string) ([]string, *node) {
	for _, n := range l.root.leaves() {
		if !strings.Contains(n.key, "<") && envWord(n.key) == word {
			return strings.Split(n.key, "."), n
		}
	}
	for _, t := range l.root.children {
		rest, under := strings.CutPrefix(word, envWord(t.name)+"_")
		if t.kind != table || !under {
			continue
		}
		if path, n := l.resolveEntry(t, rest); n != nil {
			return path, n
		}
	}
	return nil, nil
}

func (l *loader) resolveEntry(t *node, word string) (path []string, found *node) {
	for _, f := range t.children {
		entry, ok := strings.CutSuffix(word, "_"+envWord(f.name))
		if !ok || entry == "" {
			continue
		}
		if known, ok := l.entries[t.name][entry]; ok {
			return []string{t.name, known, f.name}, f
		}
		if found == nil || len(f.name) > len(found.name) {
			path, found = []string{t.name, newEntry(t.name, entry), f.name}, f
		}
	}
	return path, found
}

func newEntry(table, word string) string {
	word = strings.ToLower(word)
	if table == tableProviders {
		word = strings.ReplaceAll(word, "_", "-")
	}
	return word
}

// injected tells the variables that Kubernetes sets in every container beside a
// Service whose name starts with troupe.
func injected(word, value string) bool {
	switch {
	case word == "PORT", strings.HasPrefix(word, "PORT_"), strings.HasPrefix(word, "SERVICE_"):
		return true
	case strings.HasSuffix(word, "_SERVICE_HOST"), strings.Contains(word, "_SERVICE_PORT"):
		return true
	}
	return strings.Contains(word, "_PORT") && (strings.Contains(value, "://") || strings.Contains(word, "_TCP") || strings.Contains(word, "_UDP"))
}

// warnUnknownEnv comes last: a variable of that name may be where a secret is
// read from.
func (l *loader) warnUnknownEnv() {
	for _, name := range l.unknownEnv {
		if !l.referred[name] {
			l.warnUnknown(name)
		}
	}
}

func (l *loader) warnUnknown(name string) {
	var names []string
	for _, key := range l.keys() {
		names = append(names, EnvName(key))
	}
	line := "env " + safeKey(name) + ": no such key, ignored"
	if near := nearest(name, names); near != "" {
		line += "; did you mean " + near + "?"
	}
	l.report.warn(line)
}
