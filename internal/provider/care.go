package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rollbook/internal/wire"
)

// Careful makes a call as often as it takes, within Tries: a server that is
// busy (429, 503) is given the time that it asks for, one that fails or hangs up
// is asked again a little later, a token that has ended is renewed. What comes
// back is an answer of status 200, 201, 204 or 404, or a sentence that says what
// stands in the way. A redirect, a refusal and a web page are not asked again.
// read, when set, reads an answer of status 200 or 201; a *Trouble of kind
// BrokenOff from it is an answer that was cut short, and asked for again.
func (p *Provider) Careful(ctx context.Context, c Call, read func(*Answer) error) (*Answer, error) {
	renewed := false
	a, tries, err := p.repeat(ctx, func() (*Answer, error, bool) {
		a, err := p.Do(ctx, c)
		if !renewed && p.Forget(a) {
			renewed = true
			p.refused.Do(func() {
				p.Note(fmt.Sprintf("%s: the token is no longer taken; asking for a new one, as often as it is so",
					a.Line()))
			})
			a, err = p.Do(ctx, c)
		}
		if err == nil {
			err = Judge(a)
		}
		if err == nil && read != nil && (a.Status == http.StatusOK || a.Status == http.StatusCreated) {
			err = read(a)
		}
		return a, err, err != nil && again(a, err)
	})
	if err == nil || ctx.Err() != nil {
		return a, err
	}
	if tries > 1 {
		kind := Refused
		if t, ok := errors.AsType[*Trouble](err); ok {
			kind = t.Kind
		}
		err = trouble(kind, "%v (tried %d times)", err, tries)
	}
	return a, a.In(err)
}

// Busy tells an answer of a server that asks to come again later.
func (a *Answer) Busy() bool {
	return a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable
}

// Patient makes a call as Do does, and again, within Tries, where the server is
// busy.
func (p *Provider) Patient(ctx context.Context, c Call) (*Answer, error) {
	a, _, err := p.repeat(ctx, func() (*Answer, error, bool) {
		a, err := p.Do(ctx, c)
		return a, err, err == nil && a.Busy()
	})
	return a, err
}

// repeat asks within Tries for as long as another try may do better, and tells
// how often it did. Between two it waits, as long as it is asked to.
func (p *Provider) repeat(ctx context.Context, ask func() (a *Answer, err error, again bool)) (*Answer, int,
	error) {
	wait := p.Wait
	for try := 1; ; try++ {
		a, err, again := ask()
		if !again || try >= p.Tries || ctx.Err() != nil {
			return a, try, err
		}
		pause := wait
		if t, ok := errors.AsType[*Trouble](err); ok && t.after > 0 {
			pause = max(t.after, p.Wait)
		} else if asked, ok := retryAfter(a); ok {
			pause = max(asked, p.Wait)
		}
		why := fmt.Sprintf("busy (%d)", a.Status)
		if err != nil {
			why = err.Error()
		}
		p.Note(fmt.Sprintf("%s: %s; trying again in %v (%d of %d)", a.Line(), why, pause.Round(time.Millisecond),
			try+1, p.Tries))
		select {
		case <-ctx.Done():
			return a, try, ctx.Err()
		case <-time.After(pause):
		}
		wait *= 2
	}
}

// List reads one page of a collection with care. wrappers are the keys that the
// list may come under.
func (p *Provider) List(ctx context.Context, path, query string, wrappers ...string) (wire.Page, *Answer,
	error) {
	var page wire.Page
	a, err := p.Careful(ctx, Call{Path: path, Query: query}, func(a *Answer) (err error) {
		page, err = a.List(wrappers...)
		return err
	})
	if err == nil && a.Status != http.StatusOK {
		err = a.In(a.Refusal())
	}
	return page, a, err
}

// Judge tells what is wrong with a whole answer, as a *Trouble; nil for JSON of
// status 200 or 201, for 204 and for 404.
func Judge(a *Answer) error {
	switch a.Status {
	case http.StatusOK, http.StatusCreated:
		if !a.looksJSON() {
			return trouble(NotJSON, "this is not JSON but %s: %s", a.kind(), a.Excerpt())
		}
		return nil
	case http.StatusNoContent, http.StatusNotFound:
		return nil
	}
	if to := a.Header.Get("Location"); a.Status/100 == 3 && to != "" {
		return trouble(Redirected, "redirected (%d) to %s: readers lose their credentials on the way; "+
			"answer at this address", a.Status, to)
	}
	if a.Status == http.StatusNotModified {
		return trouble(Refused,
			"answered 304 (not modified) to a request that set no condition: is a cache in front?")
	}
	return a.Refusal()
}

// Refusal is an answer of no use, as a *Trouble. Of a signed request that is not
// taken it tells what was signed: the two sides compare that.
func (a *Answer) Refusal() error {
	text := fmt.Sprintf("answered %d: %s", a.Status, a.Said())
	if a.Signed != "" && a.Status == http.StatusUnauthorized {
		text += "; the base string that was signed is " + a.Signed
	}
	return &Trouble{Kind: Refused, Text: text}
}

// looksJSON tells whether a body can be JSON: anything that begins like it. The
// Content-Type is not asked: a reader that wants rows takes them.
func (a *Answer) looksJSON() bool {
	text := strings.TrimLeft(string(a.Body[:min(len(a.Body), 512)]), " \t\r\n\ufeff")
	return len(a.Body) == 0 || strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")
}

// kind names what came instead of JSON.
func (a *Answer) kind() string {
	t := a.Header.Get("Content-Type")
	switch {
	case strings.Contains(t, "html") || strings.HasPrefix(a.Excerpt(), "<"):
		return "a web page (a login page, or an error page of a proxy?)"
	case t != "":
		return t
	}
	return "something else"
}

// again tells whether another try may do better.
func again(a *Answer, err error) bool {
	switch a.Status {
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusTooEarly:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	if a.Status >= http.StatusInternalServerError {
		return true
	}
	t, ok := errors.AsType[*Trouble](err)
	return ok && t.Passing()
}

// longestWait bounds what a Retry-After header can make us wait.
const longestWait = 2 * time.Minute

// retryAfter reads the Retry-After header (RFC 9110 §10.2.3): seconds, of
// however many digits, or a date by the server's own clock.
func retryAfter(a *Answer) (time.Duration, bool) {
	text := strings.TrimSpace(a.Header.Get("Retry-After"))
	if n, err := strconv.ParseUint(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(n, uint64(longestWait/time.Second))) * time.Second, true
	}
	if at, err := http.ParseTime(text); err == nil {
		now, err := http.ParseTime(a.Header.Get("Date"))
		if err != nil {
			now = time.Now()
		}
		return min(max(0, at.Sub(now)), longestWait), true
	}
	return 0, false
}
