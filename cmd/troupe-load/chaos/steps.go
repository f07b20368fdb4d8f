package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/bus/natsproc/child"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/proc"
)

// startSteps plays the schedule. Nothing begins after asking has ended, and what
// was done is undone in any case.
func (r *round) startSteps(ctx, asking context.Context) {
	if !r.rules.Own {
		r.skipForeign()
	}
	for i := range r.plan.Steps {
		s := &r.plan.Steps[i]
		if !r.possible(s) {
			continue
		}
		r.all.Start("step", func() { r.schedule(ctx, asking, s, i) })
	}
	if r.plan.Random.Every > 0 {
		r.all.Start("random steps", func() { r.draw(ctx, asking) })
	}
	if r.vendor != nil {
		r.vendor.OnPoison(func(worker string) { r.poisoned(ctx, worker) })
	}
}

// skipForeign says which steps cannot be done to a server that was not started
// here.
func (r *round) skipForeign() {
	for i := range r.plan.Steps {
		if s := &r.plan.Steps[i]; !r.possible(s) {
			r.unseen = append(r.unseen, fmt.Sprintf("step %d (%s): nothing that was not started here can be killed or slowed", i, s.label(s.target())))
		}
	}
}

func (r *round) possible(s *Step) bool {
	return r.rules.Own || s.Clients != "" || s.Inject != "" && r.foreign != nil
}

func (r *round) schedule(ctx, asking context.Context, s *Step, index int) {
	rng := r.rng("step", index)
	until := since(s.Until)
	if !crew.Sleep(asking, since(s.At)) {
		r.neverBegan(fmt.Sprintf("step %d (%s), due after %s,", index, s.label(s.target()), since(s.At)))
		return
	}
	for {
		next := time.Now().Add(since(s.Every)) // from beginning to beginning; a step that takes longer is followed at once
		r.do(ctx, s, index, rng)
		if s.Every == 0 || until > 0 && time.Since(r.began) >= until || !crew.Sleep(asking, time.Until(next)) {
			return
		}
	}
}

// draw does one random step after the other.
func (r *round) draw(ctx, asking context.Context) {
	rng := r.rng("random", 0)
	next := since(r.plan.Random.First)
	drawn := false
	for crew.Sleep(asking, time.Until(r.began.Add(next))) {
		drawn = true
		s := &r.plan.Random.From[rng.IntN(len(r.plan.Random.From))]
		if r.possible(s) {
			r.do(ctx, s, -1, rng)
		}
		next = max(next+since(r.plan.Random.Every), time.Since(r.began))
	}
	if !drawn {
		r.neverBegan(fmt.Sprintf("the first random step, due after %s,", since(r.plan.Random.First)))
	}
}

// neverBegan says that something was not tried: a run that is too short, or was
// ended by hand, has shown nothing of it.
func (r *round) neverBegan(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrong = append(r.wrong, what+" never began: the run was over before")
}

// do does a step once and notes what was done.
func (r *round) do(ctx context.Context, s *Step, index int, rng *rand.Rand) {
	h := &harm{Step: s, Index: index, Verb: s.verb(), Who: s.Touches, Hits: 1, Streams: map[int]time.Time{}, From: time.Now(), To: never()}
	var err error
	switch h.Verb {
	case "inject":
		err = r.injectStep(ctx, s, h)
	case "clients":
		h.Target = "clients"
		h.Label = s.label("")
		r.note(h)
		err = r.clientStep(ctx, s, h, rng)
	case "burn":
		h.Target = "the machine"
		h.Label = s.label("")
		r.note(h)
		err = r.burn(ctx, s)
	default:
		err = r.processStep(ctx, s, h, rng)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.To.Equal(never()) {
		h.To = time.Now()
	}
	if err != nil {
		r.wrong = append(r.wrong, fmt.Sprintf("%s: %v", h.Label, err))
	}
}

// never is the end of a harm that has none yet.
func never() time.Time { return time.Unix(1<<40, 0) }

// label says for people what a step does.
func (s *Step) label(target string) string {
	switch v := s.verb(); v {
	case "inject":
		return s.Inject
	case "clients":
		return fmt.Sprintf("%d %s", s.Count, s.Clients)
	case "burn":
		return fmt.Sprintf("%d burners", s.Burn)
	default:
		return v + " " + target
	}
}

// pick is the process of a step; the seed draws one for a ?.
func (r *round) pick(target string, rng *rand.Rand) *member {
	role, drawn := strings.CutSuffix(target, "-?")
	if !drawn {
		return r.named(target)
	}
	list := r.of(role)
	return list[rng.IntN(len(list))]
}

func (r *round) processStep(ctx context.Context, s *Step, h *harm, rng *rand.Rand) error {
	m := r.pick(s.target(), rng)
	h.Target, h.Targets, h.Label = m.Name, []string{m.Name}, s.label(m.Name)
	if !m.Running() {
		h.Label += ", which does not run"
		h.To = h.From
		r.note(h)
		return nil
	}
	r.note(h)
	back := context.WithoutCancel(ctx) // what was ended comes back in any case
	switch h.Verb {
	case "kill":
		m.kill()
		r.mu.Lock()
		h.Died = time.Now()
		r.mu.Unlock()
		return r.bringBack(ctx, back, s, h, m)
	case "pause":
		if err := m.Pause(); err != nil {
			return err
		}
		crew.Sleep(ctx, since(s.For))
		return m.Resume()
	}
	wait, cancel := context.WithTimeout(back, 2*time.Minute)
	defer cancel()
	withdrawn := r.withdrawn(wait, s, m)
	exit, took, err := m.terminate(wait, s.Count)
	unready := <-withdrawn
	r.mu.Lock()
	h.Gone, h.Unready = took, unready
	h.Note = fmt.Sprintf("it ended with status %d after %s", exit, took.Round(time.Millisecond))
	r.mu.Unlock()
	if err != nil {
		return err
	}
	return r.bringBack(ctx, back, s, h, m)
}

// bringBack starts a process again after a while, where the step wants that.
func (r *round) bringBack(ctx, back context.Context, s *Step, h *harm, m *member) error {
	if s.For == 0 && s.Restart == "" {
		r.mu.Lock()
		h.To = h.From
		r.mu.Unlock()
		return nil
	}
	crew.Sleep(ctx, since(s.For))
	return m.start(back)
}

// poisoned kills the worker that took a poison question, and starts it again.
func (r *round) poisoned(ctx context.Context, worker string) {
	m := r.named(worker)
	s := &Step{Kill: worker, Touches: TouchesOnTarget}
	s.fill()
	h := &harm{Step: s, Index: -1, Verb: "kill", Target: worker, Targets: []string{worker}, Label: "poison ends " + worker, Poison: true, Who: TouchesOnTarget, Hits: 1, From: time.Now(), To: never()}
	r.note(h)
	r.all.Start("poisoned worker", func() {
		m.kill()
		crew.Sleep(ctx, 500*time.Millisecond)
		err := m.start(context.WithoutCancel(ctx))
		r.mu.Lock()
		defer r.mu.Unlock()
		h.To = time.Now()
		if err != nil {
			r.wrong = append(r.wrong, err.Error())
		}
	})
}

// burn fills the machine with processes that never rest.
func (r *round) burn(ctx context.Context, s *Step) error {
	var burners []*child.Process
	defer func() {
		for _, b := range burners {
			b.Kill()
		}
	}()
	for range s.Burn {
		b, err := child.Start(exec.Command("sh", "-c", "while :; do :; done"))
		if err != nil {
			return err
		}
		burners = append(burners, b)
	}
	crew.Sleep(ctx, since(s.For))
	return nil
}

// admins are the operator's addresses that an injection goes to.
func (r *round) admins(s *Step, spec Spec) (names []string, list []proc.Admin) {
	if !r.rules.Own {
		return []string{r.o.URL}, []proc.Admin{*r.foreign}
	}
	for _, m := range r.servers() {
		meant := s.On == m.Name || s.On == m.role+"s" || s.On == "" &&
			(m.role == roleServe || m.role == roleGateway && spec.atGateways() || m.role == roleWorker && spec.atWorkers())
		if meant && m.Running() {
			names, list = append(names, m.Name), append(list, m.Admin)
		}
	}
	return names, list
}

// injectStep sets one injection at each process that it is about, and follows
// what it hits.
func (r *round) injectStep(ctx context.Context, s *Step, h *harm) error {
	spec, err := ParseSpec(s.Inject)
	if err != nil {
		return err
	}
	if spec.Seed == 0 {
		spec.Seed = r.o.Seed
	}
	names, admins := r.admins(s, spec)
	h.Target, h.Targets, h.Label, h.Hits = strings.Join(names, ", "), names, s.Inject, 0
	r.learn(ctx, admins)
	h.From = time.Now()
	r.note(h)
	ids := make([]string, len(admins))
	for i, a := range admins {
		if ids[i], err = inject(ctx, a, spec); err != nil {
			return fmt.Errorf("%s: %w", names[i], err)
		}
	}
	late := time.Now().Add(spec.lasts())
	for time.Now().Before(late) && crew.Sleep(ctx, min(sampleEvery, time.Until(late))) {
		r.learn(ctx, admins)
		r.follow(ctx, h, admins, ids)
	}
	r.mu.Lock()
	h.To = earliest(time.Now(), late) // the last look may have taken long, and recovery counts from here
	r.mu.Unlock()
	crew.Sleep(ctx, sampleEvery)
	if err := r.readNames(); err != nil {
		return err
	}
	r.follow(ctx, h, admins, ids)
	return nil
}

// learn notes which actors belong to which streams.
func (r *round) learn(ctx context.Context, admins []proc.Admin) {
	for _, a := range admins {
		for _, kind := range []string{"connection", "run"} {
			list, err := actorsOf(ctx, a, kind)
			if err != nil {
				continue // the tree is not there, or the process does not answer now
			}
			r.mu.Lock()
			for _, one := range list {
				r.seen[one.ID] = one
			}
			r.mu.Unlock()
		}
	}
}

// follow counts hits, and finds the streams that they belong to.
func (r *round) follow(ctx context.Context, h *harm, admins []proc.Admin, ids []string) {
	total, spare, first := 0, 0, time.Time{}
	streams := map[int]time.Time{}
	for i, a := range admins {
		n, last, err := hitsOf(ctx, a, ids[i])
		if err != nil {
			return // hidden for a moment; the next look counts anew
		}
		total += n
		spare += max(0, n-len(last))
		for _, one := range last {
			if first.IsZero() || one.At.Before(first) {
				first = one.At
			}
			if number, ok := r.streamOf(one.Actor); ok {
				streams[number] = one.At
			} else {
				spare++
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h.Hits, h.Spare = total, spare
	if h.First.IsZero() {
		h.First = first
	}
	for n, at := range streams {
		if before, known := h.Streams[n]; !known || at.Before(before) {
			h.Streams[n] = at
		}
	}
}

var connectionName = regexp.MustCompile(`"connection":"([^"]+)"`)

// readNames learns from the logs which connection served which stream: its
// session's name is the stream's.
func (r *round) readNames() error {
	logs, err := r.logs()
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, l := range logs {
		for line := range strings.Lines(l.Text) {
			name, session := connectionName.FindStringSubmatch(line), sessionName.FindStringSubmatch(line)
			if name != nil && session != nil {
				names[name[1]] = session[1]
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names = names
	return nil
}

var sessionName = regexp.MustCompile(`"session":"([^"]+)"`)

// streamOf finds the stream of an actor: a run's id ends with that of the run, a
// connection is known by its name in the log.
func (r *round) streamOf(id string) (int, bool) {
	r.mu.Lock()
	session := r.names[r.seen[id].Connection]
	r.mu.Unlock()
	run := id[strings.LastIndexByte(id, '/')+1:]
	r.book.mu.Lock()
	defer r.book.mu.Unlock()
	for _, t := range slices.Backward(r.book.turns) {
		if session != "" && session == t.Session {
			return t.N, true
		}
		if slices.ContainsFunc(t.Frames, func(f frame) bool { return f.Type == frames.Accepted && f.RunID == run }) {
			return t.N, true
		}
	}
	return 0, false
}
