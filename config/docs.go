package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const docsIntro = `# Configuration

Troupe starts without any. Every key below has three spellings, and each layer wins over the one before:

| layer | example |
|---|---|
| default | 25 |
| file | ` + "`pool: {max_per_ip: 50}`" + ` in the file of ` + "`--config`" + `, else of ` + "`TROUPE_CONFIG`" + `, else ` + "`./troupe.yaml`" + ` if it is there |
| environment | ` + "`TROUPE_POOL_MAX_PER_IP=50`" + ` |
| flag | ` + "`--pool.max_per_ip=50`" + ` |

- Durations carry a unit: ` + "`500ms`, `30s`, `5m`, `1h`" + `; ` + "`0`" + ` needs none. Lists are ` + "`[a, b]`" + ` in a file and ` + "`a,b`" + ` elsewhere; a list replaces the one below it, and ` + "`[]`" + ` is an empty list everywhere, not the default.
- Secrets may be ` + "`env:NAME`" + ` or ` + "`file:PATH`" + ` (trimmed). An unset variable is no key; an unreadable file stops the start.
- ` + "`providers`" + ` and ` + "`products`" + ` are tables: entries merge by name and field, so ` + "`echo`" + ` and ` + "`openai`" + ` stay beside the ones you add. In a variable the name of an entry is spelled in capitals with ` + "`_`" + ` for ` + "`-`" + `: ` + "`TROUPE_PROVIDERS_MY_LLM_BASE_URL`" + ` is ` + "`providers.my-llm.base_url`" + `.
- An unknown key in a file or a flag, a wrong value and an unreadable file stop the start with one line each. An unknown ` + "`TROUPE_`" + ` variable is a warning.
- Keys marked live follow a SIGHUP; the others need a restart, and the log says so.

` + "`troupe config check`" + ` checks, ` + "`troupe config print`" + ` shows what is in effect and where it came from, ` + "`troupe config docs`" + ` writes this page.
`

// Docs writes the page that documents every key.
func Docs(w io.Writer) error {
	var b strings.Builder
	b.WriteString(docsIntro)
	defaults := defaultTexts()
	root := schema()
	var top []*node
	for _, n := range root.children {
		if n.kind == leaf {
			top = append(top, n)
			continue
		}
		b.WriteString("\n## " + n.name + "\n\n")
		if n.doc != "" {
			b.WriteString(sentence(n.doc) + "\n\n")
		}
		docsTable(&b, n.leaves(), defaults)
		if n.kind == table {
			docsEntries(&b, n)
		}
	}
	b.WriteString("\n## At the top\n\n")
	docsTable(&b, top, defaults)
	_, err := io.WriteString(w, b.String())
	return err
}

func docsTable(b *strings.Builder, leaves []*node, defaults map[string]string) {
	b.WriteString("| key | variable | flag | default | live | meaning |\n|---|---|---|---|---|---|\n")
	for _, n := range leaves {
		live := "restart"
		if isLive(n) {
			live = "live"
		}
		fmt.Fprintf(b, "| `%s` | `%s` | `--%s` | %s | %s | %s |\n", n.key, EnvName(n.key), n.key, code(defaults[n.key]), live, cell(n.doc))
	}
}

// docsEntries lists the entries that a table has by default.
func docsEntries(b *strings.Builder, t *node) {
	entries := map[string][]string{}
	var order []string
	visit(Default(), func(path []string, _ *node, v reflect.Value) {
		if path[0] != t.name || v.IsZero() || (v.Kind() == reflect.Slice && v.Len() == 0) {
			return
		}
		if _, ok := entries[path[1]]; !ok {
			order = append(order, path[1])
		}
		entries[path[1]] = append(entries[path[1]], path[2]+": "+defaultText(v))
	})
	if len(order) == 0 {
		b.WriteString("\nThere is no entry by default.\n")
		return
	}
	b.WriteString("\nEntries by default:\n\n")
	for _, name := range order {
		fmt.Fprintf(b, "- `%s: {%s}`\n", name, strings.Join(entries[name], ", "))
	}
}

func defaultTexts() map[string]string {
	texts := map[string]string{}
	visit(Default(), func(path []string, n *node, v reflect.Value) {
		if !strings.Contains(n.key, "<") {
			texts[n.key] = defaultText(v)
		}
	})
	return texts
}

// defaultText spells a default. Secrets among them are references, not keys.
func defaultText(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case []string:
		return "[" + strings.Join(x, ", ") + "]"
	case []int:
		return strings.ReplaceAll(fmt.Sprint(x), " ", ", ")
	case protocol.Secret:
		return string(x.Reveal())
	case []protocol.Secret:
		list := make([]string, len(x))
		for i, s := range x {
			list[i] = string(s.Reveal())
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	return formatScalar(v)
}

func code(text string) string {
	if text == "" {
		return "empty"
	}
	return "`" + cell(text) + "`"
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func sentence(text string) string {
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
