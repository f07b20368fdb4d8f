package main

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/troupe-chat/troupe/config"
)

// deployed is one process as a file of deploy/ starts it.
type deployed struct {
	name  string
	args  []string // behind the program: the role first
	env   []string
	files map[string]string // what it can read
	grace time.Duration     // from SIGTERM to the kill
	admin string            // where its health is asked for
	limit string            // of its memory, as that file spells it; empty = it has none
}

// afterDrain is what a process is given besides worker.drain_timeout: the second
// that it may take for last words and goodbyes, and some for a busy machine.
const afterDrain = 5 * time.Second

func (d deployed) load(t *testing.T) *config.Config {
	t.Helper()
	flags, rest := config.SplitFlags(d.args[1:])
	require.Empty(t, rest, "%s: flags that nobody knows", d.name)
	c, r, err := config.Load(config.Sources{Args: flags, Env: d.env, ReadFile: func(name string) ([]byte, error) {
		if text, ok := d.files[name]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}})
	require.NoError(t, err, d.name)
	require.Empty(t, r.Warnings, d.name)
	if d.args[0] == roleWorker {
		for _, line := range c.WorkerCautions(r) {
			require.NotContains(t, line, "ignores", d.name)
		}
	}
	return c
}

// TestDeployedProcesses starts nothing: it reads every file of deploy/ that
// starts a process and lets the program judge its flags, variables and files.
func TestDeployedProcesses(t *testing.T) {
	image := dockerImage(t)
	all := slices.Concat([]deployed{image}, composed(t, image), units(t), supervised(t), pods(t, image))
	roles := map[string]int{}
	for _, d := range all {
		t.Run(d.name, func(t *testing.T) {
			role := d.args[0]
			require.Contains(t, []string{roleServe, roleGateway, roleWorker}, role)
			roles[role]++
			for _, pair := range d.env {
				name, value, _ := strings.Cut(pair, "=")
				if value == "" {
					continue // kept from it
				}
				require.True(t, strings.HasPrefix(name, "TROUPE_") || name == "OPENAI_API_KEY" || name == "GOMEMLIMIT", name)
				require.False(t, role == roleGateway && strings.HasSuffix(name, "API_KEY"), "a gateway asks no vendor: %s", name)
			}
			c := d.load(t)
			require.Equal(t, role == roleServe, c.Bus.URL == "", "the bus of a %s", role)
			require.Equal(t, d.admin, c.HTTP.AdminListen)
			require.Greater(t, d.grace, c.Worker.DrainTimeout+afterDrain)
		})
	}
	require.GreaterOrEqual(t, roles[roleGateway], 4)
	require.GreaterOrEqual(t, roles[roleWorker], 4)
}

// dockerImage is what `docker run` of the image starts, and what everything
// else that runs the image begins with.
func dockerImage(t *testing.T) deployed {
	t.Helper()
	d := deployed{name: "Dockerfile", grace: 40 * time.Second} // docker stop --time, as docs/troubleshooting.md has it
	text := strings.ReplaceAll(readDoc(t, "deploy/Dockerfile"), "\\\n", " ")
	_, final, found := strings.Cut(text, "\nFROM scratch\n")
	require.True(t, found, "the image holds nothing but the program")
	for line := range strings.Lines(final) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "ENV":
			d.env = append(d.env, strings.TrimSpace(rest))
		case "CMD":
			require.NoError(t, json.Unmarshal([]byte(rest), &d.args))
		}
	}
	d.admin = strings.TrimPrefix(d.env[0], "TROUPE_HTTP_ADMIN_LISTEN=")
	return d
}

func TestDockerfile(t *testing.T) {
	text := strings.ReplaceAll(readDoc(t, "deploy/Dockerfile"), "\\\n", " ")
	goMod := regexp.MustCompile(`(?m)^go (1\.\d+)`).FindStringSubmatch(readDoc(t, "go.mod"))
	require.Contains(t, text, "FROM golang:"+goMod[1]+" AS build")
	require.Contains(t, text, "CGO_ENABLED=0 ", "scratch has no C library")
	user := regexp.MustCompile(`(?m)^USER (\d+):(\d+)$`).FindStringSubmatch(text)
	require.NotNil(t, user, "a number: scratch has no users, and Kubernetes cannot judge a name")
	require.NotEqual(t, "0", user[1])
	require.Contains(t, text, "ca-certificates.crt", "vendors speak TLS")
	check := regexp.MustCompile(`(?m)^HEALTHCHECK .*CMD (\[.*\])$`).FindStringSubmatch(text)
	require.NotNil(t, check)
	var command []string
	require.NoError(t, json.Unmarshal([]byte(check[1]), &command))
	require.Equal(t, []string{"/troupe", "check", "--quick", "http://" + dockerImage(t).admin}, command)
	require.Contains(t, text, `ENTRYPOINT ["/troupe"]`)

	// What git knows is part of the build, else the version says dirty.
	for line := range strings.Lines(readDoc(t, ".dockerignore")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			require.Contains(t, readDoc(t, ".gitignore"), strings.TrimPrefix(line, "**/"))
		}
	}
}

// composed are the processes of the compose file that run the image.
func composed(t *testing.T, image deployed) (all []deployed) {
	t.Helper()
	var file struct {
		Services map[string]struct {
			Image       string            `yaml:"image"`
			Command     []string          `yaml:"command"`
			Environment map[string]string `yaml:"environment"`
			Grace       string            `yaml:"stop_grace_period"`
			Memory      string            `yaml:"mem_limit"`
			ReadOnly    bool              `yaml:"read_only"`
			CapDrop     []string          `yaml:"cap_drop"`
			Networks    yaml.Node         `yaml:"networks"` // a list, or a map with what they are told
			Volumes     []string          `yaml:"volumes"`
		} `yaml:"services"`
		Networks map[string]any `yaml:"networks"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(readDoc(t, "deploy/compose.yaml")), &file))
	for name, s := range file.Services {
		for _, n := range namesOf(t, s.Networks) {
			require.Contains(t, file.Networks, n, name)
		}
		for _, v := range s.Volumes {
			_, err := os.Stat(filepath.Join(repoRoot, "deploy", strings.Split(v, ":")[0]))
			require.NoError(t, err, name)
		}
		if s.Image != "troupe" {
			continue
		}
		require.True(t, s.ReadOnly, name)
		require.Equal(t, []string{"ALL"}, s.CapDrop, name)
		grace, err := time.ParseDuration(s.Grace)
		require.NoError(t, err, name)
		d := deployed{name: "compose " + name, args: s.Command, env: slices.Clone(image.env), grace: grace, admin: image.admin, limit: s.Memory}
		for k, v := range s.Environment {
			d.env = append(d.env, k+"="+v)
		}
		all = append(all, d)
	}
	require.Len(t, all, 4)
	return all
}

// namesOf reads what YAML may say as a list or as a map.
func namesOf(t *testing.T, n yaml.Node) (names []string) {
	t.Helper()
	if n.Kind == yaml.SequenceNode {
		require.NoError(t, n.Decode(&names))
		return names
	}
	var m map[string]any
	require.NoError(t, n.Decode(&m))
	require.NotEmpty(t, m)
	return slices.Collect(maps.Keys(m))
}

// unitOf reads a systemd unit or another file of its kind: section and key to
// values.
func unitOf(t *testing.T, text string) map[string][]string {
	t.Helper()
	keys := map[string][]string{}
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		require.True(t, ok, line)
		value, _, _ = strings.Cut(value, " ;")
		keys[section+"."+key] = append(keys[section+"."+key], strings.TrimSpace(value))
	}
	return keys
}

// instances are the names that the units' own comments start.
func instances() map[string]string {
	return map[string]string{"troupe": "", "troupe-gateway@": "8001", "troupe-worker@": "19101"}
}

// units are the processes of systemd.
func units(t *testing.T) (all []deployed) {
	t.Helper()
	admin := map[string]string{"troupe": "", "troupe-gateway@": "127.0.0.1:18001", "troupe-worker@": "127.0.0.1:19101"}
	for name, instance := range instances() {
		text := readDoc(t, "deploy/systemd/"+name+".service")
		require.Contains(t, text, "systemctl enable --now "+name+instance)
		u := unitOf(t, strings.ReplaceAll(text, "%i", instance))
		words := strings.Fields(u["Service.ExecStart"][0])
		require.Equal(t, "/usr/local/bin/troupe", words[0])
		seconds, err := strconv.Atoi(u["Service.TimeoutStopSec"][0])
		require.NoError(t, err)
		require.Equal(t, []string{"SIGTERM"}, u["Service.KillSignal"])
		require.Equal(t, []string{"on-failure"}, u["Service.Restart"])
		require.Equal(t, []string{"/bin/kill -HUP $MAINPID"}, u["Service.ExecReload"])
		require.Equal(t, []string{"yes"}, u["Service.DynamicUser"])
		limit, err := strconv.Atoi(u["Service.LimitNOFILE"][0])
		require.NoError(t, err)
		d := deployed{
			name: name + ".service", args: words[1:], grace: time.Duration(seconds) * time.Second, admin: admin[name],
			env: u["Service.Environment"], limit: strings.Join(u["Service.MemoryMax"], ""),
		}
		if instance != "" {
			require.Contains(t, text, "TROUPE_BUS_URL")
			d.env = append(d.env, "TROUPE_BUS_URL=tls://user:secret@nats.example.com:4222")
		}
		c := d.load(t)
		require.GreaterOrEqual(t, limit, c.Pool.MaxConnections+c.Worker.MaxRuns+descriptorReserve, "descriptors for the defaults")
		all = append(all, d)
	}
	return all
}

// TestSystemdUnits lets systemd itself read the units where it is installed.
func TestSystemdUnits(t *testing.T) {
	for _, d := range units(t) {
		require.NotEmpty(t, d.args)
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return // their keys were read above
	}
	program, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	var files []string
	for name, instance := range instances() {
		text := strings.ReplaceAll(readDoc(t, "deploy/systemd/"+name+".service"), "/usr/local/bin/troupe", program)
		file := filepath.Join(dir, name+instance+".service")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		files = append(files, file)
	}
	out, err := exec.CommandContext(t.Context(), analyze, append([]string{"verify", "--man=no"}, files...)...).CombinedOutput()
	require.NoError(t, err, string(out))
	require.NotContains(t, string(out), dir, "systemd has something to say about a unit")
}

// supervised are the processes of supervisord.
func supervised(t *testing.T) (all []deployed) {
	t.Helper()
	fill := strings.NewReplacer("%(process_num)d", "1", "%(ENV_GATEWAY_BUS_URL)s", "nats://nats:4222",
		"%(ENV_WORKER_BUS_URL)s", "nats://nats:4222", "%(ENV_OPENAI_API_KEY)s", "k")
	u := unitOf(t, fill.Replace(readDoc(t, "deploy/supervisor/troupe.conf")))
	for program, admin := range map[string]string{"troupe-gateway": "127.0.0.1:18001", "troupe-worker": "127.0.0.1:19101"} {
		of := func(key string) string { return strings.Join(u["program:"+program+"."+key], "") }
		seconds, err := strconv.Atoi(of("stopwaitsecs"))
		require.NoError(t, err)
		require.Equal(t, "TERM", of("stopsignal"))
		require.Equal(t, "0,2", of("exitcodes"))
		d := deployed{name: "supervisor " + program, args: strings.Fields(of("command"))[1:], grace: time.Duration(seconds) * time.Second, admin: admin}
		for _, m := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(of("environment"), -1) {
			d.env = append(d.env, m[1]+"="+m[2])
		}
		all = append(all, d)
	}
	return all
}

// TestFleetBalancers reads the balancers' files with the balancers themselves
// where they are installed, and compares what they send to with the fleet.
func TestFleetBalancers(t *testing.T) {
	var fleet []string
	for _, d := range composed(t, dockerImage(t)) {
		if d.args[0] == roleGateway {
			fleet = append(fleet, strings.TrimPrefix(d.name, "compose ")+":8000")
		}
	}
	slices.Sort(fleet)
	for name, check := range map[string][]string{
		"deploy/nginx/fleet.conf":  {"nginx", "-t", "-q", "-e", "stderr", "-c"},
		"deploy/haproxy/fleet.cfg": {"haproxy", "-c", "-q", "-f"},
	} {
		text := readDoc(t, name)
		require.Equal(t, fleet, regexp.MustCompile(`gateway-\d+:\d+`).FindAllString(text, -1), name)
		binary, err := exec.LookPath(check[0])
		if err != nil {
			continue
		}
		dir := t.TempDir()
		text = regexp.MustCompile(`gateway-\d+:`).ReplaceAllString(text, "127.0.0.1:") // names of the fleet's own network
		if check[0] == "nginx" {
			text = "pid " + filepath.Join(dir, "pid") + ";\nevents {}\nhttp {\naccess_log off;\n" + text + "}\n"
		}
		file := filepath.Join(dir, "conf")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		out, err := exec.CommandContext(t.Context(), binary, append(check[1:], file)...).CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
	}
}
