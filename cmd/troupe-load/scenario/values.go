package scenario

import (
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Duration is a time.Duration that YAML writes with a unit: 20ms, 1m30s.
type Duration time.Duration

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	parsed, err := parseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		return fmt.Errorf("%q is no duration; write it with a unit, like 200ms, 30s or 1m30s", n.Value)
	}
	*d = Duration(parsed)
	return nil
}

// MarshalYAML implements yaml.Marshaler.
func (d Duration) MarshalYAML() (any, error) { return d.String(), nil }

// String is how it is written in YAML.
func (d Duration) String() string { return time.Duration(d).String() }

// parseDuration refuses what is negative or above a day.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, err
	}
	if d < 0 || d > 24*time.Hour {
		return 0, fmt.Errorf("%s is not between 0s and 24h", s)
	}
	return d, nil
}

// Choice is one text or a list of them.
type Choice []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (c *Choice) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*c = nil
		for part := range strings.SplitSeq(n.Value, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*c = append(*c, part)
			}
		}
		return nil
	}
	var list []string
	if err := n.Decode(&list); err != nil {
		return fmt.Errorf("write one value, or a list like [a, b]")
	}
	*c = list
	return nil
}

// Moments are points in time after the load began, in any order.
type Moments []Duration

// UnmarshalYAML implements yaml.Unmarshaler.
func (m *Moments) UnmarshalYAML(n *yaml.Node) error {
	var texts Choice
	if err := texts.UnmarshalYAML(n); err != nil {
		return err
	}
	*m = nil
	for _, text := range texts {
		d, err := parseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is no duration; write a list like [10s, 20s]", text)
		}
		*m = append(*m, Duration(d))
	}
	return nil
}
