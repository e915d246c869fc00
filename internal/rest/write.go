package rest

import (
	"errors"
	"io"
	"net/http"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/store"
)

// put creates or replaces a gradebook object. What a client got wrong in
// members that the store can fill in (dates, scoreStatus) is passed over; what
// carries the grade itself is refused.
func (s *service) put(q *request) {
	body, err := io.ReadAll(http.MaxBytesReader(q.w, q.Body, maxBody))
	if err != nil {
		q.failWith(http.StatusRequestEntityTooLarge, oneroster.InvalidData, "the body is larger than 1 MiB, or it broke off")
		return
	}
	rec, problems, err := oneroster.Decode(q.route.Resource, body)
	if err != nil {
		q.fail(oneroster.InvalidData, err.Error())
		return
	}
	if err := oneroster.CheckID(q.vars["id"]); err != nil {
		q.unprocessable("sourcedId: " + err.Error())
		return
	}
	rec.Values[oneroster.SourcedID] = q.vars["id"] // the path's id wins
	var grave []oneroster.Problem
	for _, p := range problems {
		if !forgiven[p.Field] {
			grave = append(grave, p)
		}
	}
	if len(grave) > 0 {
		q.unprocessable(oneroster.Describe(grave))
		return
	}
	stored, created, err := s.Store.Put(q.Context(), rec)
	var refused *store.Refused
	switch {
	case errors.As(err, &refused):
		q.unprocessable(refused.Error())
	case err != nil:
		s.broken(q, err)
	case created:
		q.object(http.StatusCreated, stored, query.Query{})
	default:
		q.object(http.StatusOK, stored, query.Query{})
	}
}

// forgiven are the members whose unreadable values are as good as absent:
// published clients send templates that they did not fill in.
var forgiven = map[string]bool{"sourcedId": true, "assignDate": true, "dueDate": true, "scoreDate": true, "scoreStatus": true, "metadata": true}

func (q *request) unprocessable(text string) {
	q.failWith(http.StatusUnprocessableEntity, oneroster.InvalidData, text)
}

// remove deletes a gradebook object.
func (s *service) remove(q *request) {
	err := s.Store.Delete(q.Context(), q.route.Resource, q.vars["id"])
	switch {
	case errors.Is(err, store.ErrNotFound):
		q.unknown()
	case err != nil:
		s.broken(q, err)
	default:
		q.header(http.StatusNoContent)
	}
}
