//go:build unix && !linux

package child

// stopped takes the signal for the deed.
func (p *Process) stopped() bool { return true }
