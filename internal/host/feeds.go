package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"rollbook/internal/bulk"
	"rollbook/internal/feed"
	"rollbook/internal/intake"
	"rollbook/internal/notify"
	"rollbook/internal/oneroster"
	"rollbook/internal/outlet"
	"rollbook/internal/source"
	"rollbook/internal/store"
	"rollbook/internal/words"
)

// Feeds are what the district does by itself.
func (d *District) Feeds(log *slog.Logger) *feed.Feeds {
	return &feed.Feeds{Store: d.Store, Log: log, Kinds: map[store.FeedKind]feed.Kind{
		store.FeedSource:  d.Sources(),
		store.FeedSandbox: lives{d},
		store.FeedOutlet:  &outlet.Outlets{Store: d.Store, Key: d.Key, Zone: d.Zone},
		store.FeedNotify:  &notify.Notifiers{Store: d.Store, Key: d.Key, Zone: d.Zone},
	}}
}

// Reschedule says anew when each feed is due, since the district's time zone is another.
func (d *District) Reschedule(ctx context.Context, now time.Time) error {
	all, err := d.Store.Feeds(ctx, "")
	if err != nil {
		return err
	}
	kinds := d.Feeds(nil).Kinds
	for _, f := range all {
		if f.Due == "" || f.Due <= oneroster.FormatTime(now) {
			continue // by hand, or due anyway
		}
		if err := d.Schedule(ctx, f.Kind, f.Name, kinds[f.Kind].Next(f, now)); err != nil {
			return err
		}
	}
	return nil
}

// Sources bring packages into the district.
func (d *District) Sources() *source.Sources {
	return &source.Sources{Key: d.Key, Zone: d.Zone, Take: d.take}
}

// take takes in what a source has brought.
func (d *District) take(ctx context.Context, p source.Package) (run store.Run, err error) {
	who := "source " + p.Source
	ctx = store.Acting(ctx, who)
	i := &Import{District: d, Path: p.Path, Name: p.Name, Encoding: p.Settings.Encoding,
		How: intake.CheckOptions{SkipBad: p.Settings.SkipBad}}
	if i.In, err = d.Intake(ctx, who); err != nil {
		return run, err
	}
	if i.Encoding != "" {
		if i.Options.Encoding, err = bulk.Encoding(i.Encoding); err != nil {
			return run, err
		}
	}
	defer i.Close()
	err = i.Run(ctx)
	run.Publication = i.ID
	switch {
	case err != nil && (ctx.Err() != nil || i.Document.Error == ""):
		return run, errors.Join(context.Cause(ctx), err)
	case err != nil && i.Problems.Total > 0:
		run.State = store.RunRefused
		run.Text = fmt.Sprintf("publication %d is refused: %s in the package; rollbook publications show "+
			"%d lists them",
			i.ID, words.Count(i.Problems.Total, "problem"), i.ID)
	case err != nil:
		run.State = store.RunRefused
		run.Text = fmt.Sprintf("publication %d is refused: rollbook publications show %d tells why", i.ID,
			i.ID)
	case i.Held:
		run.State = store.RunHeld
		run.Text = fmt.Sprintf("publication %d is held: %s; rollbook publications show %d", i.ID,
			i.Document.Plainly(), i.ID)
	default:
		run.Text = fmt.Sprintf("publication %d is published: %s", i.ID, counted(i.Document))
		if i.Problems.Total > 0 {
			run.Text += fmt.Sprintf("; %s, whose rows or values were left as they are",
				words.Count(i.Problems.Total, "problem"))
		}
	}
	return run, nil
}

// counted is what a publication changed.
func counted(doc intake.Document) string {
	added, changed, retired := 0, 0, 0
	for _, c := range doc.Counts {
		added, changed, retired = added+c["added"], changed+c["changed"], retired+c["retired"]
	}
	return fmt.Sprintf("%s added, %s changed, %s retired", words.Thousands(added), words.Thousands(changed),
		words.Thousands(retired))
}
