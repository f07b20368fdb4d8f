//go:build !unix

package child

// Terminate ends the process: no polite signal reaches it here.
func (p *Process) Terminate() error { return p.process.Kill() }

// Pause stops the process where it is, its connections open.
func (p *Process) Pause() error { return ErrUnsupported }

// Resume ends a Pause.
func (p *Process) Resume() error { return ErrUnsupported }
