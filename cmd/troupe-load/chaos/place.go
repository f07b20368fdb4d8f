package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/bus/natsproc"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/canary"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/proc"
)

// place is what is attacked: processes that the tool started, or a server that
// ran already.
type place struct {
	dir     string // of logs; removed at the end
	members []*member
	vendor  *mimic.Vendor
	crew    *crew.Crew
	foreign *proc.Admin // operator's address of a server that ran already
	gates   []follow.Gateway
	rules   rules
}

// natsTimeout bounds one attempt to reach NATS.
const natsTimeout = 2 * time.Second

// Settings of what is started, so that limits are met only where that is meant.
const (
	ownMessages = 12
	ownWindow   = 10 * time.Second
	ownSlots    = 12_000
	keyVariable = "TROUPE_LOAD_VENDOR_KEY"
)

// newPlace takes the server at o.URL, or starts what the plan wants and returns
// when every process is ready.
func newPlace(ctx context.Context, p *Plan, o Options) (_ *place, err error) {
	w := &place{crew: &crew.Crew{}}
	if o.URL != "" {
		return w, w.visit(o)
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	troupe, err := findTroupe(o.Troupe)
	if err != nil {
		return nil, err
	}
	if w.dir, err = os.MkdirTemp("", "troupe-faults-"); err != nil {
		return nil, err
	}
	keys := canary.Keys()
	w.rules = rules{Own: true, Messages: ownMessages, Window: ownWindow, Slots: ownSlots, Keys: keys}
	if w.vendor, err = mimic.New(w.crew, keys); err != nil {
		return nil, err
	}
	if err := w.describe(p, o, troupe); err != nil {
		return nil, err
	}
	for _, m := range w.members {
		if err := m.start(ctx); err != nil {
			return nil, err
		}
	}
	return w, w.whole(ctx, p)
}

// visit is for a server that ran already.
func (w *place) visit(o Options) error {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || !slices.Contains([]string{"ws", "wss", "http", "https"}, u.Scheme) {
		return fmt.Errorf("--url: %q is no address; write it like ws://127.0.0.1:8000", o.URL)
	}
	secure := u.Scheme == "wss" || u.Scheme == "https"
	ws, web := "ws", "http"
	if secure {
		ws, web = "wss", "https"
	}
	base := u.Host + strings.TrimSuffix(u.Path, "/")
	w.gates = []follow.Gateway{{Name: o.URL, URL: ws + "://" + base}}
	w.foreign = &proc.Admin{Base: web + "://" + base, Token: o.AdminToken}
	if o.Admin != "" {
		w.foreign.Base = strings.TrimSuffix(o.Admin, "/")
	}
	return nil
}

// findTroupe is the server's binary: the one asked for, the one beside this
// program, or the one of PATH.
func findTroupe(asked string) (string, error) {
	if asked != "" {
		if _, err := os.Stat(asked); err != nil {
			return "", fmt.Errorf("--troupe: %w", err)
		}
		return filepath.Abs(asked)
	}
	name := "troupe"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if self, err := os.Executable(); err == nil {
		if beside := filepath.Join(filepath.Dir(self), name); isFile(beside) {
			return beside, nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return "", errors.New("no troupe beside this program nor in PATH; build it with make build, or name it with --troupe")
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// describe fills in the members, not yet started.
func (w *place) describe(p *Plan, o Options, troupe string) error {
	bus := ""
	if p.Start == StartFleet {
		m, err := w.nats(o)
		if err != nil {
			return err
		}
		w.members = append(w.members, m)
		bus = m.ws
		m.ws = ""
	}
	for _, name := range p.memberNames() {
		if name == memberNATS {
			continue
		}
		m, err := w.member(p, name, troupe, bus)
		if err != nil {
			return err
		}
		w.members = append(w.members, m)
		if m.ws != "" {
			w.gates = append(w.gates, follow.Gateway{Name: m.Name, URL: m.ws})
		}
	}
	return nil
}

// nats is this program again, as a NATS server.
func (w *place) nats(o Options) (*member, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	if len(o.NATS) == 0 {
		return nil, errors.New("there is no command that runs NATS")
	}
	ready := func(context.Context) error {
		nc, err := net.DialTimeout("tcp", addr, natsTimeout)
		if err == nil {
			err = nc.Close()
		}
		return err
	}
	m := &member{role: roleNATS, ws: "nats://" + addr, ready: ready}
	m.Name, m.Dir, m.Command = memberNATS, w.dir, append(slices.Clone(o.NATS), addr)
	return m, nil
}

func freeAddr() (string, error) {
	port, err := natsproc.FreePort()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}

func (w *place) member(p *Plan, name, troupe, bus string) (*member, error) {
	role, _, _ := strings.Cut(name, "-")
	m := &member{role: role}
	m.Name, m.Dir, m.Env = name, w.dir, []string{keyVariable + "=" + w.rules.Keys[0], "TROUPE_CONFIG="}
	adminAt, err := freeAddr()
	if err != nil {
		return nil, err
	}
	m.Admin = proc.Admin{Base: "http://" + adminAt}
	settings := map[string]string{
		"http.admin_listen": adminAt, "faults.enabled": "true", "log.format": "json", "default_provider": ProviderVendor,
		"providers.vendor.type": "openai", "providers.vendor.api_keys": "env:" + keyVariable, "providers.vendor.base_url": w.vendor.BaseURL(name),
		"limits.messages.max": strconv.Itoa(ownMessages), "limits.messages.window": ownWindow.String(),
		"limits.connections.max": "0", "limits.sessions.max": "0",
		"pool.max_connections": strconv.Itoa(ownSlots), "pool.max_per_ip": "0",
		"runs.keep": "3m", "runs.per_connection": "64",
	}
	if bus != "" {
		settings["bus.url"] = bus
	}
	if role != roleWorker {
		listen, err := freeAddr()
		if err != nil {
			return nil, err
		}
		settings["http.listen"] = listen
		m.ws = "ws://" + listen
	}
	for key, value := range p.Config {
		settings[key] = value
	}
	if p.Memory != "" {
		m.Env = append(m.Env, "GOMEMLIMIT="+p.Memory)
	}
	if p.Descriptors > 0 { // the shell lowers the limit for what it becomes
		m.Command = []string{"sh", "-c", "ulimit -n " + strconv.Itoa(p.Descriptors) + `; exec "$0" "$@"`}
	}
	m.Command = append(m.Command, troupe, role)
	for _, key := range sortedKeys(settings) {
		m.Command = append(m.Command, "--"+key+"="+settings[key])
	}
	return m, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// whole waits until every gateway knows every worker.
func (w *place) whole(ctx context.Context, p *Plan) error {
	for _, m := range w.of(roleGateway) {
		if err := m.Knows(ctx, p.Workers); err != nil {
			return err
		}
	}
	return nil
}

// of lists the members of roles.
func (w *place) of(roles ...string) (list []*member) {
	for _, m := range w.members {
		if slices.Contains(roles, m.role) {
			list = append(list, m)
		}
	}
	return list
}

// servers are all members but NATS.
func (w *place) servers() []*member { return w.of(roleServe, roleGateway, roleWorker) }

func (w *place) named(name string) *member {
	for _, m := range w.members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// logs returns what every process has written in all its lives.
func (w *place) logs() ([]proc.Sink, error) {
	if w.dir == "" {
		return nil, nil
	}
	return proc.Logs(w.dir)
}

// keep leaves the logs where they are when the place is closed, and says where.
func (w *place) keep() string {
	dir := w.dir
	w.dir = ""
	return dir
}

// close ends all of it at once.
func (w *place) close() {
	for _, m := range w.members {
		m.kill()
	}
	if w.vendor != nil {
		w.vendor.Close()
		w.crew.Wait()
	}
	if w.dir != "" {
		_ = os.RemoveAll(w.dir)
	}
}
