package main

import (
	"bytes"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/canary"
)

func TestOptions(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string // in the message; empty = fine
	}{
		"defaults":         {nil, ""},
		"some":             {[]string{"--scenario", "calm, wire", "--streams", "20"}, ""},
		"unknown scenario": {[]string{"--scenario", "storm"}, `no scenario is called "storm"`},
		"no streams":       {[]string{"--streams", "0"}, "--streams 0"},
		"no seeds":         {[]string{"--seeds", "0"}, "--seeds 0"},
		"stray word":       {[]string{"calm"}, `unexpected argument "calm"`},
		"unknown flag":     {[]string{"--fast"}, "fast"},
	} {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			_, err := parseOptions(c.args, &said)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, errUsage)
			require.Contains(t, said.String(), c.want)
		})
	}
}

func TestHelpNamesEveryScenario(t *testing.T) {
	var said bytes.Buffer
	_, err := parseOptions([]string{"--help"}, &said)
	require.ErrorIs(t, err, flag.ErrHelp)
	for _, s := range scenarios() {
		require.Contains(t, said.String(), s.name)
		require.NotEmpty(t, s.about)
	}
}

func TestChosen(t *testing.T) {
	names := func(o options) (list []string) {
		all, err := chosen(o)
		require.NoError(t, err)
		for _, s := range all {
			list = append(list, s.name)
		}
		return list
	}
	require.NotContains(t, names(options{}), "nats-150s")
	require.Contains(t, names(options{long: true}), "nats-150s")
	require.Equal(t, []string{"calm", "nats-150s"}, names(options{scenarios: "nats-150s,calm"}))
	require.Equal(t, []uint64{7}, options{seed: 7, seeds: 5}.seedList())
	require.Equal(t, []uint64{1, 2, 3}, options{seeds: 3}.seedList())
}

// TestPlansComeFromTheSeed: one seed draws the same clients again, another one
// does not.
func TestPlansComeFromTheSeed(t *testing.T) {
	fleet := &fleet{members: []*member{newMember("gateway-1", roleGateway), newMember("gateway-2", roleGateway), newMember("worker-1", roleWorker)}}
	draw := func(s scenario, seed uint64) (plans []plan) {
		r := &round{fleet: fleet, scenario: s}
		rng := r.rng(seed)
		for range 200 {
			plans = append(plans, s.plan(r, rng))
		}
		return plans
	}
	for _, s := range scenarios() {
		require.Equal(t, draw(s, 3), draw(s, 3), s.name)
		require.NotEqual(t, draw(s, 3), draw(s, 4), s.name)
	}
	kinds := map[cancelWhen]int{}
	for _, p := range draw(scenarios()[0], 1) {
		kinds[p.Cancel]++
		require.NotContains(t, p.Others, p.Home)
	}
	require.Len(t, kinds, 4, "every way to cancel is tried")
}

func TestVictimsLeaveOneOfARole(t *testing.T) {
	r := &round{fleet: &fleet{members: []*member{newMember("gateway-1", roleGateway), newMember("gateway-2", roleGateway)}}, claimed: map[string]bool{}}
	require.NotNil(t, r.victim(r.rng(1), roleGateway))
	require.Nil(t, r.victim(r.rng(2), roleGateway))
}

func TestReportTellsWhatWasRed(t *testing.T) {
	var out bytes.Buffer
	rep := newReport(&out)
	v := newVerdict(genuine())
	v.breaches = []breach{{Invariant: inv3, What: "a slot too many"}}
	v.Loads = []load{{From: at(0), To: at(10 * time.Second), Burners: 4, CPUs: 2, Burned: 15 * time.Second}}
	rep.round(&round{scenario: scenarios()[0], seeds: []uint64{4}}, v, "evidence.json", time.Second)
	rep.controls(8, []string{"I3 (a slot that nobody gave back): the verdict stayed green"})
	rep.table(time.Minute)
	require.Equal(t, 2, rep.red)
	for _, want := range []string{"seed 4", "RED", "4 burners got 75 % of 2 CPUs for 10s", "I3: a slot too many", "evidence.json", "controls 8/9 red", "| calm | **1 red** | 3 | 3 |"} {
		require.Contains(t, out.String(), want)
	}
	require.NotContains(t, out.String(), strings.TrimSpace(canary.Keys()[0]))
}

func TestFreePort(t *testing.T) {
	port, err := freePort()
	require.NoError(t, err)
	require.Less(t, port, 32768, "a restart must not meet an outgoing connection on its port")
}
