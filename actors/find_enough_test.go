package actors

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
)

// TestASearchHasEnough: a run that still generates, found by its name, or one that
// answers the very question, ends a search for which a worker is asked again.
func TestASearchHasEnough(t *testing.T) {
	hash := [32]byte{1}
	other := [32]byte{2}
	for _, tt := range []struct {
		name   string
		id     string
		errand errand
		best   *bus.Reply
		want   bool
	}{
		{"nothing found", "1", toResume, nil, false},
		{"it writes", "1", toResume, &bus.Reply{}, true},
		{"it is over, a newer one may be elsewhere", "1", toResume, &bus.Reply{Over: true}, false},
		{"without a name the newest counts", "", toResume, &bus.Reply{}, false},
		{"a repeat of what was answered", "1", toRepeat, &bus.Reply{Over: true, Content: hash[:]}, true},
		{"a repeat of something else", "1", toRepeat, &bus.Reply{Over: true, Content: other[:]}, false},
		{"a repeat while it writes", "1", toRepeat, &bus.Reply{Content: other[:]}, true},
		{"a cancel of what is over", "1", toCancel, &bus.Reply{Over: true, Content: hash[:]}, false},
	} {
		s := &search{errand: tt.errand, best: tt.best}
		asked := &asking{turn: turn{id: tt.id}}
		copy(asked.hash[:], hash[:])
		require.Equal(t, tt.want, s.enough(asked), tt.name)
	}
}
