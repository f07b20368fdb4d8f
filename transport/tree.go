package transport

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const actorsPath = "/api/debug/actors"

// Tree shows which actors live in the process and how they stand. It does not
// block, whatever they do.
type Tree interface {
	// Actors answers one question. protocol.ErrNoActor is 404, every other error
	// a mistake in the question, told as it is.
	Actors(q protocol.ActorsQuery) (protocol.Actors, error)
}

// actors answers GET /api/debug/actors.
func (s *Server) actors(w http.ResponseWriter, r *http.Request) {
	q, err := actorsQuery(r.URL.RawQuery)
	if err != nil {
		answerStatus(w, http.StatusBadRequest, sentence(err))
		return
	}
	a, err := s.tree.Actors(q)
	switch {
	case errors.Is(err, protocol.ErrNoActor):
		answerStatus(w, http.StatusNotFound, sentence(err))
	case err != nil:
		answerStatus(w, http.StatusBadRequest, sentence(err))
	default:
		answerJSON(w, http.StatusOK, a)
	}
}

// actorsQuery reads what was asked, or says what it cannot mean.
func actorsQuery(raw string) (q protocol.ActorsQuery, err error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, errors.New("the query is not well formed")
	}
	for name, given := range values {
		if len(given) > 1 || given[0] == "" {
			return q, errors.New("the query names something twice, or without a value")
		}
		switch name {
		case "kind":
			q.Kind = given[0]
		case "id":
			q.ID = given[0]
		case "limit":
			if q.Limit, err = strconv.Atoi(given[0]); err != nil || q.Limit < 1 || q.Limit > protocol.MaxActorsListed {
				return q, fmt.Errorf("limit is a whole number from 1 to %d", protocol.MaxActorsListed)
			}
		default:
			return q, errors.New("this address takes kind, limit and id")
		}
	}
	if q.ID != "" && (q.Kind != "" || q.Limit != 0) || q.Kind == "" && q.Limit != 0 {
		return q, errors.New("limit belongs to kind, and id stands alone")
	}
	return q, nil
}

// sentence makes an error what a person is answered.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
