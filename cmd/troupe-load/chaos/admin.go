package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/proc"
)

// inject sets a fault and returns its id.
func inject(ctx context.Context, a proc.Admin, s Spec) (string, error) {
	text, err := a.Ask(ctx, http.MethodPost, "/api/debug/faults", s)
	if errors.Is(err, proc.ErrAbsent) {
		return "", fmt.Errorf("%w: it needs faults.enabled, and --admin with its http.admin_listen or --admin-token with its http.admin_token", err)
	}
	if err != nil {
		return "", err
	}
	var made struct {
		ID string `json:"id"`
	}
	err = json.Unmarshal([]byte(text), &made)
	return made.ID, err
}

// hit is one time that an injection did something.
type hit struct {
	At    time.Time `json:"at"`
	Actor string    `json:"actor"`
}

// hitsOf returns how often an injection hit, and the newest ones.
func hitsOf(ctx context.Context, a proc.Admin, id string) (int, []hit, error) {
	text, err := a.Get(ctx, "/api/debug/faults")
	if err != nil {
		return 0, nil, err
	}
	var list struct {
		Faults []struct {
			ID   string `json:"id"`
			Hit  int    `json:"hit"`
			Last []hit  `json:"last"`
		} `json:"faults"`
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return 0, nil, err
	}
	for _, f := range list.Faults {
		if f.ID == id {
			return f.Hit, f.Last, nil
		}
	}
	return 0, nil, fmt.Errorf("the server does not know its fault %s any more", id)
}

// actor is one that the live tree lists.
type actor struct {
	ID         string `json:"actor"`
	RunID      string `json:"run_id"`
	Connection string `json:"connection"` // its name in the log
}

// actorsOf lists those of one kind.
func actorsOf(ctx context.Context, a proc.Admin, kind string) ([]actor, error) {
	text, err := a.Get(ctx, "/api/debug/actors?limit=10000&kind="+kind)
	if err != nil {
		return nil, err
	}
	var list struct {
		List []actor `json:"list"`
	}
	err = json.Unmarshal([]byte(text), &list)
	return list.List, err
}
