package chaos

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// Names of processes.
const (
	memberServe = "serve"
	memberNATS  = "nats"
)

// Bounds of a plan, so that a slip of the pen does not take the machine.
const (
	mostMembers = 16
	mostStreams = 20_000
)

var (
	targetName = regexp.MustCompile(`^(?:serve|nats|(?:gateway|worker)-(?:[1-9][0-9]?|\?))$`)
	configKey  = regexp.MustCompile(`^[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+)*$`)
)

// check says everything that is wrong with a plan.
func (p *Plan) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case p.Start != StartServe && p.Start != StartFleet:
		bad("start: %q is neither serve nor fleet", p.Start)
	case p.Start == StartServe && (p.Gateways > 0 || p.Workers > 0):
		bad("gateways, workers: only a fleet has them; write start: fleet, or leave them out")
	case p.Start == StartFleet && (p.Gateways < 1 || p.Workers < 1 || p.Gateways+p.Workers > mostMembers):
		bad("gateways, workers: at least one of each and %d in all; there are %d and %d", mostMembers, p.Gateways, p.Workers)
	}
	for key := range p.Config {
		if strings.HasPrefix(key, "limits.messages.") {
			bad("config.%s: the tool sets this limit, for it tries it", key)
		}
		if !configKey.MatchString(key) {
			bad("config.%s: this is no key of troupe; docs/configuration.md lists them", key)
		}
	}
	if len(p.Streams) == 0 {
		bad("streams: there are none; without streams nobody can be touched")
	}
	all := 0
	for i := range p.Streams {
		all += p.Streams[i].Count
		errs = append(errs, p.Streams[i].check(fmt.Sprintf("streams[%d]", i)))
	}
	if all > mostStreams {
		bad("streams: %d are more than %d", all, mostStreams)
	}
	for i := range p.Steps {
		errs = append(errs, p.Steps[i].check(fmt.Sprintf("steps[%d]", i), p))
	}
	if p.Random.Every > 0 && len(p.Random.From) == 0 {
		bad("random.from: the list to draw from is empty")
	}
	for i := range p.Random.From {
		errs = append(errs, p.Random.From[i].check(fmt.Sprintf("random.from[%d]", i), p))
	}
	errs = append(errs, checkEnds("expect.ends", p.Expect.Ends))
	return errors.Join(append(errs, p.checkMarks())...)
}

func (g *Group) check(path string) error {
	var errs []error
	if g.Count < 1 {
		errs = append(errs, fmt.Errorf("%s.count: %d; at least 1", path, g.Count))
	}
	if !slices.Contains([]string{"cancel", "grace", "continue"}, g.OnDisconnect) {
		errs = append(errs, fmt.Errorf("%s.on_disconnect: %q is none of cancel, grace, continue", path, g.OnDisconnect))
	}
	if g.Cancel < 0 || g.Cancel > 1 || g.OwnKey < 0 || g.OwnKey > 1 {
		errs = append(errs, fmt.Errorf("%s: cancel and own_key are shares from 0 to 1", path))
	}
	switch m, err := answer.ParseModel(g.Model); {
	case err != nil:
		errs = append(errs, fmt.Errorf("%s.model: %w", path, err))
	case g.Provider == ProviderVendor && !mimic.Known(m):
		errs = append(errs, fmt.Errorf("%s.model: %q fails in no way that there is; there are %s", path, g.Model, strings.Join(mimic.Failures(), ", ")))
	case m.Fails != "" && !g.Broken:
		errs = append(errs, fmt.Errorf("%s.broken: the model fails; say so with broken: true", path))
	}
	return errors.Join(append(errs, checkEnds(path+".ends", g.Ends))...)
}

// checkEnds finds codes that the contract does not have.
func checkEnds(path string, ends []string) error {
	for _, e := range ends {
		if e == OutcomeComplete || e == OutcomeCancelled {
			continue
		}
		if !slices.ContainsFunc(protocol.Codes(), func(c protocol.Info) bool { return string(c.Code) == e }) {
			return fmt.Errorf("%s: %q is neither complete nor cancelled nor a code of docs/protocol.md", path, e)
		}
	}
	return nil
}

// Visit tells whether the plan can be tried at a server that runs already: nothing
// can be killed there, and no vendor that fails answers for it. One whose steps fit
// in part is played in part.
func (p *Plan) Visit() error {
	for _, g := range p.Streams {
		if m, err := answer.ParseModel(g.Model); g.Broken || err == nil && m.First > 0 {
			return fmt.Errorf("--url: %s asks a vendor that fails or begins late, which is there only where the tool starts the server; leave --url out", p.Name)
		}
	}
	steps := slices.Concat(p.Steps, p.Random.From)
	if len(steps) > 0 && !slices.ContainsFunc(steps, func(s Step) bool { return s.Clients != "" || s.Inject != "" }) {
		return fmt.Errorf("--url: all that %s does is done to processes that the tool started; leave --url out", p.Name)
	}
	return nil
}

// target is the process that the step is about, empty where it is about none.
func (s *Step) target() string {
	for _, t := range []string{s.Kill, s.Terminate, s.Pause, s.Restart} {
		if t != "" {
			return t
		}
	}
	return ""
}

// verb is what the step does.
func (s *Step) verb() string {
	switch {
	case s.Kill != "":
		return "kill"
	case s.Terminate != "":
		return "terminate"
	case s.Pause != "":
		return "pause"
	case s.Restart != "":
		return "restart"
	case s.Inject != "":
		return "inject"
	case s.Clients != "":
		return "clients"
	case s.Burn > 0:
		return "burn"
	}
	return ""
}

func (s *Step) check(path string, p *Plan) error {
	verbs := 0
	for _, set := range []bool{s.Kill != "", s.Terminate != "", s.Pause != "", s.Restart != "", s.Inject != "", s.Clients != "", s.Burn > 0} {
		if set {
			verbs++
		}
	}
	if verbs != 1 {
		return fmt.Errorf("%s: has %d verbs; a step is one of kill, terminate, pause, restart, inject, clients, burn", path, verbs)
	}
	if t := s.target(); t != "" && (!targetName.MatchString(t) || !p.has(t)) {
		return fmt.Errorf("%s.%s: nothing that this scenario starts is called %q; there are %s", path, s.verb(), t, strings.Join(p.memberNames(), ", "))
	}
	if s.Inject != "" {
		if _, err := ParseSpec(s.Inject); err != nil {
			return fmt.Errorf("%s.inject: %w", path, err)
		}
	}
	if s.Clients != "" && !slices.Contains(clientKinds(), s.Clients) {
		return fmt.Errorf("%s.clients: %q is none of %s", path, s.Clients, strings.Join(clientKinds(), ", "))
	}
	if s.Clients == clientsLeave && !slices.Contains([]string{leaveClose, leaveReset, leaveSilence}, s.How) {
		return fmt.Errorf("%s.how: %q is none of close, reset, silence", path, s.How)
	}
	group, isGroup := strings.CutPrefix(s.Touches, "group:")
	switch {
	case isGroup && !slices.ContainsFunc(p.Streams, func(g Group) bool { return g.Name == group }):
		return fmt.Errorf("%s.touches: there is no group %q", path, group)
	case !isGroup && !slices.Contains([]string{TouchesNobody, TouchesAll, TouchesOnTarget, TouchesHits}, s.Touches):
		return fmt.Errorf("%s.touches: %q is none of nobody, all, on target, hits, group:NAME", path, s.Touches)
	case s.Pause != "" && s.For == 0:
		return fmt.Errorf("%s.for: a pause needs an end, like for: 5s", path)
	}
	return s.checkMarks(path)
}

// memberNames are the processes that the plan starts.
func (p *Plan) memberNames() (names []string) {
	if p.Start == StartServe {
		return []string{memberServe}
	}
	for i := range p.Gateways {
		names = append(names, "gateway-"+strconv.Itoa(i+1))
	}
	for i := range p.Workers {
		names = append(names, "worker-"+strconv.Itoa(i+1))
	}
	return append(names, memberNATS)
}

func (p *Plan) has(target string) bool {
	role, drawn := strings.CutSuffix(target, "-?")
	return slices.ContainsFunc(p.memberNames(), func(name string) bool {
		return name == target || drawn && strings.HasPrefix(name, role+"-")
	})
}
