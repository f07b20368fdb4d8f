package scenario

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func parse(t *testing.T, text string, overrides ...Override) *Scenario {
	t.Helper()
	s, err := Parse("test.yaml", []byte(text), overrides...)
	require.NoError(t, err)
	return s
}

func TestDefaultsFillWhatIsLeftOut(t *testing.T) {
	s := parse(t, "")
	require.Equal(t, 100, s.Connections)
	require.Equal(t, Duration(30*time.Second), s.Duration)
	require.Equal(t, "/ws/chat/{{session}}", s.Path)
	require.Equal(t, Choice{"echo-20ms-200w"}, s.Questions.Models)
	require.Equal(t, s, parse(t, "# nothing but a comment\n"))
	require.Zero(t, parse(t, "timeouts: {finish: 0s}").Timeouts.Finish, "nobody need wait at the end")
	require.Equal(t, s, parse(t, "connections:\nquestions: {rate: }\n"), "null is the same as absent")
}

func TestEveryKeyIsRead(t *testing.T) {
	s := parse(t, `
name: all
mode: generic
path: /stream/{{session}}
headers: {Authorization: Bearer x}
connections: 7
ramp: 2.5
warm_up: 1s
duration: 1m30s
seed: 18446744073709551615
source_addresses: [127.0.0.2, 127.0.1.0/30]
questions: {arrival: constant, rate: 10, per_connection: 2, models: [a, b], words: 10..20, text: Hi, think: exp(2s)}
abort: {probability: 0.5, after: 1s, how: close}
slow_readers: {share: 0.25, rate: 100, receive_buffer: 0}
reconnect: {drop_at: [5s, 10s], back: 1s..2s, when_lost: false, refused: false}
timeouts: {handshake: 1s, answer: 2s, finish: 3s}
checks: {max_errors: 0, allow: [X], p99: {first_chunk: 200ms}, at_least: {frames: 1000}}
generic: {send: '{{content}}', chunk: {field: a.b, equals: c}, end: {contains: x}, error: {matches: "^err"}, id: id}
`)
	require.Equal(t, uint64(1<<64-1), s.Seed)
	require.Equal(t, "10..20", s.Questions.Words.String())
	require.Equal(t, "exp(2s)", s.Questions.Think.String())
	require.Equal(t, Moments{Duration(5 * time.Second), Duration(10 * time.Second)}, s.Reconnect.DropAt)
	require.False(t, s.Reconnect.WhenLost)
	require.Equal(t, int64(0), *s.Checks.MaxErrors)
	require.Equal(t, Duration(200*time.Millisecond), s.Checks.P99["first_chunk"])
	require.Equal(t, Match{Field: "a.b", Equals: "c"}, s.Generic.Chunk)
	require.Equal(t, s.Plan(), parse(t, s.Plan()).Plan(), "a plan is a scenario again")
}

func TestWhatIsWrongIsNamedWithItsRemedy(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", "name: x\nconections: 3", `line 2: conections: there is no such key; the nearest is connections`},
		{"unknown inner key", "questions:\n  rat: 3", `line 2: questions.rat: there is no such key; the nearest is questions.rate`},
		{"far from any", "abort: {xyzzy: 1}", `there are: probability, after, how`},
		{"twice", "seed: 1\nseed: 2", `line 2: seed: is there twice`},
		{"no unit", "duration: 30", `line 1: duration: "30" is no duration; write it with a unit, like 200ms, 30s or 1m30s`},
		{"negative", "duration: -3s", `is no duration`},
		{"no number", "connections: many", `line 1: connections: "many" is no whole number`},
		{"half a connection", "connections: 1.5", `"1.5" is no whole number`},
		{"no truth", "questions: {named: maybe}", `questions.named: "maybe" is no truth value; write true or false`},
		{"branch", "questions: 5", `line 1: questions: holds further keys: arrival, rate`},
		{"distribution", "questions: {words: gauss(3)}", `"gauss(3)" is no distribution; write a value (20), a range (20..60)`},
		{"upside down", "questions: {think: 5s..1s}", `is no distribution; write a value (500ms)`},
		{"mark", "checks: {p99: {first_chunk: 200}}", `checks.p99: "200" is no duration`},
		{"not a mapping", "- a", `a scenario is a mapping`},
		{"two documents", "name: a\n---\nname: b", `more than one YAML document`},
		{"no YAML", "name: [", `test.yaml: `},
		{"mode", "mode: http", `mode: "http": give one of troupe, generic`},
		{"no connections", "connections: 0", `connections: 0: give a number from 1 to 1000000`},
		{"no duration", "duration: 0s", `duration: 0s: give how long to measure`},
		{"no rate", "questions: {arrival: poisson}", `questions.rate: 0: arrival poisson needs how many questions a second`},
		{"a rate too many", "questions: {rate: 5}", `questions.rate: 5: only arrival poisson and constant have a rate`},
		{"several unnamed", "questions: {arrival: constant, rate: 1, per_connection: 2}", `need questions.named`},
		{"unknown mark", "checks: {p99: {firstchunk: 1s}}", `give one of handshake, first_chunk, gap`},
		{"unknown rate", "checks: {at_least: {words: 1}}", `give one of questions, completed, frames`},
		{"source", "source_addresses: [localhost]", `neither an address like 127.0.0.2 nor a range`},
		{"many sources", "source_addresses: [127.0.0.0/8]", `more than 4096 addresses`},
		{"drop after the end", "reconnect: {drop_at: [1h]}", `reconnect.drop_at: 1h0m0s: is after the end`},
		{"no time to connect", "timeouts: {handshake: 0s}", `timeouts.handshake: 0s: no connection could come to be`},
		{"no time to answer", "timeouts: {answer: 0s}", `timeouts.answer: 0s: no question could be answered`},
		{"generic without a description", "mode: generic", `needs generic.send, generic.chunk and generic.end`},
		{"generic by mistake", "generic: {send: x}", `it belongs to mode: generic`},
		{"a broken pattern", "mode: generic\ngeneric: {send: x, chunk: {matches: '('}, end: {contains: x}}", `generic.chunk.matches`},
		{"equals nothing", "mode: generic\ngeneric: {send: x, chunk: {contains: a}, end: {equals: x}}", `generic.end.equals: x: needs the field`},
		{"cancel a foreign one", "mode: generic\nabort: {probability: 1}\ngeneric: {send: x, chunk: {contains: a}, end: {contains: b}}", `knows no cancel`},
		{"resume a foreign one", "mode: generic\nreconnect: {resume: true}\ngeneric: {send: x, chunk: {contains: a}, end: {contains: b}}", `only mode troupe can resume`},
		{"visitors by the clock", "visits: {rate: 5}\nquestions: {arrival: poisson, rate: 3}", `visitors ask by themselves`},
		{"visitors that ask once", "visits: {rate: 5}\nquestions: {arrival: once}", `questions.arrival: once: visitors ask by themselves, visits.questions each; give closed, or none`},
	} {
		_, err := Parse("test.yaml", []byte(tt.text))
		require.ErrorContains(t, err, tt.want, tt.name)
	}
}

func TestOverrides(t *testing.T) {
	s := parse(t, "connections: 5\nchecks: {p99: {gap: 1s}}",
		Override{"connections", "9"}, Override{"questions.models", "echo-0s-1w, echo-1s-2w"}, Override{"questions.words", "5..9"},
		Override{"checks.p99.first_chunk", "20ms"}, Override{"checks.max_errors", "3"}, Override{"headers.X-A", "b: c"},
		Override{"reconnect.drop_at", "[1s, 2s]"}, Override{"source_addresses", "127.0.0.2,127.0.0.3"}, Override{"questions.named", "true"})
	require.Equal(t, 9, s.Connections)
	require.Equal(t, Choice{"echo-0s-1w", "echo-1s-2w"}, s.Questions.Models)
	require.Equal(t, map[string]Duration{"gap": Duration(time.Second), "first_chunk": Duration(20 * time.Millisecond)}, s.Checks.P99)
	require.Equal(t, int64(3), *s.Checks.MaxErrors)
	require.Len(t, s.Reconnect.DropAt, 2)
	require.Equal(t, Choice{"127.0.0.2", "127.0.0.3"}, s.SourceAddresses)
	require.True(t, s.Questions.Named)

	for _, tt := range []struct{ path, value, want string }{
		{"questions.rte", "5", `--questions.rte: there is no such key; the nearest is questions.rate`},
		{"duration", "5", `--duration: "5" is no duration`},
		{"checks.p99.gap", "5", `--checks.p99.gap: "5" is no duration`},
		{"seed", "", `--seed: a value is missing`},
	} {
		_, err := Parse("test.yaml", nil, Override{tt.path, tt.value})
		require.ErrorContains(t, err, tt.want)
	}
}

func TestGenericCanBeOverriddenIntoBeing(t *testing.T) {
	s := parse(t, "", Override{"mode", "generic"}, Override{"generic.send", "hi"}, Override{"generic.chunk.contains", "a"}, Override{"generic.end.contains", "b"})
	require.Equal(t, "hi", s.Generic.Send)
}

func TestBuiltInScenariosAreWhole(t *testing.T) {
	files, err := filepath.Glob("scenarios/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, len(Names()), "a file that no name leads to")
	for _, name := range Names() {
		s, err := Load(name)
		require.NoError(t, err)
		require.Equal(t, name, s.Name)
		require.NotEmpty(t, s.About)
		text, err := Source(name)
		require.NoError(t, err)
		require.Equal(t, byte('#'), text[0], "%s begins with what it is for", name)
		require.Equal(t, s.Plan(), parse(t, s.Plan()).Plan())
	}
}

func TestLoadTellsFilesFromNames(t *testing.T) {
	_, err := Load("pacd")
	require.ErrorContains(t, err, `no scenario is called "pacd"; there are idle, paced`)
	_, err = Load("./none.yaml")
	require.ErrorContains(t, err, "there is no such file")
	file := filepath.Join(t.TempDir(), "mine")
	require.NoError(t, os.WriteFile(file, []byte("connections: 3"), 0o600))
	s, err := Load(file)
	require.NoError(t, err)
	require.Equal(t, 3, s.Connections)
	require.NoError(t, os.WriteFile(file, make([]byte, mostBytes+1), 0o600))
	_, err = Load(file)
	require.ErrorContains(t, err, "at most")
}

func TestSwitches(t *testing.T) {
	require.True(t, IsSwitch("questions.named"))
	require.True(t, IsSwitch("insecure_tls"))
	for _, path := range []string{"connections", "questions", "none", "checks.p99.gap", "generic.send"} {
		require.False(t, IsSwitch(path), path)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range Names() {
		text, err := Source(name)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte("a: &x [*x]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse("fuzz", text)
		if err != nil {
			return
		}
		again, err := Parse("plan", []byte(s.Plan()))
		require.NoError(t, err)
		require.Equal(t, s.Plan(), again.Plan())
	})
}
