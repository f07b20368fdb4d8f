package fault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Parse reads one line. Bounds are checked here, names by Catalogue.Check. The
// error names the field, its value and what is allowed.
func Parse(line string) (Spec, error) {
	words := strings.Fields(line)
	if len(words) < 2 || strings.Contains(words[0]+words[1], "=") {
		return Spec{}, fmt.Errorf("%s is not a fault: write <actor> <fault> and then key=value, as in \"connection panic message=asked for=10s\"", quoted(line))
	}
	s := Spec{Actor: words[0], Fault: words[1]}
	if err := s.known(); err != nil {
		return Spec{}, err
	}
	seen := []string{keyActor, keyFault}
	for _, word := range words[2:] {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			return Spec{}, fmt.Errorf("%s has no value: write key=value", quoted(word))
		}
		if slices.Contains(seen, key) {
			return Spec{}, fmt.Errorf("%s is given twice", quoted(key))
		}
		seen = append(seen, key)
		if err := s.set(key, value); err != nil {
			return Spec{}, err
		}
	}
	return s, s.known()
}

// ParseJSON reads a JSON object with the same fields: texts for actor, fault,
// message, for and delay, numbers for the others. A null is not there.
func ParseJSON(data []byte) (Spec, error) {
	var s Spec
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return s, errNotObject
	}
	var seen []string
	for d.More() {
		t, err := d.Token()
		key, ok := t.(string)
		var raw json.RawMessage
		if err != nil || !ok || d.Decode(&raw) != nil {
			return Spec{}, errNotObject
		}
		if slices.Contains(seen, key) {
			return Spec{}, fmt.Errorf("%s is given twice", quoted(key))
		}
		seen = append(seen, key)
		if string(raw) == "null" && slices.Contains(keys(), key) {
			continue
		}
		if err := s.setJSON(key, raw); err != nil {
			return Spec{}, err
		}
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return Spec{}, errNotObject
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Spec{}, errNotObject
	}
	return s, s.known()
}

var errNotObject = errors.New(`the body is not one JSON object: send {"actor":"connection","fault":"panic","for":"10s"}`)

func (s *Spec) setJSON(key string, raw json.RawMessage) error {
	text := string(raw)
	switch key {
	case keyActor, keyFault, keyMessage, keyFor, keyDelay:
		if json.Unmarshal(raw, &text) != nil {
			return wrong(key, text, "give a text")
		}
	case keyProbability, keyAfter, keyEvery, keyTimes, keySeed:
		if strings.HasPrefix(text, `"`) {
			return wrong(key, text, "give a number, without quotes")
		}
	}
	switch key {
	case keyActor:
		s.Actor = text
		return nil
	case keyFault:
		s.Fault = text
		return nil
	}
	return s.set(key, text)
}

// known checks the two words that every fault has.
func (s *Spec) known() error {
	if s.Actor == "" {
		return errors.New("actor: is missing: say what is to fail")
	}
	if !slices.Contains(Faults(), s.Fault) {
		return wrong(keyFault, s.Fault, "use "+either(Faults()))
	}
	if s.Delay != 0 && s.Fault != Delay && s.Fault != Reorder {
		return fmt.Errorf("delay: goes with the faults delay and reorder, not with %s: leave it out", s.Fault)
	}
	return nil
}

// set takes one field from its text.
func (s *Spec) set(key, value string) (err error) {
	switch key {
	case keyMessage:
		if value == "" {
			return wrong(key, value, "give a message's name, or leave it out for all")
		}
		s.Message = value
	case keyFor:
		s.For, err = span(key, value, maxFor)
	case keyDelay:
		s.Delay, err = span(key, value, maxDelay)
	case keyProbability:
		p, bad := strconv.ParseFloat(value, 64)
		if bad != nil || !(p > 0 && p <= 1) {
			return wrong(key, value, "give a number above 0, up to 1")
		}
		s.Probability = p
	case keyAfter:
		s.After, err = count(key, value, 0)
	case keyEvery:
		s.Every, err = count(key, value, 1)
	case keyTimes:
		s.Times, err = count(key, value, 0)
	case keySeed:
		seed, bad := strconv.ParseUint(value, 10, 64)
		if bad != nil {
			return wrong(key, value, "give a whole number from 0")
		}
		s.Seed = seed
	default:
		return fmt.Errorf("%s is not known: use %s", quoted(key), either(keys()))
	}
	return err
}

func span(key, value string, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 || d > most {
		return 0, wrong(key, value, fmt.Sprintf("give a duration above 0, up to %s, as in 200ms or 10s", short(most)))
	}
	return d, nil
}

// short is a duration without the zeros that its String shows.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func count(key, value string, least int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > maxCount {
		return 0, wrong(key, value, fmt.Sprintf("give a whole number from %d to %d", least, maxCount))
	}
	return n, nil
}
