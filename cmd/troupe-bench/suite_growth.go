package main

import "context"

// growth is the cost of a chunk beside idle connections: none, some, and as many
// as fit.
func growth() suite {
	s := suite{name: "growth", times: fewer}
	names := [3]string{"beside none", "beside some", "beside as many as fit"}
	for i, k := range growthKeys() {
		s.sides = append(s.sides, side{"troupe serve " + names[i], func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.serve(ctx, longPing)
			if err != nil {
				return nil, err
			}
			if _, err := l.crowd(ctx, srv, l.plan.streams, l.plan.growth[i]); err != nil {
				return nil, err
			}
			cpu, err := l.pacedChunk(ctx, srv, "echo", l.plan.paced())
			return readings{k: cpu}, err
		}})
	}
	return s
}
