package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/troupe-chat/troupe/bus/natsproc"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/canary"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
)

// Size and settings of the fleet.
const (
	natsServers = 3
	gateways    = 2
	workers     = 3

	vendorName   = "vendor"
	maxSlots     = 2000 // twice the streams that may be asked for
	maxMessages  = 12
	window       = 10 * time.Second
	grace        = 30 * time.Second
	gatewayDrain = 4 * time.Second
	workerDrain  = 30 * time.Second // longer than any answer
)

// natsConfig makes a node that stopped answering noticed as fast as a client
// notices it.
const natsConfig = "ping_interval: \"2s\"\nwrite_deadline: \"5s\"\n"

// fleet is everything that runs: NATS, gateways, workers, the vendor, and the
// wires between them.
type fleet struct {
	dir     string
	slots   int // pool.max_connections of each gateway
	crew    *crew.Crew
	nats    []*natsproc.Server
	members []*member
	vendor  *mimic.Vendor
	caller  *caller
	keys    []string
	rules   rules
}

// slotsFor is what one gateway needs when all clients of a round are at it: their
// sockets, second ones for a few, a flooder, and a little for sockets whose client
// is at its next one already. Not more, or the bound would never be met.
func slotsFor(streams int) int { return min(streams+streams/8+1+16, maxSlots) }

// newFleet starts it for rounds of so many streams, and returns when a question
// could be asked.
func newFleet(ctx context.Context, dir string, streams int, team *crew.Crew) (_ *fleet, err error) {
	f := &fleet{dir: dir, slots: slotsFor(streams), crew: team, keys: canary.Keys()}
	f.rules = rules{Messages: maxMessages, Window: window, Slots: f.slots, Grace: grace, Keys: f.keys}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	binary, err := buildTroupe(ctx, dir)
	if err != nil {
		return nil, err
	}
	if f.nats, err = natsproc.Cluster(ctx, natsServers, dir, natsConfig); err != nil {
		return nil, err
	}
	if f.vendor, err = mimic.New(team, f.keys); err != nil {
		return nil, err
	}
	if err = f.startMembers(ctx, binary); err != nil {
		return nil, err
	}
	f.caller = &caller{
		address: f.address,
		numbers: &atomic.Int64{}, userKey: f.keys[1],
	}
	return f, f.whole(ctx)
}

func (f *fleet) startMembers(ctx context.Context, binary string) error {
	for i := range gateways + workers {
		role, n := roleGateway, i+1
		if i >= gateways {
			role, n = roleWorker, i-gateways+1
		}
		m := newMember(fmt.Sprintf("%s-%d", role, n), role)
		f.members = append(f.members, m)
		if err := f.startMember(ctx, m, binary); err != nil {
			return err
		}
	}
	return nil
}

func (f *fleet) startMember(ctx context.Context, m *member, binary string) error {
	var urls []string
	for _, n := range f.nats {
		p, err := newProxy(n.Addr())
		if err != nil {
			return err
		}
		m.proxies = append(m.proxies, p)
		urls = append(urls, "nats://"+p.addr())
	}
	args := []string{m.role, "--bus.url=" + strings.Join(urls, ","), "--providers.vendor.base_url=" + f.vendor.BaseURL(m.Name)}
	own, err := m.listeners()
	if err != nil {
		return err
	}
	m.Dir, m.Env = f.dir, []string{"FLEET_KEY=" + f.keys[0]}
	m.Command = slices.Concat([]string{binary}, args, own, settings(f.slots))
	return m.Start(ctx)
}

// listeners picks the member's ports and says what it is started with for them.
// Clients come with an address of their own, as from a proxy, or one limit would
// be shared by all.
func (m *member) listeners() ([]string, error) {
	admin, err := freePort()
	if err != nil {
		return nil, err
	}
	m.Admin.Base = fmt.Sprintf("http://127.0.0.1:%d", admin)
	args := []string{fmt.Sprintf("--http.admin_listen=127.0.0.1:%d", admin)}
	if m.role == roleWorker {
		return append(args, fmt.Sprintf("--worker.drain_timeout=%s", workerDrain)), nil
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	m.base = fmt.Sprintf("http://127.0.0.1:%d", port)
	return append(args, fmt.Sprintf("--http.listen=127.0.0.1:%d", port), "--http.trusted_proxies=127.0.0.1",
		fmt.Sprintf("--worker.drain_timeout=%s", gatewayDrain)), nil
}

// settings are the same for all: the limits out of the way but for the flooders'
// one, keys by reference.
func settings(slots int) []string {
	return []string{
		"--providers.vendor.type=openai", "--providers.vendor.api_keys=env:FLEET_KEY", "--default_provider=vendor",
		fmt.Sprintf("--limits.messages.max=%d", maxMessages), fmt.Sprintf("--limits.messages.window=%s", window),
		"--limits.connections.max=0", "--limits.sessions.max=0",
		"--limits.offenders.max=0", // flooders come back each round, and have to reach their limit
		fmt.Sprintf("--pool.max_connections=%d", slots),
		fmt.Sprintf("--runs.grace=%s", grace), "--runs.keep=3m", "--runs.per_connection=64",
		"--log.format=json",
	}
}

// whole waits until every process is ready and every gateway knows every worker.
func (f *fleet) whole(ctx context.Context) error {
	for _, m := range f.members {
		if err := m.Ready(ctx, nil); err != nil {
			return err
		}
	}
	for _, m := range f.of(roleGateway) {
		if err := m.Knows(ctx, workers); err != nil {
			return err
		}
	}
	return nil
}

// of lists the members of a role.
func (f *fleet) of(role string) (list []*member) {
	for _, m := range f.members {
		if m.role == role {
			list = append(list, m)
		}
	}
	return list
}

func (f *fleet) member(name string) *member {
	for _, m := range f.members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

func (f *fleet) address(gateway string) string { return f.member(gateway).base }

// failures are faults of the harness itself.
func (f *fleet) failures() error {
	var errs []error
	for _, text := range f.crew.Failures() {
		errs = append(errs, errors.New(text))
	}
	for _, m := range f.members {
		for _, p := range m.proxies {
			if err := p.failure(); err != nil {
				errs = append(errs, fmt.Errorf("proxy of %s: %w", m.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// close ends all of it at once.
func (f *fleet) close() {
	for _, m := range f.members {
		m.close()
	}
	for _, n := range f.nats {
		n.Kill()
	}
	if f.vendor != nil {
		f.vendor.Close()
	}
}
