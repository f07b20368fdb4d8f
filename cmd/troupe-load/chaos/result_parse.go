package chaos

import (
	"encoding/json"
	"fmt"
)

// ParseResult reads a Result that was written as JSON. ok is false where data is
// something else; one of another ResultSchema is an error.
func ParseResult(data []byte) (r *Result, ok bool, err error) {
	var head struct {
		Schema     *int             `json:"schema"`
		Invariants *json.RawMessage `json:"invariants"`
	}
	if json.Unmarshal(data, &head) != nil || head.Schema == nil || head.Invariants == nil {
		return nil, false, nil
	}
	if *head.Schema != ResultSchema {
		return nil, true, fmt.Errorf("has schema %d of fault runs, this troupe-load reads %d: use the version that wrote it", *head.Schema, ResultSchema)
	}
	r = new(Result)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, true, fmt.Errorf("is no whole result of a fault run: %w", err)
	}
	return r, true, nil
}
