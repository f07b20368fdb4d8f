package chaos

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

//go:embed scenarios/*.yaml
var files embed.FS

// mostBytes bounds a scenario file.
const mostBytes = 1 << 20

// Names are the built-in scenarios, sorted.
func Names() []string {
	entries, err := files.ReadDir("scenarios")
	if err != nil { // of an embedded folder
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// Source returns the YAML of a built-in scenario. The part of its name before the
// first dash is enough: f01.
func Source(name string) (full string, text []byte, err error) {
	for _, known := range Names() {
		if known == name || strings.HasPrefix(known, name+"-") {
			text, err := files.ReadFile(path.Join("scenarios", known+".yaml"))
			return known, text, err
		}
	}
	return "", nil, fmt.Errorf("no fault scenario is called %q; `troupe-load faults --list` shows them", name)
}

// Load reads a built-in scenario by its name, or a file: a name that has a slash
// or a dot is a file's.
func Load(nameOrFile string) (*Plan, error) {
	if !strings.ContainsAny(nameOrFile, "./\\") {
		name, text, err := Source(nameOrFile)
		if err != nil {
			return nil, err
		}
		return Parse(name, text)
	}
	info, err := os.Stat(nameOrFile)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file", nameOrFile)
	case err != nil:
		return nil, err
	case info.Size() > mostBytes:
		return nil, fmt.Errorf("%s: a scenario has at most %d bytes", nameOrFile, mostBytes)
	}
	text, err := os.ReadFile(nameOrFile)
	if err != nil {
		return nil, err
	}
	return Parse(nameOrFile, text)
}

// Parse reads a scenario, fills in its defaults and checks it. name is told in
// errors.
func Parse(name string, text []byte) (*Plan, error) {
	p := &Plan{}
	if err := scenario.Decode(name, text, p); err != nil {
		return nil, err
	}
	p.fill()
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// or is the value that a key has when it is left out.
func or[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

func (p *Plan) fill() {
	or(&p.Start, StartServe)
	if p.Start == StartFleet {
		or(&p.Gateways, 2)
		or(&p.Workers, 3)
	}
	or(&p.Length, scenario.Duration(10*time.Second))
	or(&p.Deadline, scenario.Duration(60*time.Second))
	or(&p.Expect.Gap, scenario.Duration(2*time.Second))
	or(&p.Expect.Rest, scenario.Duration(10*time.Second))
	for i := range p.Streams {
		g := &p.Streams[i]
		or(&g.Name, fmt.Sprintf("group-%d", i+1))
		or(&g.Provider, ProviderVendor)
		or(&g.Model, "echo-50ms-40w")
		or(&g.OnDisconnect, "grace")
	}
	for i := range p.Steps {
		p.Steps[i].fill()
	}
	for i := range p.Random.From {
		p.Random.From[i].fill()
	}
	if p.Random.Every > 0 {
		or(&p.Random.First, p.Random.Every)
	}
}

func (s *Step) fill() {
	or(&s.After, scenario.Duration(3*time.Second))
	if s.Clients != "" {
		or(&s.Count, 1)
	}
	if s.Clients == clientsLeave {
		or(&s.How, leaveReset)
	}
	switch {
	case s.Touches != "":
	case s.target() == memberNATS || s.target() == memberServe:
		s.Touches = TouchesAll
	case s.target() != "" || s.Clients == clientsLeave:
		s.Touches = TouchesOnTarget
	case s.Inject != "":
		s.Touches = TouchesHits
	default:
		s.Touches = TouchesNobody
	}
}

// Last is --duration: another length. What goes on again and again, and ends at some
// time before the end, ends as long before the new one, and takes place once at least.
func (p *Plan) Last(length time.Duration) {
	more := scenario.Duration(length) - p.Length
	p.Length = scenario.Duration(length)
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Until > 0 {
			s.Until = max(s.Until+more, s.At)
		}
	}
}

// Shorten is --quick: fewer streams, in proportion.
func (p *Plan) Shorten() {
	all := 0
	for _, g := range p.Streams {
		all += g.Count
	}
	if most := p.Quick.Streams; most > 0 && all > most {
		for i := range p.Streams {
			g := &p.Streams[i]
			g.Count = max(1, g.Count*most/all)
		}
	}
	if p.Quick.Length > 0 {
		p.Length = p.Quick.Length
	}
}

// StartAs starts something else than the scenario says: serve, or fleet.
func (p *Plan) StartAs(start string) error {
	if start == p.Start {
		return nil
	}
	p.Start, p.Gateways, p.Workers = start, 0, 0
	if start == StartFleet {
		p.Gateways, p.Workers = 2, 3
	}
	if err := p.check(); err != nil {
		return fmt.Errorf("--start %s does not fit %s: %w", start, p.Name, err)
	}
	return nil
}
