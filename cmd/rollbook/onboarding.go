package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"rollbook/internal/onboarding"
)

// An onboarder is one run of a verb that works on a folder of evidence.
type onboarder struct {
	*cobra.Command
	connection
	onboarding.Options
	folder   string
	removed  string // sourcedId of a pilot's student
	by, note string
	asJSON   bool
}

func onboardingCommand() *cobra.Command {
	o := &onboarder{}
	cmd := &cobra.Command{
		Use:   "onboarding",
		Short: "Gather what Microsoft asks for before a provider is let in, in a folder that can be sent",
		Long: `Onboarding walks the steps of Microsoft's onboarding with a OneRoster 1.1
provider, this one or another, and keeps the evidence in a folder: the form's
answers (onboarding.yaml), the verification of every endpoint, the full sync and
the delta proof, grades, the sandbox, two pilots, the sheet for customers, and
index.html, on which an engineer checks them line by line. A run goes on with
what is there. Secrets and names of people are in none of it.

  rollbook onboarding sds https://host/ims/oneroster/v1p1 --token-url https://host/token --client ID
  rollbook onboarding status

Exit codes: 0 everything is done, 1 something is missing or failed, 2 the command
line was wrong. docs/onboarding.md goes through it.`,
	}
	cmd.PersistentFlags().StringVar(&o.folder, "folder", "onboarding", "folder that holds the evidence")
	for _, p := range onboarding.Programmes {
		cmd.AddCommand(o.programme(p))
	}
	cmd.AddCommand(o.pilot(), o.tick(), o.statusCommand())
	return cmd
}

// programme makes the steps of one of Microsoft's programmes.
func (o *onboarder) programme(p onboarding.Programme) *cobra.Command {
	cmd := &cobra.Command{
		Use:   p.Name + " URL",
		Short: "Make the steps of " + p.Title + " that are not done yet",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.Name == "gradesync" && o.Teacher == "" {
				return usageError{errors.New("whose grades? give --teacher with an e-mail address or a " +
					"username of a made-up teacher: grades are written, and taken away again")}
			}
			return o.run(cmd, args[0], func(ctx context.Context, f *onboarding.Folder) error {
				return f.Run(ctx, p, o.Options)
			})
		},
	}
	o.connected(cmd)
	cmd.Flags().BoolVar(&o.Again, "again", false, "make the steps anew that are done already")
	if p.Name == "gradesync" {
		cmd.Flags().StringVar(&o.Teacher, "teacher", "",
			"e-mail address or username of the teacher whose grades are written")
	}
	return cmd
}

// pilot pulls a pilot's service once.
func (o *onboarder) pilot() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pilot NAME URL",
		Short: "Pull a pilot customer's service once, and add what came to the pilot's record",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !onboarding.PilotName(args[0]) {
				return usageError{fmt.Errorf("a pilot's name becomes that of a file: %q is not of small "+
					"letters, digits and hyphens", args[0])}
			}
			return o.run(cmd, args[1], func(ctx context.Context, f *onboarding.Folder) error {
				return f.Pilot(ctx, args[0], o.removed, o.Options)
			})
		},
	}
	o.connected(cmd)
	cmd.Flags().StringVar(&o.removed, "removed", "",
		"sourcedId of a student who was removed since the last run: sees that readers are told")
	return cmd
}

// tick notes what a person did.
func (o *onboarder) tick() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tick ITEM",
		Short: "Note that a person did something: handed-over, or PILOT/mass-change and the like",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(o.by) == "" {
				return usageError{errors.New("who did it? give --by with a name")}
			}
			return o.status(cmd, func(f *onboarding.Folder) error {
				if err := f.Tick(args[0], o.by, o.note); err != nil {
					return usageError{err}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&o.by, "by", "", "who did it")
	cmd.Flags().StringVar(&o.note, "note", "", "a remark")
	o.jsonFlag(cmd)
	return cmd
}

// statusCommand tells what is missing.
func (o *onboarder) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		Aliases: []string{"sheet"},
		Short:   "Tell what is missing, and write the pages and the sheet for customers anew; calls nobody",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.status(cmd, func(*onboarding.Folder) error { return nil })
		},
	}
	o.jsonFlag(cmd)
	return cmd
}

func (o *onboarder) connected(cmd *cobra.Command) {
	o.connection.flags(cmd)
	personalFlag(cmd, &o.Personal)
	o.jsonFlag(cmd)
}

func (o *onboarder) jsonFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print the lines as JSON")
}

// run opens the folder and the service, asks what is not answered, and works.
func (o *onboarder) run(cmd *cobra.Command, url string,
	work func(context.Context, *onboarding.Folder) error) error {
	ctx := cmd.Context()
	o.Command = cmd
	meter := newMeter("reading")
	o.Options.Note = func(text string) { meter.line(cmd.ErrOrStderr(), "note: "+plainly(text)) }
	o.Options.Progress = meter.phase
	o.Options.Command = calledAs(cmd, cmd.Flags().Args())
	var err error
	if o.Provider, err = o.open(url); err != nil {
		return err
	}
	o.Provider.Note = veiled(o.Provider, o.Personal, o.Options.Note)
	f, err := onboarding.Open(o.folder, version(), time.Now())
	if err != nil {
		return err
	}
	if isatty.IsTerminal(os.Stdin.Fd()) && isatty.IsTerminal(os.Stderr.Fd()) {
		if err := askFor(f, os.Stdin, cmd.ErrOrStderr()); err != nil {
			return err
		}
	}
	if n := f.Answers.Holds(o.Secret); n > 0 {
		return fmt.Errorf("%s/onboarding.yaml:%d holds the client's secret, and this folder is sent on: "+
			"take it out, and make a new secret if it was sent already", o.folder, n)
	}
	collectSooner()
	err = work(ctx, f)
	meter.done()
	if ctx.Err() != nil { // the pages have what was done until then
		_, wrong := f.WritePages()
		return errors.Join(ctx.Err(), wrong)
	}
	told := o.tell(f)
	if code := exitCode(0); err != nil && errors.As(told, &code) {
		told = nil // the error is to be told
	}
	return errors.Join(elsewhere(ctx, o.Provider, err), told)
}

// status works on a folder that is there.
func (o *onboarder) status(cmd *cobra.Command, work func(*onboarding.Folder) error) error {
	o.Command = cmd
	if !onboarding.Known(o.folder) {
		return fmt.Errorf("%s is no folder of an onboarding: rollbook onboarding sds URL … begins one, and "+
			"--folder names another", o.folder)
	}
	f, err := onboarding.Open(o.folder, version(), time.Now())
	if err != nil {
		return err
	}
	if err := work(f); err != nil {
		return err
	}
	return o.tell(f)
}

// mostNext is how many next steps a screen shows.
const mostNext = 8

// tell writes the pages, and what they come to.
func (o *onboarder) tell(f *onboarding.Folder) error {
	s, err := f.WritePages()
	if err != nil {
		return err
	}
	incomplete := error(exitCode(exitFailed))
	if s.Whole {
		incomplete = nil
	}
	w := o.OutOrStdout()
	if o.asJSON {
		return errors.Join(json.NewEncoder(w).Encode(s), incomplete)
	}
	out := newTable(w)
	out.AppendHeader(table.Row{"", "done", "missing", "failed"})
	for _, section := range s.Sections {
		n := map[onboarding.State]int{}
		for _, l := range section.Lines {
			n[l.State]++
		}
		out.AppendRow(table.Row{section.Title, n[onboarding.Done], n[onboarding.Missing],
			n[onboarding.Failed]})
	}
	out.Render()
	for _, l := range s.Lines {
		if l.State == onboarding.Failed {
			fmt.Fprintf(w, "failed: %s\n  %s\n", plainly(l.Asks), plainly(l.Says))
		}
	}
	fmt.Fprintln(w, s.Verdict())
	for i, next := range s.Next {
		if i == mostNext {
			fmt.Fprintf(w, "  … and %d more in %s/index.html\n", len(s.Next)-i, o.folder)
			break
		}
		fmt.Fprintf(w, "  %d. %s\n", i+1, plainly(next))
	}
	fmt.Fprintf(w, "line by line: %s/index.html and index.md; for customers: go-public.html and "+
		"go-public.md\n", o.folder)
	return incomplete
}

// askFor asks what is not answered yet. An empty line leaves a question for later.
func askFor(f *onboarding.Folder, in io.Reader, out io.Writer) error {
	open := f.Unanswered()
	if len(open) == 0 {
		return nil
	}
	fmt.Fprintf(out, "%d questions are open. An empty line leaves one for later; %s/onboarding.yaml keeps "+
		"the answers.\n", len(open), f.Path)
	lines := bufio.NewScanner(in)
	for _, q := range open {
		for {
			fmt.Fprintf(out, "\n%s\n  such as: %s\n%s: ", q.Asks, q.Such, q.Key)
			if !lines.Scan() {
				fmt.Fprintln(out)
				return lines.Err()
			}
			if strings.TrimSpace(lines.Text()) == "" {
				break
			}
			wrong, err := f.Answer(q, lines.Text())
			if err != nil {
				return err
			}
			if wrong == "" {
				break
			}
			fmt.Fprintln(out, "  "+plainly(wrong))
		}
	}
	return nil
}
