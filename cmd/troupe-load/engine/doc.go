// Package engine runs a scenario against a server: many WebSocket clients in one
// process that ask, read, check what they are told and measure how long it took.
//
// It is written so that the tool is not the bottleneck: a quiet connection holds
// a goroutine and no buffer, a frame costs no allocation, and what is counted
// goes to a few shards that are collected once a second.
package engine
