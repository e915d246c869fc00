package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"rollbook/internal/bulk"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/words"
)

// A package tells the check of its files.
var _ intake.Package = (*bulk.Package)(nil)

// An Import is the way of one package into a district: it is kept, read once and checked, planned
// against what is stored, judged, and published or held.
type Import struct {
	District *District
	In       *intake.Intake // as the district is set
	Path     string         // of the package, a zip or a folder
	Name     string         // of the package, for people; "" is the last part of its path
	Options  bulk.Options
	Encoding string // that Options has, by its name
	How      intake.CheckOptions
	Only     bool                  // planned only: nothing is changed
	Looked   func(err error) error // hears when the check has ended; may be nil

	// What has become of it, as far as it has come.
	ID       int64         // of the publication; 0 where none has arrived
	Kept     bool          // the package, whole
	Package  *bulk.Package // nil where it cannot be opened
	Checked  *intake.Checked
	Problems intake.Problems
	Document intake.Document // its Error is why it was refused
	Held     bool
	Stamp    string // dateLastModified of what it changed; ""
	Untidy   error  // what is older than it should be is still kept
}

// A ProblemsError: a package has problems, and none may be passed over.
type ProblemsError struct{ N int }

func (e *ProblemsError) Error() string {
	return words.Count(e.N, "problem") + ": nothing was changed; correct them, or take in the rest with " +
		"--skip-bad"
}

// Interrupted is why a publication was given up whose process was told to end.
const Interrupted = "it was interrupted"

// Reason is an error as it is kept with a publication.
func Reason(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return Interrupted
	}
	return err.Error()
}

// Run takes the package in. With an error nothing is changed, and the publication, where there is one,
// is refused. Close is to be called.
func (i *Import) Run(ctx context.Context) error {
	err := i.run(ctx)
	if err == nil || i.ID == 0 || errors.As(err,
		new(*store.StateError)) { // another one was published meanwhile
		return err
	}
	i.Document.Error = Reason(ctx, err)
	return errors.Join(err, i.In.Refuse(ctx, i.ID, i.Document))
}

func (i *Import) run(ctx context.Context) (err error) {
	i.Name = cmp.Or(i.Name, filepath.Base(i.Path))
	if !i.Only {
		if err := i.arrive(ctx); err != nil {
			return err
		}
	}
	offer, err := i.check(ctx)
	i.Document = offer.Found
	if err != nil {
		return err
	}
	if i.Only {
		i.Document, err = i.In.Plan(ctx, offer, nil)
		return err
	}
	i.Document, i.Held, i.Stamp, err = i.In.Offer(ctx, i.ID, offer)
	if err == nil {
		i.Untidy = i.District.Tidy(ctx)
	}
	return err
}

// Close removes what was put aside of the package.
func (i *Import) Close() error {
	var err error
	if i.Checked != nil {
		err = i.Checked.Close()
	}
	if i.Package != nil {
		err = errors.Join(err, i.Package.Close())
	}
	return err
}

// arrive keeps the package, and gives it its number.
func (i *Import) arrive(ctx context.Context) (err error) {
	d := i.District
	if i.ID, err = d.Arrive(ctx, i.Name, i.In.Who); err != nil {
		return err
	}
	err = bulk.Files(i.Path, func(name string, r io.Reader) error { return d.Keep(ctx, i.ID, name, r) })
	if err == nil {
		err = d.KeptWhole(ctx, i.ID)
	}
	i.Kept = err == nil
	return err
}

// check reads the package, and makes an offer of it.
func (i *Import) check(ctx context.Context) (offer intake.Offer, err error) {
	offer.Found.Reading = map[string]string{"skip-bad": fmt.Sprint(i.How.SkipBad), "encoding": i.Encoding}
	if i.Package, err = bulk.Open(i.Path, i.Options); err != nil {
		return offer, err
	}
	i.Checked, err = intake.Check(ctx, i.Package, i.District.stored(ctx), i.How)
	i.Problems = i.Checked.Problems
	if err == nil && i.Problems.Total > 0 {
		offer.Found.Problems, err = json.Marshal(i.Problems)
	}
	if i.Looked != nil {
		err = errors.Join(err, i.Looked(err))
	}
	if err != nil {
		return offer, err
	}
	offerOf(&offer, i.Package, i.Checked)
	offer.Cause = Cause(i.ID, i.Name)
	if i.Problems.Total > 0 && !i.How.SkipBad {
		return offer, &ProblemsError{i.Problems.Total}
	}
	return offer, nil
}

// offerOf fills in what is offered of a package.
func offerOf(offer *intake.Offer, p *bulk.Package, checked *intake.Checked) {
	for _, n := range checked.Rows {
		offer.Rows += n
	}
	offer.Source, offer.Partial, offer.Format = checked, p.Tells(), p.Format()
	offer.Columns, offer.Unread = p.Columns(checked.Modes())
}

// stored answers what the check of a package asks of the district.
func (d *District) stored(ctx context.Context) intake.Stored {
	return intake.Stored{
		IDs: func(r *oneroster.Resource, yield func(id string) error) error {
			return d.ActiveIDs(ctx, r, yield)
		},
		Known: func(r *oneroster.Resource, id string) (bool, error) { return d.Known(ctx, r, id) },
		Count: func(r *oneroster.Resource, filter string) (int, error) {
			return d.CountActive(ctx, r, filter)
		},
	}
}

// Cause is how the journal names a publication.
func Cause(id int64, name string) string { return fmt.Sprintf("publication %d, %s", id, name) }
