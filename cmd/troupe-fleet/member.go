package main

import "github.com/troupe-chat/troupe/cmd/troupe-load/witness/proc"

// Roles of members.
const (
	roleGateway = "gateway"
	roleWorker  = "worker"
)

// member is one process of the fleet and its wires to the bus, one to each NATS
// server. Its methods may be called from any goroutine.
type member struct {
	proc.Process

	// Set once.
	role    string
	proxies []*proxy
	base    string // of a gateway: http://host:port where clients connect
}

func newMember(name, role string) *member {
	m := &member{role: role}
	m.Name = name
	return m
}

func (m *member) close() {
	m.Kill()
	for _, p := range m.proxies {
		p.close()
	}
}
