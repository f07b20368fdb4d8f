//go:build race

package limit

// raceEnabled shortens what would take minutes under the race detector.
const raceEnabled = true
