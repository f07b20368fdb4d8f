package actors

import (
	"slices"
	"strings"

	"github.com/troupe-chat/troupe/actors/fault"
	"github.com/troupe-chat/troupe/bus"
)

// What can be struck besides actors.
const (
	faultVendor = "vendor" // a call of a vendor, and the text that it says
	faultBus    = "bus"
)

// Messages of a vendor's call.
const (
	messageCall = "call"
	messageText = "text"
)

// FaultCatalogue is all that can be struck in a process: every message that an
// actor takes, by its type's name, the calls of vendors, and the bus. The roots
// of the trees are not in it: they only grow.
//
// Lifecycle messages are protoactor's own promise and always arrive, once, in
// order. What hands a socket or a slot over (open, startRun) or stands for the one
// request that may be read (asked, nextDue) cannot be handled twice.
func FaultCatalogue() fault.Catalogue {
	inside := []string{fault.Panic, fault.Hang, fault.Delay}
	once := append(slices.Clone(inside), fault.Drop, fault.Reorder)
	often := append(slices.Clone(once), fault.Repeat)
	list := func(faults []string, names ...string) (out []fault.Message) {
		for _, name := range names {
			out = append(out, fault.Message{Name: name, Faults: faults})
		}
		return out
	}
	asked := func(faults []string, name string) []fault.Message {
		return list(append(slices.Clone(faults), fault.Error), name)
	}
	alive := list(inside, "Started", "Stopping", "Stopped")
	fresh := append(list(inside, "Restarting"), alive...)
	parent := append(list(inside, "Terminated"), alive...)

	return fault.Catalogue{
		kindConnection: slices.Concat(alive, list(once, "asked", "nextDue"), list(often,
			"chunksArrived", "eventArrived", "replied", "noResponders", "socketClosed", "decided", "limiterLate", "granted", "full",
			"poolLate", "offerLate", "retryDue", "settled", "searchLate", "checkSilence", "workerLost", "busLost", "busBack", "idled",
			"drain", "endNow", "closeDue")),
		kindRun: slices.Concat(alive, list(often,
			"piece", "reasoned", "queuedAt", "calling", "streamEnded", "keyArrived", "stopRun", "followed", "followerGone",
			"acknowledged", "clockDue", "keyLate", "nameDue", "stopLate", "graceOver", "repeatDue", "expire", "speak", "shutDown")),
		kindLimiter:     slices.Concat(fresh, asked(often, "decide"), list(often, "probe")),
		kindPool:        slices.Concat(fresh, asked(often, "acquire"), list(often, "vacated")),
		kindRoster:      slices.Concat(fresh, list(often, "beatHeard", "rosterTick", "unreachable", "tellRests")),
		kindConnections: slices.Concat(parent, list(once, "open"), list(often, "sweepIdle", "drainAll", "closeAll")),
		kindProvider:    slices.Concat(parent, asked(once, "startRun")),
		faultVendor: slices.Concat(
			list(append(slices.Clone(inside), fault.Error), messageCall),
			list(append(slices.Clone(often), fault.Error), messageText),
		),
		faultBus: busMessages(),
	}
}

// busMessages: a publish has no callback that could panic, and nobody asks for
// what arrives.
func busMessages() (out []fault.Message) {
	common := []string{fault.Hang, fault.Delay, fault.Drop, fault.Repeat, fault.Reorder}
	for _, name := range bus.Passings() {
		own := fault.Panic
		if strings.HasPrefix(name, "out.") {
			own = fault.Error
		}
		out = append(out, fault.Message{Name: name, Faults: append(slices.Clone(common), own)})
	}
	return out
}
