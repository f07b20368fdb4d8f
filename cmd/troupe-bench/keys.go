package main

// key names a reading.
type key int

// The readings of all suites.
const (
	serveEcho key = iota // µs of CPU per chunk
	serveOpenAI
	bareWrite
	bareRead
	pacedWrites // write(2) per frame

	gatewayChunk // µs of CPU per chunk
	relayChunkCPU

	gatewayFire // texts per second of CPU
	gatewayFireRate
	relayFire
	relayFireRate
	serveFire
	serveFireRate
	fireWrites // write(2) per text

	gatewayFirst50 // µs from question to first chunk
	gatewayFirst99
	relayFirst50
	relayFirst99

	gatewayFew50 // µs from said to read
	gatewayFew99
	gatewayMany50
	gatewayMany99
	relayFew50
	relayFew99
	relayMany50
	relayMany99

	serveConnects // handshakes per second
	serveConnectsCPU
	bareConnects
	bareConnectsCPU

	idleLive // bytes per connection
	idlePrivate
	idleLiveLinear // upper half's slope in lower ones
	idleLive1      // bytes at each point
	idleLive2
	idleLive3
	idlePrivate1
	idlePrivate2
	idlePrivate3
	parkedLive
	parkedPrivate
	parkedLiveLinear
	parkedLive1
	parkedLive2
	parkedLive3
	parkedPrivate1
	parkedPrivate2
	parkedPrivate3

	churnGoroutines
	churnGoroutinesBefore
	churnActors
	churnActorsBefore
	churnFiles
	churnFilesBefore
	churnHeap
	churnHeapBefore
	churnHalves // bytes that the second half added
	churnCPU

	growthNone // µs of CPU per chunk
	growthSome
	growthMany
)

// growthKeys are the readings of growth, by the number of idle connections.
func growthKeys() [3]key { return [3]key{growthNone, growthSome, growthMany} }

// idleKeys are the readings of one side of idle memory.
type idleKeys struct {
	private, live           [3]key // at few, between, and many connections
	privateSlope, liveSlope key    // bytes per connection from few to many
	liveLinear              key    // the upper half's slope, in lower ones
}

func parkedIdle() idleKeys {
	return idleKeys{
		private: [3]key{parkedPrivate1, parkedPrivate2, parkedPrivate3}, live: [3]key{parkedLive1, parkedLive2, parkedLive3},
		privateSlope: parkedPrivate, liveSlope: parkedLive, liveLinear: parkedLiveLinear,
	}
}

func troupeIdle() idleKeys {
	return idleKeys{
		private: [3]key{idlePrivate1, idlePrivate2, idlePrivate3}, live: [3]key{idleLive1, idleLive2, idleLive3},
		privateSlope: idlePrivate, liveSlope: idleLive, liveLinear: idleLiveLinear,
	}
}
