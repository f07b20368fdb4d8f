package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// report is a table with what is needed to read it.
type report struct {
	table   *table
	options options
	took    time.Duration
	machine machine
}

// print writes the short form: where, and the table.
func (r report) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s\n\n%s\n\n", r.machine, r.medians())
	if err != nil {
		return err
	}
	return r.table.print(w)
}

func (r report) medians() string {
	return fmt.Sprintf("Medians of %d interleaved rounds (idle memory and growth: %d, churn: 1), %s in all. A ratio is the median of the rounds' own ratios.",
		r.options.plan.rounds, fewer(r.options.plan), r.took.Round(time.Second))
}

// writePage writes the long form to path, and its pictures into img/ beside it.
func (r report) writePage(path string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmarks\n\n%s\n\n", pageIntro)
	fmt.Fprintf(&b, "## The machine\n\n%s\n\n## The figures\n\n%s\n\n", r.machine.list(), r.medians())
	if err := r.table.print(&b); err != nil {
		return err
	}
	dir := filepath.Join(filepath.Dir(path), "img")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range r.table.pictures(r.options.plan) {
		fmt.Fprintf(&b, "\n![%s](img/%s)\n", p.title, p.file)
		if err := os.WriteFile(filepath.Join(dir, p.file), []byte(p.svg), 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(&b, "\n## One figure alone\n\n%s", commands())
	fmt.Fprintf(&b, "\n%s", pageHow)
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// list is the machine for the page.
func (m machine) list() string {
	return fmt.Sprintf("| | |\n|---|---|\n| date | %s |\n| processor | %s, %d cores |\n| system | %s, kernel %s |\n| compiler | %s |\n| commit | %s |\n| `websocket.reader` | %s |",
		m.date, m.processor, m.cores, m.system, m.kernel, m.compiler, m.commit, m.reader)
}

// commands are the command of every suite.
func commands() string {
	var b strings.Builder
	b.WriteString("| suite | what | command |\n|---|---|---|\n")
	for _, s := range suites() {
		var sides []string
		for _, side := range s.sides {
			sides = append(sides, side.name)
		}
		fmt.Fprintf(&b, "| %s | %s | `go run ./cmd/troupe-bench -only %q` |\n", s.name, strings.Join(sides, "; "), s.name)
	}
	return b.String()
}

const pageIntro = "This page is written by `make bench`, which measures everything anew in one run. Every figure stands beside a *floor*: the\n" +
	"least program that does the same job, measured by turns with ours under the same load. A ratio to a floor says more than a\n" +
	"number: it survives a slower machine. Every floor is a small program in [cmd/troupe-bench](../cmd/troupe-bench)."

const pageHow = `## The floors

| floor | what it does | what it leaves out |
|---|---|---|
| [bare write loop](../cmd/troupe-bench/floor_writes.go) | a listener, a gobwas upgrade, one goroutine per socket that writes frames made beforehand, by a ticker where there is a pace | everything else |
| [bare SSE reader](../cmd/troupe-bench/floor_reader.go) | net/http and bufio read the vendor's streams and count the lines that begin with ` + "`data:`" + ` | JSON, text, whoever wants it |
| [plain relay](../cmd/troupe-bench/floor_relay.go) | three processes: sockets with a goroutine each and one NATS subscription that writes a frame per message; nats-server; [one worker](../cmd/troupe-bench/floor_relay_worker.go) that publishes a message per word | actors, admission, limits, bounds, pings, resume, memory of the conversation |
| net/http + bare upgrade | net/http and gobwas ` + "`UpgradeHTTP`" + ` | admission, origin, routes, the log |
| parked goroutine | the bare write loop's socket after one answer | everything that makes it a chat |

The [vendor](../cmd/troupe-bench/vendor.go) is a process of its own that speaks OpenAI's wire: an event per write and per
pace, or 8 KiB at a time where there is no pace. It is not measured.

## How it is measured

- Troupe runs as it is built, ` + "`serve`" + ` in one process, or ` + "`gateway`, `worker`" + ` and nats-server in three. Limits, pool and log are
  on; the limits are far away, and no lag is too long (` + "`overload.lag`" + `). Clients live in the bench's own process, each with a session and a loopback address of its own,
  so that limits keep a key for each.
- CPU is user and system time of the one process that is named, read from the outside to the nanosecond
  (` + "`clock_getcpuclockid`" + `). Paced answers start
  one after the other, over 25 paces, and last 140; figures of them are of the time in which all of them stream: no start, no end.
- Every answer is compared with what was due, byte by byte. A lost, doubled or reordered text, or 30 seconds without one, fails
  the suite: figures that are here are of answers that all arrived whole. Where the server refused a question, as a machine that
  is busy otherwise provokes it, the measurement is thrown away and taken anew, and the table says so.
- A ratio is the median of the rounds' own ratios, and goals are judged by it; the goals' lines in the pictures stand at so many
  times the median of the floor, which under a restless load is not quite the same.
- A text is a word as the provider said it. The firehose counts texts and not frames: words that wait for a busy socket share a
  frame, and a write. Its first answer warms up and is not counted.
- From the question to the first chunk: from before the write of the question to after the read of the chunk, one question
  after the other on one open socket, 1 to 4 ms apart. The first tenth warms up. It is the whole time, nothing is subtracted.
- The delay of a chunk: with a model like ` + "`echo-20ms-140w-clock`" + ` each word is the time at which the worker said it; the client
  takes the time after the read that brought it. One short answer each warms up. Clients, NATS, worker and gateway share the processors, on both sides alike.
- Handshakes: connect, upgrade and admission, until the server has all of them and has turned none away.
- Idle memory: each connection has had one answer. Private memory is what the system has given to the process alone
  (` + "`smaps_rollup`" + `), garbage and spare room included; live is heap and stacks in use after collections. Ended runs are let go of
  after 1 s (` + "`runs.keep`" + `). The kernel's own memory for a socket is in neither.
- Churn: a quarter of the connections chat, some leave in the middle of an answer, half go without a goodbye, 32 at once. What is
  left, of the heap the live objects after collections, is compared with what a fifth as many left before, when counting windows (5 s here) and runs had ended in both cases.
- Growth: paced streams beside idle connections that are admitted and silent; pings are 10 minutes apart.
`
