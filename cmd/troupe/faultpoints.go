package main

import (
	"fmt"

	"github.com/troupe-chat/troupe/actors"
	"github.com/troupe-chat/troupe/actors/fault"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport"
)

// newFaults makes the faults of this process and sets those of its
// configuration; nil where faults are not enabled.
func newFaults(o appOptions, metrics *actors.Metrics) (*fault.Set, error) {
	c, log := o.Config.Faults, o.Log
	if !c.Enabled {
		return nil, nil
	}
	log.Warn().Msg(whoSetsFaults(o.Role, o.Config.HTTP))
	metrics.FaultsEnabled()
	set := fault.NewSet(fault.Options{
		Catalogue: actors.FaultCatalogue(),
		Hit:       metrics.FaultInjected,
		Told: func(what, id string, s fault.Spec) {
			e := log.Warn().Str("id", id).Stringer("fault", s)
			switch what {
			case fault.ToldSet:
				e.Msg("Fault set")
			case fault.ToldCleared:
				e.Msg("Fault cleared")
			default:
				e.Msg("Fault expired")
			}
		},
	})
	for i, line := range c.Inject {
		spec, err := fault.Parse(line)
		if err == nil {
			_, err = set.Add(spec)
		}
		if err != nil {
			set.Close()
			return nil, fmt.Errorf("faults.inject[%d]: %w", i, err)
		}
	}
	return set, nil
}

// whoSetsFaults is one line for the start-up. A worker takes the token on
// http.admin_listen alone, for it listens nowhere else.
func whoSetsFaults(role string, c transport.HTTPConfig) string {
	if c.AdminListen == "" && (c.AdminToken.Empty() || role == roleWorker) {
		return "Faults are enabled, but no address sets them: give http.admin_listen, or a gateway http.admin_token; this is for tests"
	}
	return "Faults can be set by whoever may operate this process; this is for tests"
}

// faultDesk is what the operators' addresses ask; nil where there are no faults.
func faultDesk(set *fault.Set) transport.Faults {
	if set == nil {
		return nil
	}
	return desk{set, actors.FaultCatalogue().Names()}
}

// desk joins transport and the faults, which do not know each other.
type desk struct {
	*fault.Set
	names map[string][]string
}

// Add implements transport.Faults.
func (d desk) Add(body []byte) (id string, err error) {
	spec, err := fault.ParseJSON(body)
	if err != nil {
		return "", err
	}
	return d.Set.Add(spec)
}

// List implements transport.Faults.
func (d desk) List() any {
	return struct {
		Faults []fault.Listed      `json:"faults"`
		Actors map[string][]string `json:"actors"`
	}{d.Set.List(), d.names}
}

// saboteurOf is what the bus asks; nil where there are no faults. side names it
// in the list of hits.
func saboteurOf(set *fault.Set, side string) bus.Saboteur {
	if set == nil {
		return nil
	}
	return saboteur{set, side}
}

// saboteur joins bus and the faults, which do not know each other.
type saboteur struct {
	*fault.Set
	side string
}

// Sabotage implements bus.Saboteur. A publish that hangs fails in the end.
func (s saboteur) Sabotage(p bus.Passing) (out bus.Sabotage) {
	v := s.Decide(fault.Asked{Actor: "bus", Message: p.String(), ID: s.side, Holding: p.Holding})
	switch v.Fault {
	case fault.Hang:
		out.Fail = p.Out
		fallthrough
	case fault.Delay:
		out.Wait = func() { v.Wait(nil) }
	case fault.Error:
		out.Fail = true
	case fault.Panic:
		out.Panic = true
	case fault.Drop:
		out.Drop = true
	case fault.Repeat:
		out.Repeat = true
	case fault.Reorder:
		out.Behind = v.Delay
	}
	return out
}
