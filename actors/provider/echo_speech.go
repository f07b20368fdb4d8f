package provider

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"
)

// burstPiece bounds a piece where no pace asks for words.
const burstPiece = 4 << 10

// speech cuts an echo's answer into pieces without ever holding more of it
// than the question, or one burst of repetitions.
type speech struct {
	unit  []byte // what is repeated
	rest  []byte // of the current repetition
	burst bool   // pieces of up to burstPiece instead of words
	again bool   // start over when rest is used up

	bytesLeft int // -1 = no bound
	wordsLeft int // -1 = no bound
	maxWords  bool
}

// newSpeech prepares the answer to question: as the model says, but at most
// maxTokens words where maxTokens is above 0.
func newSpeech(m echoModel, question string, maxTokens int) *speech {
	s := &speech{unit: []byte(question), bytesLeft: -1, wordsLeft: -1}
	switch {
	case m.bytes > 0:
		s.again, s.bytesLeft = true, m.bytes
		s.burst = m.pace == 0 && maxTokens <= 0
		if s.burst && len(s.unit) > 0 && len(s.unit) < burstPiece {
			s.unit = bytes.Repeat(s.unit, (burstPiece+len(s.unit)-1)/len(s.unit))
		}
	case m.words > 0 && countWords(s.unit) > 0:
		s.again, s.wordsLeft = true, m.words
		s.unit = append(s.unit, ' ')
	}
	if maxTokens > 0 && (s.wordsLeft < 0 || maxTokens < s.wordsLeft) {
		s.wordsLeft, s.maxWords = maxTokens, true
	}
	s.rest = s.unit
	return s
}

// next is the next piece and how many words it says; empty at the end.
func (s *speech) next() (piece []byte, words int) {
	if s.bytesLeft == 0 || s.wordsLeft == 0 {
		return nil, 0
	}
	if len(s.rest) == 0 && s.again {
		s.rest = s.unit
	}
	if s.burst {
		piece = upTo(s.rest, burstPiece)
		words = countWords(piece)
	} else {
		n, word := wordLen(s.rest)
		piece = s.rest[:n]
		if word {
			words = 1
		}
	}
	s.rest = s.rest[len(piece):]
	return s.bounded(piece, words)
}

// bounded charges a piece and cuts the one that reaches a bound.
func (s *speech) bounded(piece []byte, words int) ([]byte, int) {
	if s.bytesLeft >= 0 {
		fits := upTo(piece, s.bytesLeft)
		s.bytesLeft -= len(fits)
		if len(fits) < len(piece) { // the next character does not fit: this is the end
			s.bytesLeft = 0
			words = countWords(fits)
		}
		piece = fits
	}
	if s.wordsLeft > 0 {
		s.wordsLeft -= words
		if s.wordsLeft == 0 && (len(s.rest) > 0 || s.again) {
			piece = trimmed(piece)
		}
	}
	return piece, words
}

// stamped appends piece, a word with white space around it, to b, with the Unix
// time in microseconds in the word's place.
func stamped(b, piece []byte, now time.Time) []byte {
	word := bytes.TrimSpace(piece)
	before, after, _ := bytes.Cut(piece, word)
	b = append(b, before...)
	b = strconv.AppendInt(b, now.UnixMicro(), 10)
	return append(b, after...)
}

// limited tells whether maxTokens cut an answer that would have gone on.
func (s *speech) limited() bool {
	if !s.maxWords || s.wordsLeft > 0 || s.bytesLeft == 0 {
		return false
	}
	return s.again || countWords(s.rest) > 0
}

// upTo is the longest prefix of at most n bytes that splits no character.
func upTo(text []byte, n int) []byte {
	if len(text) <= n {
		return text
	}
	for back := n; back > n-utf8.UTFMax && back >= 0; back-- {
		if utf8.RuneStart(text[back]) {
			return text[:back]
		}
	}
	return text[:n] // not UTF-8: there is no character to split
}
