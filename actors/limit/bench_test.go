package limit

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

// keyCounts are how many keys a table holds, and takes in turn.
func keyCounts() []int { return []int{1, 100_000} }

// sessions are n names.
func sessions(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = strconv.Itoa(i)
	}
	return out
}

// BenchmarkWindows asks for what is admitted, of a table that knows all its keys:
// each comes back when its window has room.
func BenchmarkWindows(b *testing.B) {
	for _, n := range keyCounts() {
		b.Run(fmt.Sprintf("message/keys=%d", n), func(b *testing.B) {
			w, now, keys, i := NewWindows(Default()), start, sessions(n), 0
			pause := 3 * time.Second / time.Duration(n)
			ask := func() {
				now = now.Add(pause)
				w.Message(now, alice, keys[i%n])
				i++
			}
			for range n {
				ask()
			}
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
		b.Run(fmt.Sprintf("connect/keys=%d", n), func(b *testing.B) {
			w, now, keys, i := NewWindows(Default()), start, sessions(n), 0
			pause := 10 * time.Second / time.Duration(n)
			ask := func() {
				now = now.Add(pause)
				w.Connect(now, keys[i%n], "s", socket)
				i++
			}
			for range n {
				ask()
			}
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
	b.Run("message/refused", func(b *testing.B) {
		w := NewWindows(Default())
		for range 30 {
			w.Message(start, alice, "s")
		}
		b.ReportAllocs()
		for b.Loop() {
			w.Message(start, alice, "s")
		}
	})
	b.Run("message/flood", func(b *testing.B) { // the worst case: a full table, and every key is new
		w, keys, i := NewWindows(Default()), sessions(2*windowsKeys), 0
		for _, s := range keys {
			w.Message(start, alice, s)
		}
		b.ReportAllocs()
		for b.Loop() {
			w.Message(start, alice, keys[i%len(keys)])
			i++
		}
	})
	b.Run("sweep", func(b *testing.B) {
		w := NewWindows(Default())
		for _, s := range sessions(windowsKeys / 10) {
			w.Message(start, alice, s)
		}
		b.ReportAllocs()
		for b.Loop() {
			w.Sweep(start)
		}
	})
}

// BenchmarkLeases is one connection that comes and goes, beside as many as are
// held.
func BenchmarkLeases(b *testing.B) {
	for _, held := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("acquire+release/held=%d", held), func(b *testing.B) {
			l := NewLeases[guest](held+1, 0)
			for _, name := range sessions(held) {
				l.Acquire(guest{name, name, "s"})
			}
			owner := guest{"owner", alice, "s"}
			b.ReportAllocs()
			for b.Loop() {
				if ok, _ := l.Acquire(owner); !ok || !l.Release(owner) {
					b.Fatal("no slot")
				}
			}
		})
	}
}
