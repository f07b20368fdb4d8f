package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

// performance is one run of the command: a fleet, rounds, verdicts, controls.
type performance struct {
	options
	scenarios []scenario
	dir       string
	report    *report

	genuine *evidence // of a green round, best one without a fault: what the controls forge
}

var errRed = errors.New("not all green")

// play returns errRed where anything was.
func (p *performance) play(ctx context.Context) error {
	began := time.Now()
	p.report.say("building and starting %d NATS servers, %d gateways, %d workers", natsServers, gateways, workers)
	f, err := newFleet(ctx, p.dir, p.streams, &crew.Crew{})
	if err != nil {
		return err
	}
	defer f.close()
	if err := p.warmUp(ctx, f); err != nil {
		return err
	}
	for _, s := range p.scenarios {
		for seeds := range slices.Chunk(p.seedList(), max(1, s.share)) {
			if err := p.round(ctx, &round{fleet: f, scenario: s, seeds: seeds, streams: p.streams}); err != nil {
				return fmt.Errorf("%s, seeds %v: %w", s.name, seeds, err)
			}
		}
	}
	p.controls()
	p.report.table(time.Since(began))
	if p.json != "" {
		if err := p.report.write(p.json); err != nil {
			return err
		}
	}
	if p.report.red > 0 {
		return errRed
	}
	return nil
}

// warmUp plays a few calm streams that count for nothing: a process has its full
// number of goroutines only after the first ones. What they leave is evidence
// for the controls, in case that only faults are played.
func (p *performance) warmUp(ctx context.Context, f *fleet) error {
	for range 2 { // the second time beside what a process needs when it is warm
		r := &round{fleet: f, scenario: scenarios()[0], seeds: []uint64{0}, streams: 20}
		e, err := r.run(ctx)
		if err != nil {
			return fmt.Errorf("warm-up: %w", err)
		}
		for _, m := range f.members {
			m.RestAgain()
		}
		if len(judge(e)) == 0 {
			p.genuine = e
			return nil
		}
	}
	return nil
}

func (p *performance) round(ctx context.Context, r *round) error {
	began := time.Now()
	e, err := r.run(ctx)
	if err != nil {
		return err
	}
	v := newVerdict(e)
	v.breaches = judge(e)
	for _, expect := range r.scenario.expect {
		expect(v)
	}
	file := ""
	if len(v.breaches) > 0 || p.keep {
		if file, err = p.keepEvidence(r, v); err != nil {
			return err
		}
	}
	if len(v.breaches) == 0 && (p.genuine == nil || len(e.Harms) == 0 || len(p.genuine.Harms) > 0) {
		p.genuine = e
	}
	p.report.round(r, v, file, time.Since(began))
	return nil
}

// keepEvidence writes what a red verdict rests on.
func (p *performance) keepEvidence(r *round, v *verdict) (string, error) {
	path := filepath.Join(p.dir, fmt.Sprintf("evidence-%s-%s.json", r.scenario.name, joinSeeds(r.seeds)))
	data, err := json.Marshal(struct {
		Breaches []breach  `json:"breaches"`
		Evidence *evidence `json:"evidence"`
	}{v.breaches, v.evidence})
	if err != nil {
		return "", err
	}
	return path, os.WriteFile(path, data, 0o600)
}

func joinSeeds(seeds []uint64) string {
	words := make([]string, len(seeds))
	for i, s := range seeds {
		words[i] = fmt.Sprint(s)
	}
	return strings.Join(words, "+")
}

// controls tries the oracle on forgeries of what was really seen.
func (p *performance) controls() {
	if p.genuine == nil {
		p.report.controls(0, []string{"no round was green: there is nothing genuine to forge"})
		return
	}
	red, problems := tryControls(p.genuine)
	p.report.controls(red, problems)
}
