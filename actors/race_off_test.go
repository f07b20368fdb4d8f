//go:build !race

package actors

const raceDetected = false
