package natsproc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are looked for below the range that systems give to outgoing
// connections (Linux: from 32768, others: from 49152). A port out of that range
// may be somebody's source port just when its server comes back to it.
const (
	lowestPort  = 12000
	highestPort = 32000
	portTries   = 100
)

// FreePort returns a TCP port of 127.0.0.1 that nobody listens on and that no
// outgoing connection will be given. It is not kept: listen on it soon.
func FreePort() (int, error) {
	ports, err := freePorts(1)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}

// freePorts returns n different ones.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n * portTries {
		if len(ports) == n {
			break
		}
		l, port := tryPort(lowestPort + rand.IntN(highestPort-lowestPort))
		if l == nil {
			continue
		}
		defer func() { _ = l.Close() }() // held until all are found, so that they differ
		ports = append(ports, port)
	}
	if len(ports) < n {
		return nil, errors.New("natsproc: no free port on 127.0.0.1 between " + strconv.Itoa(lowestPort) + " and " + strconv.Itoa(highestPort))
	}
	return ports, nil
}

func tryPort(port int) (net.Listener, int) {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return nil, 0
	}
	return l, port
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
