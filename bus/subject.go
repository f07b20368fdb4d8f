package bus

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/micro"
)

// Subjects spells every subject of one deployment. A subject is made of the
// prefix, a version, fixed words and tokens that servers made up; user text is
// never part of one. A bad token is an error here, so it cannot be published.
//
//	<prefix>.v1.chat.<provider>          jobs, taken by the queue group <prefix>-worker
//	<prefix>.v1.gateway.<id>.events      events of runs, many a message
//	<prefix>.v1.gateway.<id>.r.<to>      replies to jobs and controls
//	<prefix>.v1.worker.<id>.control      words to runs
//	<prefix>.v1.beat.worker.<id>         beats; only workers may publish here
//	<prefix>.v1.beat.gateway.<id>        beats; only gateways may publish here
//	<prefix>.v1.usage                    what each run cost, for who bills
//
// Outside of the prefix workers hear what tools ask of every service of a NATS
// ($SRV.<verb>, and the same with <prefix>-worker and an id behind it).
type Subjects struct {
	root  string // "<prefix>.v1."
	group string
}

const (
	eventsTail = "events"
	replyTail  = "r."
)

// NewSubjects returns the subjects under a prefix.
func NewSubjects(prefix string) (Subjects, error) {
	if !prefixPattern.MatchString(prefix) {
		return Subjects{}, fmt.Errorf("prefix: %w", ErrToken)
	}
	return Subjects{root: prefix + ".v1.", group: prefix + "-worker"}, nil
}

// Group is the queue group of the workers.
func (s Subjects) Group() string { return s.group }

// Chat is where the jobs for a provider go.
func (s Subjects) Chat(provider string) (string, error) {
	return s.join("chat.", provider, "")
}

// Gateway matches all that is meant for one gateway.
func (s Subjects) Gateway(id string) (string, error) {
	return s.join("gateway.", id, ".>")
}

// Events is where runs publish to a gateway.
func (s Subjects) Events(gateway string) (string, error) {
	return s.join("gateway.", gateway, "."+eventsTail)
}

// Reply is where workers answer the asker `to` of a gateway.
func (s Subjects) Reply(gateway string, to uint64) (string, error) {
	return s.join("gateway.", gateway, "."+replyTail+strconv.FormatUint(to, 10))
}

// Control is where the runs of a worker are spoken to.
func (s Subjects) Control(worker string) (string, error) {
	return s.join("worker.", worker, ".control")
}

// Beat is where the process with this role and id says that it lives.
func (s Subjects) Beat(role, id string) (string, error) {
	if role != RoleWorker && role != RoleGateway {
		return "", fmt.Errorf("role of a beat: %w", ErrMalformed)
	}
	return s.join("beat."+role+".", id, "")
}

// Beats matches the beats of all.
func (s Subjects) Beats() string { return s.root + "beat.>" }

// Usage is where workers say what each run cost.
func (s Subjects) Usage() string { return s.root + "usage" }

// discovery is where a verb is asked of all services of a NATS, of all workers
// of this deployment and of one of them. No wildcards: a worker's rights name
// these and nothing else.
func (s Subjects) discovery(verb micro.Verb, worker string) []string {
	all := micro.APIPrefix + "." + verb.String()
	return []string{all, all + "." + s.group, all + "." + s.group + "." + worker}
}

func (s Subjects) join(kind, token, tail string) (string, error) {
	if s.root == "" {
		return "", fmt.Errorf("subjects without a prefix: %w", ErrToken)
	}
	if !validToken(token) {
		return "", fmt.Errorf("%stoken: %w", strings.ReplaceAll(kind, ".", " "), ErrToken)
	}
	return s.root + kind + token + tail, nil
}

// parseReply takes a reply subject of this deployment apart. It accepts exactly
// what Reply spells.
func (s Subjects) parseReply(subject string) (gateway string, to uint64, ok bool) {
	rest, found := strings.CutPrefix(subject, s.root+"gateway.")
	if !found || s.root == "" {
		return "", 0, false
	}
	gateway, tail, found := strings.Cut(rest, ".")
	if !found || !validToken(gateway) {
		return "", 0, false
	}
	digits, found := strings.CutPrefix(tail, replyTail)
	if !found {
		return "", 0, false
	}
	to, ok = parseNumber(digits)
	return gateway, to, ok
}

// parseBeat takes a beat's subject apart. It accepts exactly what Beat spells.
func (s Subjects) parseBeat(subject string) (role, id string, ok bool) {
	rest, found := strings.CutPrefix(subject, s.root+"beat.")
	if !found || s.root == "" {
		return "", "", false
	}
	role, id, _ = strings.Cut(rest, ".")
	if (role != RoleWorker && role != RoleGateway) || !validToken(id) {
		return "", "", false
	}
	return role, id, true
}

// validToken tells whether a server-made word may be part of a subject.
func validToken(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// parseNumber reads a uint64 in the one spelling that FormatUint gives it.
func parseNumber(s string) (uint64, bool) {
	if s == "" || len(s) > 1 && s[0] == '0' || s[0] == '+' || s[0] == '-' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}
