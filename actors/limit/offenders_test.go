package limit

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// offend breaks rules until a penalty begins, and tells how often that was.
func offend(o *Offenders, now time.Time, address string) (n int, wait time.Duration) {
	for wait == 0 {
		n++
		wait = o.Offend(now, address)
	}
	return n, wait
}

func TestPenaltiesDouble(t *testing.T) {
	o, now := NewOffenders(OffendersConfig{Max: 10}), start
	for _, want := range []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		n, wait := offend(o, now, alice)
		require.Equal(t, 10, n)
		require.Equal(t, time.Duration(want)*time.Second, wait)
		require.Equal(t, wait, o.Refused(now, alice))
		require.Equal(t, time.Nanosecond, o.Refused(now.Add(wait-1), alice), "it says when")
		require.Zero(t, o.Refused(now.Add(wait), alice))
		require.Zero(t, o.Refused(now, bob), "nobody else")
		now = now.Add(wait)
	}
	require.Equal(t, 2, func() int { o.Offend(now, alice); return o.Len() }())
	require.Equal(t, 2, o.Reset())
	require.Zero(t, o.Refused(now, alice))
	_, wait := offend(o, now, alice)
	require.Equal(t, time.Second, wait, "from the beginning")
}

func TestWhoDoesNotWaitIsRefusedForLonger(t *testing.T) {
	o := NewOffenders(OffendersConfig{Max: 3})
	_, wait := offend(o, start, alice)
	require.Equal(t, time.Second, wait)
	_, wait = offend(o, start.Add(time.Millisecond), alice)
	require.Equal(t, 2*time.Second, wait)
	require.Equal(t, 2*time.Second, o.Refused(start.Add(time.Millisecond), alice))
}

func TestFewViolationsAreForgiven(t *testing.T) {
	o := NewOffenders(OffendersConfig{Max: 10})
	for i := range 1000 { // nine in any minute
		require.Zero(t, o.Offend(start.Add(time.Duration(i)*time.Minute/9), alice), i)
	}
	now := start.Add(3 * time.Hour)
	offend(o, now, alice)
	_, wait := offend(o, now.Add(quietTime-1), alice)
	require.Equal(t, 2*time.Second, wait, "not quiet for long enough")
	_, wait = offend(o, now.Add(2*quietTime), alice)
	require.Equal(t, time.Second, wait, "forgiven")
	o.Sweep(now.Add(2*quietTime + time.Minute))
	require.Equal(t, 1, o.Len())
	o.Sweep(now.Add(3 * quietTime))
	require.Zero(t, o.Len())
}

func TestWhoIsAllowedIsNeverRefused(t *testing.T) {
	c := OffendersConfig{Max: 1, Allow: []string{"192.0.2.0/24", "2001:db8:1::/48", "2001:db8:2::17", "::1"}}
	o := NewOffenders(c)
	for address, allowed := range map[string]bool{
		"192.0.2.7": true, "192.0.3.7": false, "2001:db8:1:9::/64": true, "2001:db8:2::/64": true,
		"2001:db8:3::/64": false, "::/64": true, "unknown": false,
	} {
		wait := o.Offend(start, address)
		require.Equal(t, allowed, wait == 0, address)
		require.Equal(t, wait, o.Refused(start, address))
	}
	c.Allow = append(c.Allow, "192.0.3.0/24")
	o.SetConfig(c)
	require.Zero(t, o.Refused(start, "192.0.3.7"), "at once")
	o.SetConfig(OffendersConfig{})
	require.Zero(t, o.Offend(start, "unknown"), "off")
	require.Zero(t, o.Refused(start, "unknown"))
}

func TestOffendersConfigNamesWhatIsWrong(t *testing.T) {
	require.NoError(t, Default().Validate())
	c := Config{Offenders: OffendersConfig{Max: -1, Allow: []string{"10.0.0.0/8", "office", "10.0.0.0/33", "::ffff:10.0.0.1"}}}
	err := c.Validate()
	require.ErrorContains(t, err, "limits.offenders.max: -1")
	require.ErrorContains(t, err, `limits.offenders.allow[1]: "office" is not allowed: give an address or a CIDR`)
	require.ErrorContains(t, err, "limits.offenders.allow[2]")
	require.NotContains(t, err.Error(), "allow[3]", "an IPv4 address, whatever its spelling")
}

func TestOffendersAreBounded(t *testing.T) {
	o := NewOffenders(OffendersConfig{Max: 10})
	for i := range 3 * offendersKeys {
		address := fmt.Sprint(i)
		for range 3 {
			o.Offend(start, address)
		}
		require.LessOrEqual(t, o.table.bytes(), offendersBytes)
	}
	require.LessOrEqual(t, o.Len(), offendersKeys)
}

// Whatever happens, nobody is refused for longer than five minutes, nor without
// enough violations in a minute.
func TestOffendersAlways(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 5).Draw(t, "max")
		o, now := NewOffenders(OffendersConfig{Max: most}), start
		var broken []time.Time
		for range 200 {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 5, 30, 61, 1000}).Draw(t, "s")) * time.Second)
			broken = append(broken, now)
			wait := o.Offend(now, alice)
			if left := o.Refused(now, alice); left < 0 || left > longestPenalty || left < wait {
				t.Fatalf("refused for %v, a penalty of %v", left, wait)
			}
			lately := 0
			for _, at := range broken {
				if now.Sub(at) < offenceWindow {
					lately++
				}
			}
			if wait > 0 && lately < most {
				t.Fatalf("a penalty after %d of %d", lately, most)
			}
			if wait > 0 {
				broken = nil
			}
		}
	})
}
