package scenario

import (
	"fmt"
	"net/netip"
)

// mostSources bounds how many addresses a CIDR is unfolded into.
const mostSources = 4096

// Sources unfolds source_addresses: single addresses, and CIDRs into the
// addresses that they hold, at most 4096 in all. Whether the machine has them
// shows when they are bound.
func Sources(list []string) (all []netip.Addr, err error) {
	for _, text := range list {
		if a, err := netip.ParseAddr(text); err == nil {
			all = append(all, a)
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("source_addresses: %q is neither an address like 127.0.0.2 nor a range like 127.0.1.0/28", text)
		}
		for a := prefix.Masked().Addr(); prefix.Contains(a); a = a.Next() {
			if len(all) == mostSources {
				return nil, fmt.Errorf("source_addresses: %q makes more than %d addresses; give a smaller range", text, mostSources)
			}
			if edge := a == prefix.Masked().Addr(); edge && a.Is4() && prefix.Bits() < 31 {
				continue // the network's own name
			}
			all = append(all, a)
		}
	}
	return all, nil
}
