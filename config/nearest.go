package config

import "strings"

// nearest finds the candidate that a misspelled key most likely meant, or "".
// A key under the wrong section is found by its last word.
func nearest(key string, candidates []string) string {
	best, least := "", len(key)/3+2
	for _, c := range candidates {
		if d := distance(key, c, least); d < least {
			best, least = c, d
		}
	}
	if best != "" {
		return best
	}
	word := key[strings.LastIndexByte(key, '.')+1:]
	for _, c := range candidates {
		if c[strings.LastIndexByte(c, '.')+1:] == word {
			return c
		}
	}
	return ""
}

// distance counts the edits (insert, delete, replace, swap of neighbours) from
// a to b; anything at or above bound is reported as bound.
func distance(a, b string, bound int) int {
	if len(a)-len(b) >= bound || len(b)-len(a) >= bound {
		return bound
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], bound)
}
