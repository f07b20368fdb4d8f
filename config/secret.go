package config

import (
	"bytes"
	"reflect"
	"strings"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// resolveSecrets replaces env:NAME and file:PATH by what they name. Only the
// values that won are resolved: a reference that a higher layer replaced is
// never followed.
//
// An unset variable is no key and no reason to stay down. An unreadable file is
// one: somebody meant a key to be there.
func (l *loader) resolveSecrets(c *Config) {
	l.resolveIn(reflect.ValueOf(c).Elem(), l.root, nil)
}

func (l *loader) resolveIn(v reflect.Value, n *node, path []string) {
	for _, c := range n.children {
		field := fieldNamed(v, c.name)
		at := append(path[:len(path):len(path)], c.name)
		switch c.kind {
		case leaf:
			l.resolveLeaf(field, c, strings.Join(at, "."))
		case section:
			l.resolveIn(field, c, at)
		case table:
			for _, entry := range sortedKeys(field) {
				name := reflect.ValueOf(entry)
				value := reflect.New(field.Type().Elem()).Elem()
				value.Set(field.MapIndex(name))
				l.resolveIn(value, c, append(at[:len(at):len(at)], entry))
				field.SetMapIndex(name, value)
			}
		}
	}
}

func (l *loader) resolveLeaf(v reflect.Value, n *node, key string) {
	switch n.typ {
	case secretType:
		secret := v.Interface().(protocol.Secret)
		resolved := l.resolve(key, secret)
		if resolved.Empty() && !secret.Empty() && len(l.problems) == 0 {
			l.report.warn(key + ": the variable it names is not set, so there is none (from " + l.report.Source(key) + ")")
		}
		v.Set(reflect.ValueOf(resolved))
	case secretsType:
		secrets := v.Interface().([]protocol.Secret)
		resolved := make([]protocol.Secret, len(secrets)) // each in its place: others of its entry count places
		for i, secret := range secrets {
			resolved[i] = l.resolve(key, secret)
		}
		v.Set(reflect.ValueOf(resolved))
	}
}

func (l *loader) resolve(key string, s protocol.Secret) protocol.Secret {
	text := string(s.Reveal())
	if name, ok := strings.CutPrefix(text, "env:"); ok {
		l.referred[name] = true
		return protocol.NewSecret([]byte(strings.TrimSpace(l.env[name])))
	}
	path, ok := strings.CutPrefix(text, "file:")
	if !ok {
		return s
	}
	data, err := l.read(path)
	if err != nil {
		l.fail(problem(key, "", l.report.Source(key), "file "+quoted(path)+" cannot be read: "+reason(err)))
		return protocol.Secret{}
	}
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 {
		l.fail(problem(key, "", l.report.Source(key), "file "+quoted(path)+" is empty"))
	}
	return protocol.NewSecret(bytes.Clone(trimmed))
}
