package rest

import (
	"errors"
	"io"
	"net/http"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/store"
)

// put creates or replaces a gradebook object. What a client leaves out the store
// fills in; a member that cannot be read is refused.
func (s *service) put(q *request) {
	body, err := io.ReadAll(http.MaxBytesReader(q.w, q.Body, maxBody))
	if err != nil {
		q.failWith(http.StatusRequestEntityTooLarge, oneroster.InvalidData,
			"the body is larger than 1 MiB, or it broke off")
		return
	}
	rec, problems, err := oneroster.Decode(q.route.Resource, body)
	if err != nil {
		q.fail(oneroster.InvalidData, err.Error())
		return
	}
	if err := oneroster.CheckID(q.vars["id"]); err != nil {
		q.fail(oneroster.InvalidData, "sourcedId: "+err.Error())
		return
	}
	rec.Values[oneroster.SourcedID] = q.vars["id"] // the path's id wins
	if len(problems) > 0 {
		q.fail(oneroster.InvalidData, oneroster.Describe(problems))
		return
	}
	stored, created, err := s.Store.Put(store.By(q.Context(), "client "+q.client), rec)
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

func (q *request) unprocessable(text string) {
	q.failWith(http.StatusUnprocessableEntity, oneroster.InvalidData, text)
}

// remove deletes a gradebook object.
func (s *service) remove(q *request) {
	err := s.Store.Delete(store.By(q.Context(), "client "+q.client), q.route.Resource, q.vars["id"])
	switch {
	case errors.Is(err, store.ErrNotFound):
		q.unknown()
	case err != nil:
		s.broken(q, err)
	default:
		q.header(http.StatusNoContent)
	}
}
