package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rollbook/internal/bulk"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/words"
)

// A NowWrong publication was kept when its package had no problems; by now it has some.
type NowWrong struct{ Problems intake.Problems }

func (e *NowWrong) Error() string {
	return fmt.Sprintf("%s by now, the first is %s: correct them, and import the package again",
		words.Count(e.Problems.Total, "problem"), e.Problems.List[0])
}

// Offered opens a publication that was kept, as it was brought; done is to be called. checking hears of
// the rows that are read; it may be nil.
func (d *District) Offered(ctx context.Context, p store.Publication, in *intake.Intake,
	checking func(rows int)) (offer intake.Offer, done func(), err error) {
	done = func() {}
	doc, err := in.Document(ctx, p.ID)
	if err != nil {
		return offer, done, err
	}
	offer.Cause, offer.Found = Cause(p.ID, p.Package), intake.Document{Reading: doc.Reading, Back: doc.Back}
	if doc.Back > 0 {
		back, err := d.Publication(ctx, doc.Back)
		if err == nil {
			offer.Back, err = d.LeftBy(ctx, back)
		}
		return offer, done, err
	}
	pack, done, err := d.unpacked(ctx, p.ID, doc)
	if err != nil {
		return offer, done, err
	}
	how := intake.CheckOptions{SkipBad: doc.Reading["skip-bad"] == "true", Progress: checking}
	checked, err := intake.Check(ctx, pack, d.stored(ctx), how)
	remove := done
	done = func() { _ = checked.Close(); remove() }
	switch {
	case err != nil:
		return offer, done, err
	case checked.Problems.Total > 0 && !how.SkipBad:
		return offer, done, &NowWrong{checked.Problems}
	}
	offerOf(&offer, pack, checked)
	return offer, done, nil
}

// unpacked opens a package that was kept, as it was read when it was brought; close is to be called.
func (d *District) unpacked(ctx context.Context, id int64, doc intake.Document) (pack *bulk.Package,
	close func(), err error) {
	close = func() {}
	sweep()
	dir, err := os.MkdirTemp("", unpackedName)
	if err != nil {
		return nil, close, err
	}
	close = func() { _ = os.RemoveAll(dir) }
	path := dir
	files, err := d.Files(ctx, id)
	if err == nil {
		err = d.Store.Package(ctx, id, func(file string, r io.Reader) error {
			text := bufio.NewReader(r)
			if len(files) == 1 && IsZip(text) {
				path = filepath.Join(dir, filepath.Base(file))
			}
			f, err := os.OpenFile(filepath.Join(dir, filepath.Base(file)), os.O_CREATE|os.O_EXCL|os.O_WRONLY,
				0o600)
			if err != nil {
				return err
			}
			_, err = io.Copy(f, text)
			return errors.Join(err, f.Close())
		})
	}
	opt := bulk.Options{}
	if name := doc.Reading["encoding"]; err == nil && name != "" {
		opt.Encoding, err = bulk.Encoding(name)
	}
	if err == nil {
		pack, err = bulk.Open(path, opt)
	}
	if err != nil {
		return nil, close, err
	}
	return pack, func() { _ = pack.Close(); _ = os.RemoveAll(dir) }, nil
}

// IsZip looks at how a file begins: no CSV file begins so.
func IsZip(r *bufio.Reader) bool {
	begin, _ := r.Peek(4) // what is shorter is none
	return string(begin) == "PK\x03\x04" || string(begin) == "PK\x05\x06"
}

// Said is what the package of a publication says of some records of a resource, by their ids;
// store.ErrNotKept where it is not kept any more.
func (d *District) Said(ctx context.Context, p store.Publication, r *oneroster.Resource, ids []string) (
	map[string]string, error) {
	if !p.Kept {
		return nil, nil
	}
	doc, err := (&intake.Intake{Store: d.Store}).Document(ctx, p.ID)
	if err != nil || doc.Back > 0 {
		return nil, err
	}
	pack, done, err := d.unpacked(ctx, p.ID, doc)
	defer done()
	if err != nil {
		return nil, err
	}
	file, _ := pack.File(r)
	said, wanted := map[string]string{}, map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
		if pack.Modes()[r] == oneroster.Bulk {
			said[id] = file + " lacks it"
		}
	}
	if pack.Modes()[r] == oneroster.Absent {
		return nil, nil
	}
	found, at := errors.New("found"), slices.Index(oneroster.Resources(), r)
	err = pack.Records(ctx, func(row oneroster.Row) error {
		id := row.Values[oneroster.SourcedID]
		switch {
		case len(wanted) == 0 || slices.Index(oneroster.Resources(), row.Resource) > at:
			return found // parents come first
		case row.Resource != r || !wanted[id]:
			return nil
		}
		said[id] = fmt.Sprintf("%s has it on line %d", file, row.Line)
		if row.Values[oneroster.Status] == oneroster.ToBeDeleted {
			said[id] = fmt.Sprintf("%s says tobedeleted of it on line %d", file, row.Line)
		}
		delete(wanted, strings.Clone(id))
		return nil
	})
	if errors.Is(err, found) {
		err = nil
	}
	return said, err
}

// LeftBy is the change (rev) at which the district was what a publication left.
func (d *District) LeftBy(ctx context.Context, p store.Publication) (int64, error) {
	if p.Rev > 0 {
		return p.Rev, nil
	}
	at, err := time.Parse(oneroster.TimeLayout, p.Decided) // it changed nothing
	if err != nil {
		return 0, err
	}
	return d.RevAt(ctx, at)
}

// unpackedName begins the names of folders that packages are unpacked into.
const unpackedName = "rollbook-publication-"

// sweep removes such folders that a killed program left a day ago or longer.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), unpackedName+"*")) // the pattern is right
	for _, dir := range left {
		if info, err := os.Lstat(dir); err == nil && info.IsDir() &&
			time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(dir) // another user's stays
		}
	}
}
