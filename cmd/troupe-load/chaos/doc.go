// Package chaos plays a fault scenario: streams at a pace, faults on a schedule,
// and a verdict from what clients saw.
//
// Run starts what the scenario wants (a single server, or a local fleet with NATS
// and a vendor of its own), or takes a server that runs; it asks questions whose
// answers it can tell beforehand, breaks things, waits until everything rests and
// judges the evidence. Nothing here shares code with the server but its list of
// codes: clients are written from the contract in docs/protocol.md. What judges from
// outside like this, and is no matter of scenarios, stands in witness, for the fleet's
// harness as well.
//
// Whatever Run starts is gone when it returns, and dies with this process where
// the system can do that.
package chaos
