// Package limit decides who may connect, ask and open a session, and how often.
// It is algorithm only: no actor, no goroutine, no timer, no clock of its own.
// The time is always an argument, so every promise here is a table test.
//
//   - Windows holds the exact sliding windows of one gateway. An event is
//     admitted when fewer than Rule.Max events were admitted in the Rule.Window
//     before it; a refused attempt consumes nothing in any window, and an attempt
//     at exactly Decision.RetryAfter is admitted (TestConnectionWindow,
//     TestWindowsAgainstStamps).
//   - Fallback is half a limiter: the same windows with half the events. It
//     decides while the actor in front of Windows is away, and what it admits is
//     charged to Windows, so that both together admit at most one and a half
//     times the limit in any window (TestAdmittedInAnyWindow).
//   - Factor is how much of the rules is left under pressure, Config.Scaled
//     applies it: never more than the rules say, so all that is promised about
//     them holds for what is configured (TestAdmittedWhileLimitsMove).
//   - Offenders closes the door to addresses that break rules again and again,
//     each time for longer.
//   - Leases is who holds a slot of the connection pool. It never admits beyond
//     its bounds and a release can be repeated (TestLeasesAgainstModel).
//
// # Blocking and ownership
//
// The tables outlive the actors that usually call them, which is how a crashed
// limiter or pool loses nothing. So every method may be called by any goroutine:
// each takes the table's one mutex for its own duration and neither blocks nor
// calls out while holding it. Strings are borrowed by Windows and Fallback and
// kept by Leases.
//
// # Bounds
//
// Windows tracks at most 1,000,000 keys in at most 55 MiB, Fallback 125,000 in
// 8 MiB: with the slack of their last chunks less than 64 MiB together, whatever
// the peers send. Offenders holds 20,000 in 2 MiB. Beyond either bound the key that was touched longest ago goes,
// with its history (TestMillionKeys, TestManyStampsStayInBound,
// TestOldestKeyGoes). A refusal adds no key and an address is admitted few new
// sessions, so it takes very many addresses to push a stranger's window out,
// unless the session limit is off.
//
// # Time
//
// Times are compared with their monotonic reading where they carry one, so a
// step of the wall clock goes unnoticed. Where time does run backwards, stamps
// of the future become stamps of now: a key is never locked for longer than one
// window (TestClockBackwards).
package limit
