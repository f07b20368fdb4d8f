package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/troupe-chat/troupe/actors/provider"
)

// busPayload is the max_payload of a NATS server out of the box; a question
// shares its message with the earlier turns and the system prompt.
const busPayload = 1 << 20

// Cautions lists what is allowed and worth knowing before it goes live, one
// line each. It looks at the values alone, so ask after Dev.
func (c *Config) Cautions() []string {
	lines := c.HTTP.Warnings()
	for _, l := range []struct {
		key string
		max int
	}{
		{"limits.connections.max", c.Limits.Connections.Max},
		{"limits.messages.max", c.Limits.Messages.Max},
		{"limits.sessions.max", c.Limits.Sessions.Max},
	} {
		if l.max == 0 {
			lines = append(lines, l.key+" = 0: this limit is off")
		}
	}
	if most := c.WebSocket.MaxMessageBytes + c.Chat.Memory.Bytes; most > busPayload*3/4 {
		lines = append(lines, fmt.Sprintf("websocket.max_message_bytes and chat.memory.bytes are %d together: a NATS server with the usual max_payload of %d cannot carry such a question", most, busPayload))
	}
	return append(lines, c.spendable()...)
}

// WorkerCautions is Cautions for a worker, which serves operators alone. r
// tells what was said to this very process: a file is often shared with
// gateways, a flag or a variable that has no effect is a mistake.
func (c *Config) WorkerCautions(r *Report) []string {
	obeyed := c.HTTP.ForWorker()
	lines := obeyed.Warnings()
	var idle []string
	for _, key := range slices.Sorted(maps.Keys(r.sources)) {
		part, ours := strings.CutPrefix(key, "http.")
		here := !strings.HasPrefix(r.sources[key], "file ")
		if ours && here && (obeyed.AdminListen == "" || !workerKey(part)) {
			idle = append(idle, key)
		}
	}
	if len(idle) > 0 {
		lines = append(lines, fmt.Sprintf("%s: a worker ignores this; it takes no clients and listens on http.admin_listen alone", strings.Join(idle, ", ")))
	}
	return lines
}

// workerKey tells whether a worker that listens obeys a key below http.
func workerKey(part string) bool {
	return part == "admin_listen" || part == "admin_token" || strings.HasPrefix(part, "tls.")
}

// spendable warns about keys that strangers could spend.
func (c *Config) spendable() []string {
	open := slices.IndexFunc(c.HTTP.Listen, func(a string) bool { return !loopback(a) })
	if open < 0 {
		return nil
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.Providers)) {
		if p := c.Providers[name]; len(p.Keys()) > 0 && p.UserKeys != provider.UserKeysRequire {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("anyone who reaches %s can spend the deployment's keys of %s: there is no sign-in; listen on 127.0.0.1 or put a proxy with one in front", c.HTTP.Listen[open], strings.Join(names, ", "))}
}

// loopback tells whether only this machine can reach a listener.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
