package config

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// originDefault is the source of every value that nobody set.
const originDefault = "default"

// Report says how a configuration came about.
type Report struct {
	Warnings []string // one line each; none of them stops the start
	File     string   // the configuration file that was read; empty = none

	sources map[string]string
}

func newReport() *Report { return &Report{sources: map[string]string{}} }

// Source tells where the value of a dotted key came from: "default",
// "file troupe.yaml:7", "env TROUPE_POOL_MAX_PER_IP" or "flag --pool.max_per_ip".
func (r *Report) Source(key string) string {
	if s, ok := r.sources[key]; ok {
		return s
	}
	return originDefault
}

// given tells whether anybody set key.
func (r *Report) given(key string) bool { return r.sources[key] != "" }

func (r *Report) warn(line string) { r.Warnings = append(r.Warnings, line) }

func (r *Report) record(layers ...[]setting) {
	for _, settings := range layers {
		for _, s := range settings {
			r.sources[strings.Join(s.path, ".")] = s.origin
		}
	}
}

// keyInLine finds a key inside a line that a package's Validate wrote.
func keyInLine() *regexp.Regexp {
	var sections, words []string
	for _, n := range schema().children {
		if name := regexp.QuoteMeta(n.name); n.kind == leaf {
			words = append(words, name)
		} else {
			sections = append(sections, name)
		}
	}
	return regexp.MustCompile(`\b(?:` + strings.Join(sections, "|") + `)\.[A-Za-z0-9_.:-]*[A-Za-z0-9_-]|\b(?:` + strings.Join(words, "|") + `)\b`)
}

// annotate gives every line of a validation its source. Packages name keys and
// do not know where values come from.
func (r *Report) annotate(err error) error {
	var lines []error
	keys := keyInLine()
	for line := range strings.SplitSeq(err.Error(), "\n") {
		key := keys.FindString(line)
		if key == "" {
			lines = append(lines, errors.New(line))
			continue
		}
		lines = append(lines, errors.New(line+" (from "+r.nearSource(key)+")"))
	}
	return errors.Join(lines...)
}

// nearSource is the source of key, or of the first set key below it.
func (r *Report) nearSource(key string) string {
	if r.given(key) {
		return r.Source(key)
	}
	for _, set := range slices.Sorted(maps.Keys(r.sources)) {
		if strings.HasPrefix(set, key+".") {
			return r.Source(set)
		}
	}
	return originDefault
}

// joinKey spells a key whose last word came from outside.
func joinKey(path []string, name string) string {
	return strings.Join(append(path[:len(path):len(path)], safeKey(name)), ".")
}

// safeKey quotes a key that could break a line of a log, and shortens it.
func safeKey(key string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-"
	if key != "" && len(key) <= 120 && allOf(key, plain) {
		return key
	}
	if len(key) > 120 {
		key = strings.ToValidUTF8(key[:120], "") + "…"
	}
	return strconv.Quote(key)
}

func allOf(s, set string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune(set, r) }) < 0
}

func sortedNames(entries map[string]string) []string {
	return slices.Sorted(maps.Values(entries))
}
