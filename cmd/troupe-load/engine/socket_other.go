//go:build !unix

package engine

// pump reads until the socket ends and says why.
func (s *socket) pump(in intake) error { return s.pumpBlocking(in) }
