// Package upstream is what one worker knows of one provider's way out: its
// deployment keys and their rests, the breaker, the retry budget, the room and
// the short queue in front of it. It decides and counts; it calls nobody, and
// has no goroutine, no actor and no bus of its own.
//
//   - Line joins all of it. A caller enters with Line.Enter, which picks a key or
//     waits for room, and leaves with Call.Done, which says how the call ended.
//     Settings.Room and Settings.RoomPerKey are never exceeded, whatever Configure
//     does meanwhile; a shrunk room only lets nobody in until enough have left.
//     Every caller's wait ends (TestLineAgainstLedger, TestLineUnderRace).
//   - The queue serves owners in turn, and within an owner first come, first
//     served. Whoever cannot go because of its own keys holds nobody up who can
//     (TestQueueAgainstModel, TestOwnersAreServedInTurn).
//   - Nobody waits for a rest: where all keys that are left rest, or the provider
//     does, a caller is told how long at once, also while it waits for room
//     (TestWaitersAreToldOfARest).
//   - A rest after a rate limit is of one key and one model, so that whoever asks
//     for a tiny model rests the key for nobody else (TestLimitedIsPerModel).
//   - Calls with a user's own key feed and obey the breaker, and never touch the
//     state of a deployment key. No fingerprint of a user's key is ever made.
//
// # Blocking and ownership
//
// Only Enter waits, for room, for at most Settings.Patience. All other methods
// take the line's one mutex for their own duration. No function of a caller is
// called under it: told is called by the goroutine that entered, changed by
// whichever goroutine made the change, so it must be safe for several at once
// and should only note that there is something to tell.
//
// # Between workers
//
// Own is what this process saw itself, Heard takes what another one saw. What was
// heard is obeyed but never told on, so a rest ends where it began: nothing goes
// in circles. An adopted rest lasts margin longer than its owner's, who so is the
// first to try again; a breaker that is trying is told as resting, too
// (TestAdoptedRestsLastLonger, TestOwnIsNeverWhatWasHeard).
//
// # Bounds
//
// The tables of rests hold 1,024 each, one for what was seen and one for what was
// heard, and beyond that the rest that ends first goes (TestRestsStayInBound).
// Counts of the last ten seconds are kept in slots of half a second: an event
// counts for 10 to 10.5 seconds. Times are durations since the line was made,
// read from the monotonic clock, so a step of the wall clock goes unnoticed.
package upstream
