package rest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"rollbook/internal/edition"
	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/store"
)

// list answers one page of a collection. It is read whole, and then sent.
func (s *service) list(q *request) {
	parsed, err := query.Parse(q.route.Resource, q.URL.RawQuery)
	if err != nil {
		q.refuse(err)
		return
	}
	if !q.flags() && parsed.Filter.MentionsKey(oneroster.UserFlags) {
		q.fail(oneroster.InvalidFilter, q.route.Resource.Name+" has no field metadata."+
			oneroster.UserFlags+" for this client")
		return
	}
	q.page = &Page{Of: q.of(), Question: unpaged(q.URL.RawQuery), Limit: parsed.Limit, Offset: parsed.Offset}
	page, err := s.District.List(q.Context(), edition.Ask{
		Selection: store.Selection{Route: q.route, Vars: q.vars, Query: parsed},
		Client:    q.caller.Client, Base: q.base, Veiled: !q.flags(), Gzip: takesGzip(q.Request)})
	if err != nil {
		s.broken(q, err)
		return
	}
	defer page.Close()
	q.rows = page.Rows
	q.page.Total, q.page.Edition = page.Total, page.Edition
	h := q.w.Header()
	h.Set("X-Total-Count", strconv.Itoa(page.Total))
	if link := links(q.public, parsed.Limit, parsed.Offset, page.Total); link != "" {
		h.Set("Link", link)
	}
	if !page.AsOf.IsZero() {
		h.Set("Date", page.AsOf.UTC().Format(http.TimeFormat))
	}
	h.Set("X-Edition", strconv.FormatInt(page.Edition, 10))
	if page.Left > 0 {
		h.Set("X-Edition-Left", strconv.FormatInt(page.Left, 10))
	}
	end := string(append(q.appendWarnings([]byte{']'}, parsed.Warnings), '}'))
	if page.Encoding != "" {
		h.Set("Content-Encoding", page.Encoding)
	} else if size := page.Size(end); size != "" {
		h.Set("Content-Length", size)
	}
	q.header(http.StatusOK)
	// A disk that fails beneath a mapped file ends this answer, and not the service.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	// From here on an answer that breaks off must not look whole.
	err = page.Send(end, func(part []byte) error { return s.send(q, part) })
	if err != nil {
		s.Log.Error("list broke off", "request", q.id, "op", q.op, "error", err)
		panic(http.ErrAbortHandler)
	}
}

// of is the path of a list without the base, its ids as they are.
func (q *request) of() string {
	of := slices.Clone(q.route.Segments)
	for i, segment := range of {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			of[i] = url.PathEscape(q.vars[strings.TrimSuffix(name, "}")])
		}
	}
	return strings.Join(of, "/")
}

// takesGzip tells whether the reader takes gzip (RFC 9110 §12.5.3).
func takesGzip(r *http.Request) bool {
	for _, coding := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
			return weight == "" || err == nil && q > 0
		}
	}
	return false
}

// flags tells whether the caller may see the flags of users.
func (q *request) flags() bool { return q.caller.Holds([]string{oneroster.Flags}) }

// appendWarnings puts a statusInfoSet beside the data, only where there is
// something to tell: readers check that the list is the only key.
func (q *request) appendWarnings(buf []byte, warnings []query.Warning) []byte {
	if len(warnings) == 0 {
		return buf
	}
	var infos []oneroster.StatusInfo
	for _, w := range warnings {
		infos = append(infos, q.info("success", "warning", w.Minor, w.Text))
	}
	return append(append(buf, `,"statusInfoSet":`...), encode(infos)...)
}

// refuse answers a query that cannot be read.
func (q *request) refuse(err error) {
	var bad *query.Error
	if errors.As(err, &bad) {
		q.fail(bad.Minor, bad.Text)
		return
	}
	q.fail(oneroster.InvalidData, err.Error())
}

// one answers a single object.
func (s *service) one(q *request) {
	parsed, err := query.ParseFields(q.route.Resource, q.URL.RawQuery)
	if err != nil {
		q.refuse(err)
		return
	}
	sel := store.Selection{Route: q.route, Vars: q.vars, Query: parsed}
	buf, found := s.District.One(q.Context(), q.wrapped(), edition.Ask{Selection: sel, Base: q.base,
		Veiled: !q.flags()})
	if found {
		q.w.Header().Set("X-Total-Count", "1")
		q.wrap(http.StatusOK, buf, parsed)
		return
	}
	rec, err := s.Store.Get(q.Context(), sel)
	if errors.Is(err, store.ErrNotFound) {
		q.unknown()
		return
	}
	if err != nil {
		s.broken(q, err)
		return
	}
	q.w.Header().Set("X-Total-Count", "1")
	q.object(http.StatusOK, rec, parsed)
}

func (q *request) unknown() {
	q.fail(oneroster.UnknownObject, "there is no "+q.route.Resource.Name+" with the sourcedId "+
		strconv.Quote(q.vars["id"])+" here")
}

// object writes one object in its wrapper.
func (q *request) object(status int, rec oneroster.Record, parsed query.Query) {
	if !q.flags() {
		oneroster.Veil(rec.Resource, rec.Values)
	}
	q.wrap(status, oneroster.NewWriter(rec.Resource, q.base, parsed.Fields).Append(q.wrapped(), rec.Values),
		parsed)
}

// wrapped begins the wrapper of one object.
func (q *request) wrapped() []byte { return []byte(`{"` + q.route.Resource.Wrapper() + `":`) }

// wrap sends one object that stands in the begin of its wrapper.
func (q *request) wrap(status int, buf []byte, parsed query.Query) {
	q.rows = 1
	q.header(status)
	buf = q.appendWarnings(buf, parsed.Warnings)
	buf = append(buf, '}')
	q.bytes += int64(len(buf))
	if q.Method != http.MethodHead {
		_, _ = q.w.Write(buf) // a client that has gone is nobody to tell
	}
}

// links is the Link header of a page (RFC 8288): next, last, first, prev on one
// line. The query is the caller's own, but for limit and offset; last is where
// following next arrives, text for text.
func links(u *url.URL, limit, offset, total int) string {
	if total == 0 {
		return ""
	}
	address, rawQuery, _ := strings.Cut(u.String(), "?")
	address = inLink(address)
	at := func(offset int) string { return address + "?" + pagedQuery(rawQuery, limit, offset) }
	var parts []string
	add := func(rel string, offset int) { parts = append(parts, "<"+at(offset)+`>; rel="`+rel+`"`) }
	if offset+limit < total {
		add("next", offset+limit)
	}
	last := offset % limit
	if total > last {
		last += (total - 1 - last) / limit * limit
	} else {
		last = 0
	}
	add("last", last)
	add("first", 0)
	if offset > 0 {
		add("prev", max(0, offset-limit))
	}
	return strings.Join(parts, ", ")
}

// inLink writes what cannot stand in a Link header as percent escapes: signs that
// end a URL there, and every byte that is not ASCII.
func inLink(text string) string {
	var out strings.Builder
	out.Grow(len(text))
	for _, c := range []byte(text) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(",<>\"\\^`{}|", c) >= 0 {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

var spaces = strings.NewReplacer("%20", " ", "+", " ")

// pairName is the name of a pair of a query.
func pairName(pair string) string {
	key, _, _ := strings.Cut(pair, "=")
	return strings.TrimSpace(spaces.Replace(key))
}

// unpaged is a query without limit and offset.
func unpaged(raw string) string {
	pairs := slices.DeleteFunc(strings.Split(raw, "&"), func(pair string) bool {
		name := pairName(pair)
		return pair == "" || name == "limit" || name == "offset"
	})
	return strings.Join(pairs, "&")
}

// pagedQuery replaces limit and offset where the caller has them, and appends
// them where not.
func pagedQuery(raw string, limit, offset int) string {
	values := map[string]string{"limit": strconv.Itoa(limit), "offset": strconv.Itoa(offset)}
	var pairs []string
	for _, pair := range strings.Split(raw, "&") {
		if pair == "" {
			continue
		}
		name := pairName(pair)
		if name != "limit" && name != "offset" {
			pairs = append(pairs, inLink(pair))
			continue
		}
		if v := values[name]; v != "" {
			pairs = append(pairs, name+"="+v)
			values[name] = ""
		}
	}
	for _, name := range []string{"limit", "offset"} {
		if values[name] != "" {
			pairs = append(pairs, name+"="+values[name])
		}
	}
	return strings.Join(pairs, "&")
}
