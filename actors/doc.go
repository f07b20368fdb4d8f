// Package actors is the house: who lives in Troupe, who speaks to whom, and what
// happens when one of them fails. It is the only user of protoactor.
//
// # The trees
//
//	gateway-<id>           only spawns; past ten panics in ten seconds the process ends
//	├─ limiter             restarted; its windows live outside it
//	├─ pool                restarted; its leases live outside it
//	├─ roster              restarted; rebuilt from the next beats
//	└─ connections         resumed, never restarted: its children live on
//	   └─ c<n>             one connection; a panic stops it
//	worker-<id>            only spawns; as the gateway's root
//	├─ roster              restarted; which gateways live
//	└─ provider-<name>     resumed, never restarted
//	   └─ <id>             one run; a panic stops it
//
// An actor with children is resumed after a panic, because protoactor's restart
// stops all children first. Whoever comes back does so with exponential backoff
// and jitter, and is never given up.
//
// # Who says what
//
//	client → connection    asked, socketClosed                    (through Session)
//	connection → limiter   decide             → decided           50 ms, then the fallback bucket
//	connection → pool      acquire            → granted, full     1 s, then the client is refused
//	connection → bus       job                → replied, noResponders   500 ms each, three times
//	connection → bus       key, cancel, resume, release, ack, gone
//	run → bus → connection chunksArrived, eventArrived
//	roster → connection    workerLost
//	connections, providers hear of their children's ends (Terminated) and let go;
//	connections → pool     vacated: the slot is free
//
// Nothing asks upward, so no ask can deadlock. No actor blocks: not on a socket,
// not on the bus, not on a vendor; an ask is a message, its reply another one,
// its deadline a third. Messages to one actor arrive in the order they were sent
// by one sender; system messages (Watch, Stop, Terminated) overtake.
//
// # What survives a crash
//
// What others depend on lives outside the actor that works with it: windows and
// leases (actors/limit), followers and runs (tables here), the transcript's
// followers (the run's record). It is released by whoever watches, in code that
// no panic on the way can skip; the one who watches, not the one who failed,
// tells the client. TestPanicEverywhere proves it actor by actor and message by
// message.
package actors
