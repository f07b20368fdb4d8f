package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
)

// faultyDefault is asked where a question to a faulty provider names no model.
const faultyDefault = "ok"

// newFaulty makes a provider that asks the process's own faulty vendor, over
// HTTP and with the same code as any other vendor of its wire.
func newFaulty(name string, c Config, deps Deps) (Provider, error) {
	if deps.FaultyURL == nil {
		return nil, fmt.Errorf("providers.%s: %w", name, errNoFaults)
	}
	kind := c.Wire
	if kind == "" {
		kind = TypeOpenAI
	}
	c.BaseURL = deps.FaultyURL(kind)
	if c.DefaultModel == "" {
		c.DefaultModel = faultyDefault
	}
	w, err := newWire(kind, c.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("providers.%s.%w", name, err)
	}
	v, err := newVendor(name, c, w, deps)
	if err != nil {
		return nil, err
	}
	return &faultyVendor{vendor: v}, nil
}

var errNoFaults = errors.New("a provider of type faulty needs faults.enabled")

// faultyVendor is a vendor whose adapter can fail, too.
type faultyVendor struct{ *vendor }

// Stream implements Provider. A model named panic is answered by nobody.
func (p *faultyVendor) Stream(ctx context.Context, q *Question, sink Sink) (Result, error) {
	if model := cmp.Or(q.Model, p.cfg.DefaultModel); model == "panic" || strings.HasPrefix(model, "panic-") {
		panic("the faulty provider was asked to panic")
	}
	return p.vendor.Stream(ctx, q, sink)
}
