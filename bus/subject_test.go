package bus

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// grammar is the whole of what may be published, spelled apart from the code.
var grammar = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}\.v1\.(` +
	`chat\.[A-Za-z0-9_-]{1,64}|` +
	`gateway\.[A-Za-z0-9_-]{1,64}\.(events|r\.(0|[1-9][0-9]{0,19}))|` +
	`worker\.[A-Za-z0-9_-]{1,64}\.control|` +
	`beat\.(worker|gateway)\.[A-Za-z0-9_-]{1,64})$`)

func subjects(t testing.TB) Subjects {
	t.Helper()
	s, err := NewSubjects("troupe")
	require.NoError(t, err)
	return s
}

func TestSubjectsAreSpelledAsDocumented(t *testing.T) {
	s := subjects(t)
	spell := func(subject string, err error) string {
		t.Helper()
		require.NoError(t, err)
		return subject
	}
	require.Equal(t, "troupe-worker", s.Group())
	require.Equal(t, "troupe.v1.chat.echo", spell(s.Chat("echo")))
	require.Equal(t, "troupe.v1.gateway.g1.>", spell(s.Gateway("g1")))
	require.Equal(t, "troupe.v1.gateway.g1.events", spell(s.Events("g1")))
	require.Equal(t, "troupe.v1.gateway.g1.r.18446744073709551615", spell(s.Reply("g1", 1<<64-1)))
	require.Equal(t, "troupe.v1.worker.w1.control", spell(s.Control("w1")))
	require.Equal(t, "troupe.v1.beat.worker.w1", spell(s.Beat(RoleWorker, "w1")))
	require.Equal(t, "troupe.v1.beat.gateway.g1", spell(s.Beat(RoleGateway, "g1")))
	require.Equal(t, "troupe.v1.beat.>", s.Beats())
}

func TestBadTokensAreErrors(t *testing.T) {
	bad := []string{"", ".", "*", ">", "a.b", "a b", "a\n", "a\x00", "é", "a>", "..", strings.Repeat("a", 65)}
	s := subjects(t)
	for _, token := range bad {
		for name, spell := range map[string]func(string) (string, error){
			"chat": s.Chat, "gateway": s.Gateway, "events": s.Events, "control": s.Control,
			"reply": func(g string) (string, error) { return s.Reply(g, 1) },
			"beat":  func(id string) (string, error) { return s.Beat(RoleWorker, id) },
		} {
			subject, err := spell(token)
			require.ErrorIs(t, err, ErrToken, "%s %q", name, token)
			require.Empty(t, subject)
		}
	}
	for _, prefix := range append(bad, strings.Repeat("a", 33)) {
		_, err := NewSubjects(prefix)
		require.Error(t, err, prefix)
	}
	_, err := s.Beat("operator", "x")
	require.ErrorIs(t, err, ErrMalformed)
	_, err = Subjects{}.Chat("echo")
	require.ErrorIs(t, err, ErrToken, "without a prefix there is no subject")
}

func FuzzSubjects(f *testing.F) {
	f.Add("troupe", "w1", uint64(7), "troupe.v1.gateway.g.r.7")
	f.Add("a", "x.y", uint64(0), "troupe.v1.beat.worker.w")
	f.Add("-_", ">", uint64(1<<63), "troupe.v1.gateway.g.r.07")
	f.Add("a.b", "", uint64(9), "troupe.v1.gateway.g.r.18446744073709551616")
	f.Fuzz(func(t *testing.T, prefix, token string, to uint64, subject string) {
		s, err := NewSubjects(prefix)
		if err != nil {
			s = subjects(t)
		}
		for _, spelled := range spelledWith(s, token, to) {
			require.Regexp(t, grammar, spelled)
		}
		if reply, err := s.Reply(token, to); err == nil {
			g, n, ok := s.parseReply(reply)
			require.True(t, ok && g == token && n == to)
		}
		if beat, err := s.Beat(RoleGateway, token); err == nil {
			role, id, ok := s.parseBeat(beat)
			require.True(t, ok && role == RoleGateway && id == token)
		}
		if g, n, ok := s.parseReply(subject); ok { // parsing accepts nothing but our own spelling
			again, err := s.Reply(g, n)
			require.NoError(t, err)
			require.Equal(t, subject, again)
		}
		if role, id, ok := s.parseBeat(subject); ok {
			again, err := s.Beat(role, id)
			require.NoError(t, err)
			require.Equal(t, subject, again)
		}
	})
}

func spelledWith(s Subjects, token string, to uint64) (list []string) {
	keep := func(subject string, err error) {
		if err == nil {
			list = append(list, subject)
		}
	}
	keep(s.Chat(token))
	keep(s.Events(token))
	keep(s.Control(token))
	keep(s.Reply(token, to))
	keep(s.Beat(RoleWorker, token))
	keep(s.Beat(RoleGateway, token))
	return list
}
