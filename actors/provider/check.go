package provider

import (
	"cmp"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Check tells what can be said of a question before anybody is called: that
// there is no key for it, or that its model is not offered. keyed says whether
// there is a key, the user's or the deployment's; name and c are those that New
// was given. A question that passes may still be refused by the vendor.
func Check(name string, c *Config, model string, keyed bool) (Fault, error) {
	switch c.Type {
	case TypeEcho:
		_, _, err := newEcho(name, *c).pick(model)
		return FaultNone, err
	case TypeFaulty: // it needs no key
		_, err := pickModel(name, c, cmp.Or(model, c.DefaultModel, faultyDefault))
		return FaultNone, err
	}
	if !keyed && c.BaseURL == "" {
		return FaultKeyDenied, noKey(name, c)
	}
	_, err := pickModel(name, c, model)
	return FaultNone, err
}

// noKey says who could give one.
func noKey(name string, c *Config) *protocol.Error {
	return &protocol.Error{Code: protocol.ProviderUnauthorized, Message: "Provider " + name + " needs a key: send yours as api_keys." + name +
		", or let the operator set " + KeyVariable(c.Type) + " (providers." + name + ".api_keys)."}
}
