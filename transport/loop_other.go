//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package transport

import (
	"context"
	"errors"
	"net"
)

// loop has no implementation here: every socket has a goroutine of its own.
type loop struct{}

func newLoop() (*loop, error) { return nil, errors.ErrUnsupported }

func (*loop) link(*conn, *net.TCPConn) (link, error) { return nil, errors.ErrUnsupported }

func (*loop) run(context.Context) {}
