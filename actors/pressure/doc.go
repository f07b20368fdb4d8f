// Package pressure decides how hard pressed a process is, in four stages, from
// what its memory and its scheduler say. It is algorithm only: no actor, no
// goroutine, no clock of its own. The time and the readings are arguments; only
// Runtime reads anything, and only what the Go runtime publishes.
//
//   - Judge turns readings into a stage. It goes up at once where a threshold
//     has been passed for long enough to be real, and down one stage at a time,
//     each after a calm time below thresholds that are a little lower.
//   - Runtime is where readings come from in production.
//
// What each stage means is decided elsewhere: package actors refuses questions,
// connections and jobs, and has the slowest readers cut.
package pressure
