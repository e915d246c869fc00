package outlet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/source"
	"rollbook/internal/store"
)

// Provider is a service that takes PUT and DELETE.
type Provider struct{ source.Service }

type api struct {
	*Provider
	p *provider.Provider
}

// atOnce is how many records of one resource are offered at a time.
const atOnce = 4

func (s *Provider) place(secrets source.Secrets) (Place, error) {
	c := s.Config(secrets)
	c.Timeout, c.Tries, c.Wait = 30*time.Second, 4, firstWait
	p, err := provider.New(c)
	return &api{s, p}, err
}

// firstWait is before the second try of a call; tests set it.
var firstWait = time.Second

func (a *api) Test(ctx context.Context) (string, error) {
	page, _, err := a.p.List(ctx, "/lineItems", provider.Query("limit", "1", "offset", "0"), "lineItems")
	if err != nil {
		return "", err
	}
	if page.Total >= 0 {
		return fmt.Sprintf("it has %d lineItems", page.Total), nil
	}
	return "it has a gradebook", nil
}

// Deliver puts and deletes one resource after the other: parents are there before what hangs on them, and
// gone after it.
func (a *api) Deliver(ctx context.Context, d *Delivery) (no []store.Undelivered, err error) {
	for _, part := range parts(d.Put) {
		more, err := a.each(ctx, part, a.put)
		if no = append(no, more...); err != nil {
			return no, err
		}
	}
	for _, part := range parts(d.Deleted) {
		more, err := a.each(ctx, part, a.remove)
		if no = append(no, more...); err != nil {
			return no, err
		}
	}
	return no, nil
}

// parts are the records of each resource in turn.
func parts(all []store.Grade) (out [][]store.Grade) {
	for i, g := range all {
		if i == 0 || all[i-1].Resource != g.Resource {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], g)
	}
	return out
}

// downAfter is how many calls in a row fail before the other side is taken to be down, or the client not to
// be allowed anything.
const downAfter = 8

// errForbidden is an answer of 403: to one record, or to all that the client may do.
var errForbidden = errors.New("forbidden")

// each does something with some records at a time, none of which is there twice. One that fails is offered
// again the next time; many in a row end it.
func (a *api) each(ctx context.Context, all []store.Grade, do func(context.Context, store.Grade) (string,
	error)) (no []store.Undelivered, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var work sync.WaitGroup
	next, inRow, taken := make(chan store.Grade), 0, false
	for range atOnce {
		work.Go(func() {
			for g := range next {
				words, wrong := do(ctx, g)
				mu.Lock()
				inRow++
				passing := wrong != nil && !errors.Is(wrong, errForbidden)
				switch {
				case wrong == nil:
					inRow, taken = 0, taken || words == ""
				case inRow >= downAfter && (passing || !taken) && err == nil:
					err = fmt.Errorf("%s %s: %w", g.Resource.Name, g.ID(), wrong)
					cancel()
					fallthrough
				default:
					words = wrong.Error()
				}
				if words != "" {
					no = append(no, store.Undelivered{Resource: g.Resource.Plural, ID: g.ID(), On: hangsOn(g),
						Words: words, At: time.Now().UTC(), Passing: passing})
				}
				mu.Unlock()
			}
		})
	}
	for _, g := range all {
		select {
		case next <- g:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	work.Wait()
	if err == nil {
		err = ctx.Err()
	}
	return no, err
}

// hangsOn is the key of what a record cannot be without, and that is written before it; "" where that is
// nothing.
func hangsOn(g store.Grade) string {
	switch g.Resource.Name {
	case "result":
		return "lineItems/" + g.Get("lineItem")
	case "lineItem":
		return "categories/" + g.Get("category")
	}
	return ""
}

func (a *api) path(g store.Grade) string {
	return "/" + g.Resource.Plural + "/" + oneroster.EscapeID(g.ID())
}

// put offers a record. What comes back are the words of a refusal; an error is tried again later.
func (a *api) put(ctx context.Context, g store.Grade) (words string, err error) {
	body := []byte(`{"` + g.Resource.Wrapper() + `":`)
	body = oneroster.NewWriter(g.Resource, a.p.URL, nil).Append(body, g.Values)
	answer, err := a.p.Careful(ctx, provider.Call{Method: http.MethodPut, Path: a.path(g),
		Body:   append(body, '}'),
		Header: http.Header{"Content-Type": {"application/json"}}}, nil)
	return refusal(answer, err, false)
}

func (a *api) remove(ctx context.Context, g store.Grade) (words string, err error) {
	answer, err := a.p.Careful(ctx, provider.Call{Method: http.MethodDelete, Path: a.path(g)}, nil)
	return refusal(answer, err, true)
}

// refusal tells what the other side will not take, however often it is asked, from what it may take later:
// a token that is not taken, a server that fails, is busy or away.
func refusal(answer *provider.Answer, err error, deleted bool) (words string, _ error) {
	var trouble *provider.Trouble
	switch s := answer.Status; {
	case err == nil && s == http.StatusNotFound && deleted, err == nil && s != http.StatusNotFound:
		return "", nil
	case err == nil: // PUT of what hangs on something that is not there, or to a path that is not served
		return "404: " + answer.Said(), nil
	case s == http.StatusForbidden:
		return "", fmt.Errorf("%w: %w", errForbidden, err)
	case s == http.StatusUnauthorized || s == http.StatusTooManyRequests || s == http.StatusRequestTimeout ||
		s < 400 || s >= 500:
		return "", err
	case errors.As(err, &trouble):
		return trouble.Text, nil
	}
	return err.Error(), nil
}
