package config

import (
	"errors"
	"os"
	"strings"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Sources is everything a configuration is made of.
type Sources struct {
	Args       []string // --key=value, as SplitFlags takes them out
	Env        []string // NAME=value, as os.Environ gives them
	ConfigFile string   // --config; empty = TROUPE_CONFIG, else ./troupe.yaml if it is there

	// ReadFile reads the configuration file and the files of secrets.
	// nil = os.ReadFile.
	ReadFile func(path string) ([]byte, error)
}

// Load reads, merges and validates. The error joins every problem, one line
// each; the Report is there in any case.
func Load(s Sources) (*Config, *Report, error) {
	l := newLoader(s)
	defer l.warnUnknownEnv()
	file := l.readFile(s.ConfigFile)
	l.learn(file)
	env := l.readEnv()
	flags := l.readFlags(s.Args)
	if len(l.problems) > 0 {
		return nil, l.report, errors.Join(l.problems...)
	}
	l.report.record(file, env, flags)
	c, err := compose(defaults(Default()), file, env, flags)
	if err != nil {
		return nil, l.report, err
	}
	l.resolveSecrets(c)
	if len(l.problems) > 0 {
		return nil, l.report, errors.Join(l.problems...)
	}
	if err := c.Validate(); err != nil {
		return nil, l.report, l.report.annotate(err)
	}
	return c, l.report, nil
}

// loader gathers what the readers of the layers share. It lives for one Load.
type loader struct {
	root     *node
	env      map[string]string
	read     func(string) ([]byte, error)
	report   *Report
	problems []error

	// entries of each table, as a variable spells them → as they are named.
	entries map[string]map[string]string

	unknownEnv []string        // TROUPE_ variables that are no key
	referred   map[string]bool // variables that a secret is read from
}

func newLoader(s Sources) *loader {
	l := &loader{
		root:    schema(),
		env:     make(map[string]string, len(s.Env)),
		read:    s.ReadFile,
		report:  newReport(),
		entries: map[string]map[string]string{},

		referred: map[string]bool{},
	}
	if l.read == nil {
		l.read = os.ReadFile
	}
	for _, pair := range s.Env {
		if name, value, ok := strings.Cut(pair, "="); ok {
			l.env[name] = value
		}
	}
	l.learn(defaults(Default()))
	return l
}

// learn remembers the names of a layer's table entries for the layers above.
func (l *loader) learn(settings []setting) {
	for _, s := range settings {
		if len(s.path) < 2 || l.root.child(s.path[0]).kind != table {
			continue
		}
		known := l.entries[s.path[0]]
		if known == nil {
			known = map[string]string{}
			l.entries[s.path[0]] = known
		}
		known[envWord(s.path[1])] = s.path[1]
	}
}

func (l *loader) fail(err error) { l.problems = append(l.problems, err) }

// accept parses one value and adds it, or reports why not.
func (l *loader) accept(to []setting, path []string, n *node, text, origin string) []setting {
	if t := l.root.child(path[0]); t.kind == table {
		if wrong := badEntry(t.name, path[1]); wrong != "" {
			l.fail(problem(joinKey(path[:1], path[1]), "", origin, wrong))
			return to
		}
	}
	value, ok := parse(n.typ, text)
	if !ok {
		l.fail(problem(strings.Join(path, "."), shown(n.typ, text), origin, wanted(n.typ)))
		return to
	}
	return append(to, setting{path: path, value: value, origin: origin})
}

// unknown reports a key that nobody has. Its value is not shown: it may be a
// secret under a misspelled name.
func (l *loader) unknown(key, origin string, candidates []string) {
	remedy := "unknown key; `troupe config docs` lists every key"
	if near := nearest(key, candidates); near != "" {
		remedy = "unknown key; did you mean " + near + "?"
	}
	l.fail(problem(safeKey(key), "", origin, remedy))
}

// keys lists every key that can be set, with the entries of tables by name.
func (l *loader) keys() []string {
	var keys []string
	for _, n := range l.root.leaves() {
		if !strings.Contains(n.key, "<") {
			keys = append(keys, n.key)
		}
	}
	for _, t := range l.root.children {
		for _, entry := range sortedNames(l.entries[t.name]) {
			for _, f := range t.children {
				keys = append(keys, t.name+"."+entry+"."+f.name)
			}
		}
	}
	return keys
}

// siblings lists what may stand where the last word of path stands, then every
// other key, in case the word is right and its place is wrong.
func (l *loader) siblings(parent *node, path []string) []string {
	var keys []string
	for _, c := range parent.children {
		keys = append(keys, strings.Join(append(path[:len(path)-1:len(path)-1], c.name), "."))
	}
	return append(keys, l.keys()...)
}

// badEntry tells why a table cannot have an entry of this name, or "".
func badEntry(table, name string) string {
	if table == tableProducts {
		if !protocol.ValidLabel(name) {
			return "a product id must match [A-Za-z0-9][A-Za-z0-9_.:-]{0,127}"
		}
		return ""
	}
	if len(name) < 1 || len(name) > 32 || !allOf(name, "abcdefghijklmnopqrstuvwxyz0123456789-") {
		return "a provider's name must be 1 to 32 of a-z, 0-9 and -"
	}
	return ""
}
