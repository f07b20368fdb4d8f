package oracle

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
)

// TestRefusals asks a vendor that answers with a status, in its own words.
func TestRefusals(t *testing.T) {
	for _, wire := range faulty.Wires() {
		t.Run(string(wire), func(t *testing.T) {
			v, all, known := newVendor(t, wire), refusals(), knownRefusals(wire)
			for _, name := range slices.Sorted(maps.Keys(all)) {
				t.Run(name, func(t *testing.T) { v.compare(t, all[name], known[name].differences) })
			}
			for name := range known {
				require.Contains(t, all, name, "a difference of a refusal that is not there")
			}
		})
	}
}

// refusals are what a vendor may say instead of an answer.
func refusals() map[string]faulty.Script {
	all := map[string]faulty.Script{
		"429, wait":     {Status: 429, RetryAfter: 7},
		"503, wait":     {Status: 503, RetryAfter: 7},
		"500, no words": {Status: 500, Body: " "},
		"502, a page":   {Status: 502, Body: "<html>Bad gateway</html>"},
		"400, no words": {Status: 400, Body: " "},
		"403, a page":   {Status: 403, Body: "<html>Not from here</html>"},
	}
	for _, status := range []int{400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 499, 500, 502, 503, 504, 529} {
		all[fmt.Sprint(status)] = faulty.Script{Status: status}
	}
	for _, why := range []faulty.Reason{
		faulty.KeyRefused, faulty.KeyMissing, faulty.OutOfCredit, faulty.ModelUnknown, faulty.ContextTooLong, faulty.Filtered, faulty.Overloaded,
	} {
		all["because of "+string(why)] = faulty.Script{Why: why}
	}
	return all
}

// knownRefusals are all differences of the refusals.
func knownRefusals(wire faulty.Wire) map[string]known {
	all := map[string]known{
		"403, a page": {"a page comes from something in between and says nothing about the key", kinds(unavailable, badKey)},
		"408":         {"the vendor waited too long for the question: asking again helps", kinds(unavailable, rejected)},
		"499":         {"the vendor gave up, as with 5xx", kinds(unavailable, rejected)},
	}
	switch wire {
	case faulty.OpenAI:
		all["404"] = known{"without a word about the model the address is wrong, not the model", kinds(rejected, notFound)}
	case faulty.Gemini:
		all["because of key"] = known{"a refused key is a bad request here; ours looks at the reason", kinds(badKey, rejected)}
	}
	return all
}
