package bus

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A run_id goes to clients as it is, in headers of event streams too: one that
// could break a line is no reply.
func TestRunIDsArePlain(t *testing.T) {
	for _, kind := range []string{ReplyAccepted, ReplyFound} {
		for run, ok := range map[string]bool{
			"w1-ABC": true, "w1.a:b_c": true, strings.Repeat("r", maxRunID): true,
			"": false, "w1\nevent: complete": false, "w1\r": false, "w 1": false, "w1\u2028": false, strings.Repeat("r", maxRunID+1): false,
		} {
			data, err := json.Marshal(Reply{Type: kind, Run: run, Worker: "w1"})
			require.NoError(t, err)
			_, err = DecodeReply(data)
			require.Equal(t, ok, err == nil, "%s %q", kind, run)
		}
	}
}

// A beat's providers end up in a log line and in a list for everybody: few, and
// of plain names.
func TestOffersAreBounded(t *testing.T) {
	beat := func(names ...string) []byte {
		b := Beat{Role: RoleWorker, ID: "w1"}
		for _, n := range names {
			b.Providers = append(b.Providers, Offer{Name: n})
		}
		data, err := json.Marshal(b)
		require.NoError(t, err)
		return data
	}
	many := make([]string, maxOffers+1)
	for i := range many {
		many[i] = fmt.Sprintf("p%d", i)
	}
	for name, c := range map[string]struct {
		data []byte
		ok   bool
	}{
		"one": {beat("echo"), true}, "none": {beat(), true}, "the most": {beat(many[1:]...), true},
		"too many": {beat(many...), false}, "a line": {beat("echo\nforged"), false}, "empty": {beat(""), false},
		"long": {beat(strings.Repeat("p", 65)), false},
	} {
		_, err := DecodeBeat(c.data)
		require.Equal(t, c.ok, err == nil, name)
	}
}
