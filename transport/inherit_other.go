//go:build !linux

package transport

import "net"

// inherit is for systems where a connection is known to have its listener's
// options: see inherit_linux.go.
func inherit(net.Listener) bool { return false }

// deferAccept is for systems that can keep silent connections to themselves.
func deferAccept(net.Listener) {}
