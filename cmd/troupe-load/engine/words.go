package engine

import "math/rand/v2"

// vocabulary are the words of questions that are made up: short and long, and
// nothing that JSON would escape.
func vocabulary() []string {
	return []string{
		"the", "river", "is", "wide", "where", "it", "meets", "sea", "and", "old", "bridges", "carry", "trains", "of",
		"grain", "to", "mills", "that", "never", "sleep", "a", "child", "asks", "why", "water", "runs", "downhill",
		"because", "everything", "heavy", "falls", "unless", "something", "holds", "up", "in", "autumn", "leaves",
		"gather", "under", "benches", "nobody", "sweeps", "them", "until", "morning", "comes", "with", "brooms",
		"conversation", "extraordinary", "neighbourhood", "lantern", "whisper", "granite", "orchard", "compass",
		"harbour", "thunder", "meadow", "pepper", "violin", "quiet",
	}
}

// makeUp writes n words.
func makeUp(dst []byte, words []string, n int, r *rand.Rand) []byte {
	for i := range n {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, words[r.IntN(len(words))]...)
	}
	return dst
}
