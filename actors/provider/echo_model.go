package provider

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Bounds of an echo model's parts.
const (
	echoPace     = 15 * time.Millisecond // about as fast as people read along
	maxEchoPace  = 10 * time.Second
	maxEchoWords = 1_000_000
	maxEchoKiB   = 16384
)

// echoGrammar is what a user who mistyped a model gets to read.
const echoGrammar = "echo, echo-<pace> (20ms, 0s; at most 10s), echo-<n>w (words), echo-<n>kb (KiB, at most 16384), echo-clock (words are the time), or a mix like echo-5ms-200w"

var errEchoModel = errors.New("an echo model is " + echoGrammar)

// echoModel is what an echo model's name says.
type echoModel struct {
	pace  time.Duration
	words int  // 0 = as many as the question has
	bytes int  // 0 = as many as the question has
	clock bool // each word is the time at which it was said
}

// parseEchoModel reads the grammar of the package documentation.
func parseEchoModel(name string) (echoModel, error) {
	m := echoModel{pace: -1}
	head, rest, more := strings.Cut(name, "-")
	if head != "echo" {
		return echoModel{}, errEchoModel
	}
	for more {
		var part string
		part, rest, more = strings.Cut(rest, "-")
		if !m.take(part) {
			return echoModel{}, errEchoModel
		}
	}
	if m.clock && m.bytes > 0 { // which counts characters, and says several words at once
		return echoModel{}, errEchoModel
	}
	if m.pace < 0 {
		m.pace = echoPace
	}
	return m, nil
}

// take reads one part; false where it is malformed, out of bounds or a repeat.
func (m *echoModel) take(part string) bool {
	if part == "clock" {
		first := !m.clock
		m.clock = true
		return first
	}
	if n, ok := strings.CutSuffix(part, "kb"); ok {
		kib := parseCount(n, maxEchoKiB)
		if kib == 0 || m.sized() {
			return false
		}
		m.bytes = kib << 10
		return true
	}
	if n, ok := strings.CutSuffix(part, "w"); ok {
		words := parseCount(n, maxEchoWords)
		if words == 0 || m.sized() {
			return false
		}
		m.words = words
		return true
	}
	d, err := time.ParseDuration(part)
	if err != nil || part[0] == '+' || d < 0 || d > maxEchoPace || m.pace >= 0 {
		return false
	}
	m.pace = d
	return true
}

func (m *echoModel) sized() bool { return m.words > 0 || m.bytes > 0 }

// parseCount reads 1 to limit, digits only; 0 for everything else.
func parseCount(s string, limit int) int {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > uint64(limit) {
		return 0
	}
	return int(n)
}
