package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/user"

	"github.com/spf13/cobra"

	"rollbook/internal/host"
	"rollbook/internal/intake"
	"rollbook/internal/store"
)

// whoami is the person at this machine.
func whoami() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}

// offered opens a publication that was kept, as it was brought; done is to be called.
func (o *opened) offered(ctx context.Context, p store.Publication) (in *intake.Intake, offer intake.Offer,
	done func(), err error) {
	if in, err = o.Intake(ctx, whoami()); err != nil {
		return in, offer, func() {}, err
	}
	meter := newMeter("checking")
	offer, done, err = o.Offered(ctx, p, in, meter.rows)
	meter.done()
	if wrong := new(host.NowWrong); errors.As(err, &wrong) {
		err = failure{err, map[string]any{"problems": wrong.Problems}}
	}
	return in, offer, done, err
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
			o.tidy(cmd)
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
			in, err := o.Intake(ctx, whoami())
			if err != nil {
				return err
			}
			name := fmt.Sprintf("rollback to %d", p.ID)
			rev, err := o.LeftBy(ctx, p)
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
			offer.Cause = host.Cause(id, name)
			doc, held, stamp, err := in.Offer(ctx, id, offer)
			switch {
			case err != nil:
				doc.Error = host.Reason(ctx, err)
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
