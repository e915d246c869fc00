package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"rollbook/internal/bulk"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// intake opens what brings packages into the district.
func (o *opened) intake(ctx context.Context) (*intake.Intake, error) {
	in := &intake.Intake{Store: o.Store, Who: whoami(), Limits: intake.Limits{}, Distance: bulk.Distance}
	for _, s := range intake.Settings {
		text, err := o.setting(ctx, s.Name)
		if err == nil {
			in.Limits[s.Name], err = strconv.Atoi(text)
		}
		if err != nil {
			return nil, err
		}
	}
	zone, err := o.setting(ctx, timeZone)
	if err == nil {
		in.Zone, err = time.LoadLocation(zone)
	}
	if err == nil {
		in.Calendar, err = o.calendar(ctx)
	}
	return in, err
}

// whoami is the person at this machine.
func whoami() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}

// arrive keeps a package, and gives it its number.
func (o *opened) arrive(ctx context.Context, path string) (int64, error) {
	name, err := filepath.Abs(path)
	if err != nil {
		return 0, err
	}
	id, err := o.Arrive(ctx, filepath.Base(name), whoami())
	if err == nil {
		err = bulk.Files(path, func(name string, r io.Reader) error { return o.Keep(ctx, id, name, r) })
	}
	if err == nil {
		err = o.KeptWhole(ctx, id)
	}
	return id, err
}

// offered opens a publication that was kept, as it was brought; close is to be called.
func (o *opened) offered(ctx context.Context, p store.Publication) (in *intake.Intake, offer intake.Offer,
	close func(), err error) {
	close = func() {}
	if in, err = o.intake(ctx); err != nil {
		return in, offer, close, err
	}
	doc, err := in.Document(ctx, p.ID)
	if err != nil {
		return in, offer, close, err
	}
	offer.Cause, offer.Found = cause(p.ID, p.Package),
		intake.Document{Reading: doc.Reading,
			Back: doc.Back}
	if doc.Back > 0 {
		back, err := o.Publication(ctx, doc.Back)
		if err == nil {
			offer.Back, err = o.leftBy(ctx, back)
		}
		return in, offer, close, err
	}
	pack, close, err := o.unpacked(ctx, p.ID, doc)
	if err != nil {
		return in, offer, close, err
	}
	meter, how := newMeter("checking"), intake.CheckOptions{SkipBad: doc.Reading["skip-bad"] == "true"}
	how.Progress = meter.rows
	checked, err := intake.Check(ctx, pack, o.stored(ctx), how)
	meter.done()
	remove := close
	close = func() { _ = checked.Close(); remove() }
	switch {
	case err != nil:
		return in, offer, close, err
	case checked.Problems.Total > 0 && !how.SkipBad:
		return in, offer, close, failure{fmt.Errorf("%s by now, the first is %s: correct them, and import "+
			"the package again", plural(checked.Problems.Total, "problem"), checked.Problems.List[0]),
			map[string]any{"problems": checked.Problems}}
	}
	offerOf(&offer, pack, checked)
	return in, offer, close, nil
}

// unpacked opens a package that was kept, as it was read when it was brought; close is to be called.
func (o *opened) unpacked(ctx context.Context, id int64, doc intake.Document) (pack *bulk.Package, close func(),
	err error) {
	close = func() {}
	sweep()
	dir, err := os.MkdirTemp("", unpackedName)
	if err != nil {
		return nil, close, err
	}
	close = func() { _ = os.RemoveAll(dir) }
	path := dir
	files, err := o.Files(ctx, id)
	if err == nil {
		err = o.Package(ctx, id, func(file string, r io.Reader) error {
			text := bufio.NewReader(r)
			if len(files) == 1 && isZip(text) {
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

// cause is how the journal names a publication.
func cause(id int64, name string) string { return fmt.Sprintf("publication %d, %s", id, name) }

// leftBy is the change (rev) at which the district was what a publication left.
func (o *opened) leftBy(ctx context.Context, p store.Publication) (int64, error) {
	if p.Rev > 0 {
		return p.Rev, nil
	}
	at, err := time.Parse(oneroster.TimeLayout, p.Decided) // it changed nothing
	if err != nil {
		return 0, err
	}
	return o.RevAt(ctx, at)
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

func publishCommand() *cobra.Command {
	var reason string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "publish N",
		Short: "Publish a publication that is held, whatever the guards say",
		Long: `Publish a publication that is held, whatever the guards say. It is planned against
the district as it is by now; its reason is kept with it.`,
		Args: cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			ctx := cmd.Context()
			p, err := o.publication(cmd, args[0])
			if err != nil {
				return err
			}
			if p.State != store.StateHeld {
				return fmt.Errorf("%w: only one that is held can be published%s",
					&store.StateError{ID: p.ID, State: p.State}, insteadOf(p.State))
			}
			in, offer, done, err := o.offered(ctx, p)
			defer done()
			if err != nil {
				return err
			}
			meter := newMeter("publishing")
			in.Progress = meter.phase
			doc, stamp, err := in.Release(ctx, p.ID, offer, reason)
			meter.done()
			if err != nil {
				return err
			}
			o.prune(ctx, cmd.ErrOrStderr())
			return sayPublished(cmd, asJSON, p.ID, doc, stamp)
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why it is right, for who asks later")
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

// insteadOf says what can be done with a publication that cannot be published.
func insteadOf(s store.State) string {
	switch s {
	case store.StatePlanning:
		return "; if the process that brought it was killed, import the package again"
	case store.StateSuperseded:
		return "; a later one was published instead: import a newer export"
	case store.StateRefused, store.StateDiscarded:
		return "; \"rollbook publications get\" gives its package, which can be imported again"
	case store.StatePublished:
		return "; \"rollbook rollback\" makes the district what it was then"
	}
	return ""
}

// outcomeOf is what became of a publication, or would, as programs are told of it.
func outcomeOf(id int64, state store.State, doc intake.Document, stamp string) map[string]any {
	return map[string]any{"publication": id, "state": state, "dateLastModified": stamp, "counts": doc.Counts,
		"fields": fieldsOf(doc), "objections": doc.Objections, "examples": doc.Examples, "falls": doc.Falls,
		"findings": doc.Findings, "worthALook": doc.Notes}
}

func sayPublished(cmd *cobra.Command, asJSON bool, id int64, doc intake.Document, stamp string) error {
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(outcomeOf(id, store.StatePublished, doc, stamp))
	}
	if err := tellDocument(cmd.OutOrStdout(), doc); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "publication %d is published\n", id)
	return err
}

func discardCommand() *cobra.Command {
	var reason string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "discard N",
		Short: "Throw away a publication that is held",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			p, err := o.publication(cmd, args[0])
			if err != nil {
				return err
			}
			in := &intake.Intake{Store: o.Store, Who: whoami()}
			if err := in.Discard(cmd.Context(), p.ID, reason); err != nil {
				return fmt.Errorf("%w: only one that is held can be discarded", err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"publication": p.ID,
					"state": store.StateDiscarded, "reason": reason})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(),
				"publication %d is discarded; the district is as it was\n", p.ID)
			return err
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for who asks later")
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

func rollbackCommand() *cobra.Command {
	var plan, asJSON bool
	cmd := &cobra.Command{
		Use:   "rollback N",
		Short: "Make the district what publication N left",
		Long: `Make the district what publication N left, as one more publication: readers of deltas
follow it. What clients have written into the gradebook since stays. The guards judge it
as any other; one that is held is published with "rollbook publish".

Exit codes: 0 published, 1 it could not be done, 2 the command line was wrong, 3 held and
nothing changed.`,
		Args: cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			ctx := cmd.Context()
			p, err := o.publication(cmd, args[0])
			if err != nil {
				return err
			}
			if p.State != store.StatePublished {
				return fmt.Errorf("%w: it left nothing to go back to",
					&store.StateError{ID: p.ID, State: p.State})
			}
			in, err := o.intake(ctx)
			if err != nil {
				return err
			}
			name := fmt.Sprintf("rollback to %d", p.ID)
			rev, err := o.leftBy(ctx, p)
			if err != nil {
				return err
			}
			offer := intake.Offer{Back: rev, Found: intake.Document{Back: p.ID}}
			if plan {
				doc, err := in.Plan(ctx, offer, nil)
				if err != nil {
					return err
				}
				if asJSON {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(outcomeOf(0, statePlanned, doc, ""))
				}
				err = tellDocument(cmd.OutOrStdout(), doc)
				fmt.Fprintln(cmd.ErrOrStderr(), "this is what would be changed: nothing was")
				return err
			}
			id, err := o.Arrive(ctx, name, in.Who)
			if err != nil {
				return err
			}
			offer.Cause = cause(id, name)
			doc, held, stamp, err := in.Offer(ctx, id, offer)
			switch {
			case err != nil:
				doc.Error = reasonOf(ctx, err)
				return failure{errors.Join(err, in.Refuse(ctx, id, doc)),
					map[string]any{"publication": id, "state": store.StateRefused}}
			case held && asJSON:
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(outcomeOf(id, store.StateHeld, doc, ""))
				return errors.Join(err, exitCode(exitHeld))
			case held:
				err = tellDocument(cmd.OutOrStdout(), doc)
				tellHeld(cmd.ErrOrStderr(), doc, id)
				return errors.Join(err, exitCode(exitHeld))
			}
			return sayPublished(cmd, asJSON, id, doc, stamp)
		}),
	}
	cmd.Flags().BoolVar(&plan, "plan", false, "tell what would be changed, and change nothing")
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}
