package wire

import (
	"errors"
	"fmt"
)

// A Walk is one way through a list, page by page, to its end. Providers have several notions
// of that, and cut pages below the limit; this is the only one that readers here have.
type Walk struct {
	Limit  int // rows that are asked for
	Most   int // rows after which the list is given up as endless; 0 is no bound
	Offset int // of the next page

	top   string // the first row of the page before: its id, or all of one without
	empty int    // pages without rows that came one after another
}

// mostEmpty is how many pages without rows, which say that more follow, are passed over: a filter that
// is applied to each page by itself makes such.
const mostEmpty = 10

// ErrMost is a list of more rows than are to be read.
var ErrMost = errors.New("read at most: given up")

// Next takes the page at Offset, and tells whether it is the last. A short one is, unless
// the provider says that there is more: then it gives fewer rows a page than were asked for.
// Of one that tells neither a count nor a next page, it is the page without rows. Of one that does not
// count, and has a next page behind one without rows, it is the last of a few such. Where
// offset is paid no heed to, and the first page was all, that page came again: Offset stays.
func (w *Walk) Next(page Page) (last bool, err error) {
	n, first := len(page.Objects), w.Offset
	if page.Total >= 0 && first/2-w.Limit > page.Total {
		return false, fmt.Errorf("X-Total-Count is %d, and %d rows have come: it is not of all rows, or the pages do "+
			"not end", page.Total, first)
	}
	if n > 0 {
		top := page.Objects[0].ID()
		if top == "" {
			top = page.Objects[0].Canonical()
		}
		if first > 0 && top == w.top {
			if page.Total < 0 && !page.More && n < w.Limit {
				return true, nil
			}
			return false, fmt.Errorf("two pages begin with the same row %q: the provider pays no heed to "+
				"offset", top)
		}
		w.top = top
	}
	w.Offset += n
	if n > 0 {
		w.empty = 0
	}
	switch {
	case w.Most > 0 && page.Total > w.Most:
		return false, fmt.Errorf("X-Total-Count is %d, and %d rows are %w", page.Total, w.Most, ErrMost)
	case w.Most > 0 && w.Offset > w.Most:
		return false, fmt.Errorf("%d rows have come, more follow, and %d are %w", w.Offset, w.Most, ErrMost)
	case n == 0 && page.More && page.Total < 0 && w.empty < mostEmpty:
		w.empty++
		w.Offset += w.Limit
		return false, nil
	case n == 0:
		return true, nil
	case page.More || n >= w.Limit:
		return false, nil
	case page.Total >= 0:
		return w.Offset >= page.Total, nil
	}
	return page.Linked, nil
}
