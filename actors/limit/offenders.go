package limit

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// OffendersConfig says who may break rules how often.
type OffendersConfig struct {
	Max   int      `koanf:"max" doc:"violations of a client address in a minute that close the door to it: for 1 s, each further time for twice as long, up to 5 m; 0 = off"`
	Allow []string `koanf:"allow" doc:"addresses or CIDRs that are never refused for violations; nor are those in http.trusted_proxies"`
}

// Bounds of Offenders.
const (
	offenceWindow  = time.Minute
	firstPenalty   = time.Second
	longestPenalty = 5 * time.Minute
	// quietTime is for how long a penalty is remembered from its beginning, and
	// the next one is longer.
	quietTime      = 15 * time.Minute
	offendersKeys  = 20_000
	offendersBytes = 2 << 20
	mostOffences   = 1000 // of OffendersConfig.Max: a stamp each is kept
)

func (c OffendersConfig) validate() (problems []error) {
	if c.Max < 0 || c.Max > mostOffences {
		problems = append(problems, fmt.Errorf("limits.offenders.max: %d is not allowed: give 1 to %d, or 0 to switch it off", c.Max, mostOffences))
	}
	if _, errs := parseNetworks(c.Allow); len(errs) > 0 {
		problems = append(problems, errs...)
	}
	return problems
}

// parseNetworks takes addresses and CIDRs.
func parseNetworks(list []string) (networks []netip.Prefix, problems []error) {
	for i, s := range list {
		n, err := netip.ParsePrefix(s)
		if a, single := netip.ParseAddr(s); single == nil {
			n, err = netip.PrefixFrom(a.Unmap().WithZone(""), a.Unmap().BitLen()), nil
		}
		if err != nil || n.Addr().Is4In6() {
			problems = append(problems, fmt.Errorf("limits.offenders.allow[%d]: %.64q is not allowed: give an address or a CIDR, as in 10.0.0.0/8 or ::1", i, s))
			continue
		}
		networks = append(networks, n.Masked())
	}
	return networks, problems
}

// Offenders refuses addresses that break rules again and again. An address that
// does so OffendersConfig.Max times within a minute is refused for a second; as
// often again, also while it is refused, and it is for two, four, and so on up
// to five minutes. A quarter of an hour without that, and all is forgotten.
//
// Who never breaks a rule is not in the table. It holds 20,000 keys in 2 MiB,
// the one that was touched longest ago goes first. Safe for concurrent use.
type Offenders struct {
	mu    sync.Mutex
	most  int
	allow []netip.Prefix
	clock clock
	table table
}

// NewOffenders returns an empty table; c has been validated.
func NewOffenders(c OffendersConfig) *Offenders {
	o := &Offenders{table: newTable(offendersKeys, offendersBytes)}
	o.SetConfig(c)
	return o
}

// SetConfig changes the rules and keeps the history. Who is allowed now is
// refused no longer.
func (o *Offenders) SetConfig(c OffendersConfig) {
	allow, _ := parseNetworks(c.Allow)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.most, o.allow = c.Max, allow
}

// Offend counts a violation of an address: an IPv4 address or an IPv6 /64.
// Where it is one too many it returns how long the address is refused from now
// on, else 0.
func (o *Offenders) Offend(now time.Time, address string) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.most <= 0 || o.allowed(address) {
		return 0
	}
	defer o.table.fit()
	at, k := o.clock.nanos(now), o.table.hasher.key(offences, address, "")
	e := o.table.find(k)
	if e == nil {
		e = o.table.insert(k, offences)
	}
	e.window.expire(at, int64(offenceWindow))
	o.table.push(e, at)
	if e.window.len() < o.most {
		return 0
	}
	o.table.forget(k)
	return o.punish(at, address)
}

// punish begins the next penalty of an address. The entry's window is when it
// began, its touch which one in a row it is.
func (o *Offenders) punish(at int64, address string) time.Duration {
	k := o.table.hasher.key(penalties, address, "")
	e := o.table.find(k)
	if e == nil {
		e = o.table.insert(k, penalties)
	}
	e.window.expire(at, int64(quietTime))
	if e.window.len() == 0 {
		e.touch = 0
	}
	e.window = window{one: at}
	e.touch++
	return penalty(e.touch)
}

// penalty is how long the n-th in a row is.
func penalty(n uint32) time.Duration {
	if n > 9 {
		return longestPenalty // 1 s doubled so often is more, and more often would overflow some day
	}
	return min(firstPenalty<<(n-1), longestPenalty)
}

// Refused is how much longer an address is refused; 0 = it is not.
func (o *Offenders) Refused(now time.Time, address string) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.most <= 0 || o.table.len() == 0 {
		return 0
	}
	e := o.table.find(o.table.hasher.key(penalties, address, ""))
	if e == nil {
		return 0
	}
	at := o.clock.nanos(now)
	e.window.expire(at, int64(quietTime))
	if e.window.len() == 0 || o.allowed(address) {
		return 0
	}
	return max(0, penalty(e.touch)-time.Duration(at-e.window.at(0)))
}

// allowed tells whether an address is on the list. One that is no address, as
// of a peer that nothing is known of, is not.
func (o *Offenders) allowed(address string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil {
		p, err := netip.ParsePrefix(address)
		if err != nil {
			return false
		}
		a = p.Addr()
	}
	for _, n := range o.allow {
		if n.Contains(a) || !a.Is4() && n.Bits() > 64 && sameSixtyFour(n.Addr(), a) {
			return true
		}
	}
	return false
}

// sameSixtyFour tells whether two IPv6 addresses count as one client.
func sameSixtyFour(a, b netip.Addr) bool {
	return a.Is6() && netip.PrefixFrom(a, 64).Contains(b)
}

// Reset forgets everything and tells how many keys that were.
func (o *Offenders) Reset() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.table.len()
	o.table.clear()
	return n
}

// Len is the number of tracked keys: an address costs one while it gathers
// violations and one for its last penalty.
func (o *Offenders) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.table.len()
}

// Sweep is Windows.Sweep.
func (o *Offenders) Sweep(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.table.sweep(o.clock.nanos(now), sweepSteps, func(k kind) int64 {
		if k == offences {
			return int64(offenceWindow)
		}
		return int64(quietTime)
	})
}
