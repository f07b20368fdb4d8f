//go:build !unix

package engine

// raiseLimit has nothing to raise: the system bounds no descriptors of a process.
func raiseLimit(int) error { return nil }
