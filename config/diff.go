package config

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Diff lists the keys that differ, sorted: those that a running server can take
// over and those that need a restart. An entry of a table that came or went is
// one key.
func Diff(before, after *Config) (live, restart []string) {
	a, b := flatten(before), flatten(after)
	changed := map[string]bool{} // key → can change live
	for key, v := range a {
		w, stays := b[key]
		switch {
		case !stays:
			changed[v.entry] = v.entryLive
		case !sameValue(v.at, w.at):
			changed[key] = v.live
		}
	}
	for key, w := range b {
		if _, was := a[key]; !was {
			changed[w.entry] = w.entryLive
		}
	}
	for _, key := range slices.Sorted(maps.Keys(changed)) {
		if changed[key] {
			live = append(live, key)
		} else {
			restart = append(restart, key)
		}
	}
	return live, restart
}

type flatValue struct {
	at        reflect.Value
	live      bool
	entry     string // the table's entry it belongs to
	entryLive bool   // whether such an entry may come and go
}

func flatten(c *Config) map[string]flatValue {
	flat := map[string]flatValue{}
	visit(c, func(path []string, n *node, v reflect.Value) {
		flat[strings.Join(path, ".")] = flatValue{
			at:        v,
			live:      isLive(n),
			entry:     strings.Join(path[:min(2, len(path))], "."),
			entryLive: path[0] == tableProducts,
		}
	})
	return flat
}

// isLive tells whether a running server takes a new value over on SIGHUP.
func isLive(n *node) bool {
	switch n.key {
	case "http.public_url", "http.allowed_origins", "http.extra_origins", "http.trusted_proxies",
		"http.admin_token", "http.admin_from", "log.level", keyDefault:
		return true
	}
	for _, table := range []string{"limits.", "overload.", "products.", "providers."} {
		if strings.HasPrefix(n.key, table) {
			return true
		}
	}
	return false
}

// sameValue compares two fields of one type.
func sameValue(a, b reflect.Value) bool {
	switch x := a.Interface().(type) {
	case protocol.Secret:
		return sameSecret(x, b.Interface().(protocol.Secret))
	case []protocol.Secret:
		return slices.EqualFunc(x, b.Interface().([]protocol.Secret), sameSecret)
	case []int:
		return slices.Equal(x, b.Interface().([]int))
	case []string: // one that is absent and one that is empty are the same list
		return slices.Equal(x, b.Interface().([]string))
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func sameSecret(a, b protocol.Secret) bool { return bytes.Equal(a.Reveal(), b.Reveal()) }
