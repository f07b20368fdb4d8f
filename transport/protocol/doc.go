// Package protocol is what client and server say to each other: the frames, the
// closed list of codes, and the shapes of the HTTP answers.
//
// It is data and codec only: no I/O, no goroutines, nothing but the standard
// library. Both sides of the house (transport and actors) speak in its types,
// which is why they never need to import each other.
package protocol
