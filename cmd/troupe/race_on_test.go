//go:build race

package main

// raceDetected: the detector makes a crowd ten times as slow.
const raceDetected = true
