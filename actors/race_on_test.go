//go:build race

package actors

// raceDetected: the detector makes an exploration ten times as slow, and finds
// nothing where one goroutine does everything.
const raceDetected = true
