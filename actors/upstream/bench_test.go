package upstream

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// BenchmarkEnterDone is one caller alone: what a call pays for being counted.
func BenchmarkEnterDone(b *testing.B) {
	for _, n := range []int{1, 4} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			s := Settings{Room: 64, RoomPerKey: 32, Queue: 64, Patience: time.Second}
			for i := range n {
				s.Keys = append(s.Keys, named(fmt.Sprint("key", i))...)
			}
			l := New(s, nil)
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				c, err := l.Enter(ctx, Ask{Owner: "o", Model: "m"}, nil)
				if err != nil {
					b.Fatal(err)
				}
				c.Done(Outcome{Kind: Good})
			}
		})
	}
}
