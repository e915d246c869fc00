package main

import (
	"archive/zip"
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/host"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// shownPublications is how many are listed unless told more.
const shownPublications = 30

func publicationsCommand() *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "publications",
		Short: "List what was brought to be published, and what became of it",
		Long: `List what was brought to be published, and what became of it, the newest first. A
publication is published, held (it waits for a person), refused, discarded, superseded
(another one was published instead), or still being planned; one that is after an hour
is broken off: its process was killed, and the district is as it was.`,
		Args: cobra.NoArgs,
		RunE: withDistrict(func(cmd *cobra.Command, _ []string, o *opened) error {
			limit := shownPublications + 1
			if all {
				limit = 0
			}
			list, err := o.Publications(cmd.Context(), limit)
			if err != nil {
				return err
			}
			more := !all && len(list) == limit
			if more {
				list = list[:shownPublications]
			}
			if asJSON {
				out := []map[string]any{}
				for _, p := range list {
					out = append(out, membersOf(p))
				}
				return json.NewEncoder(cmd.OutOrStdout()).Encode(out)
			}
			if err := tellPublications(cmd.OutOrStdout(), list); err != nil || !more {
				return err
			}
			_, err = fmt.Fprintln(cmd.ErrOrStderr(), "… and earlier ones; --all lists all")
			return err
		}),
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	cmd.Flags().BoolVar(&all, "all", false, fmt.Sprintf("all of them, not the newest %d", shownPublications))
	cmd.AddCommand(publicationsShow(), publicationsGet())
	return cmd
}

func tellPublications(w io.Writer, list []store.Publication) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "nothing was brought to be published yet")
		return err
	}
	out := newTable(w)
	out.AppendHeader(table.Row{"no", "when", "package", "by", "added", "changed", "retired", "state"})
	for _, p := range list {
		row := table.Row{p.ID, localTime(p.At), p.Package, p.By, "", "", "", stateOf(p)}
		if p.State == store.StatePublished { // of others it is not known here
			row[4], row[5], row[6] = p.Added, p.Changed, p.Retired
		}
		out.AppendRow(row)
	}
	out.Render()
	return nil
}

// longestPlan is how long a plan may take: one of a million enrollments takes minutes.
const longestPlan = time.Hour

// brokenOff tells that nobody plans a publication any more: whoever did was killed, or
// its machine went down.
func brokenOff(p store.Publication) bool {
	at, err := time.Parse(oneroster.TimeLayout, p.At)
	return err == nil && p.State == store.StatePlanning && time.Since(at) > longestPlan
}

// stateOf is the state of a publication as a person is told of it.
func stateOf(p store.Publication) string {
	if brokenOff(p) {
		return "broken off"
	}
	return string(p.State)
}

// localTime writes a time of the store as the clock on the wall shows it.
func localTime(stamp string) string {
	at, err := time.Parse(oneroster.TimeLayout, stamp)
	if err != nil {
		return stamp // "" is never
	}
	return at.Local().Format("2006-01-02 15:04")
}

// membersOf is a publication as programs are told of it.
func membersOf(p store.Publication) map[string]any {
	return map[string]any{"publication": p.ID, "at": p.At, "package": p.Package, "by": p.By,
		"state": p.State, "decided": p.Decided, "decider": p.Decider, "reason": p.Reason,
		"dateLastModified": p.Stamp, "rows": p.Rows, "added": p.Added, "changed": p.Changed,
		"retired": p.Retired, "bytes": p.Bytes, "kept": p.Kept, "brokenOff": brokenOff(p)}
}

func publicationsShow() *cobra.Command {
	var asJSON, asCSV bool
	cmd := &cobra.Command{
		Use:   "show NO",
		Short: "Tell all that is known of a publication",
		Long: `Tell all that is known of a publication: what it did, or would do, and what the guards
object to. --csv writes a row for each record and field: of one that is published as it
was before and after it, of any other as its package would change the district by now.`,
		Args: cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			if asJSON && asCSV {
				return usageError{errors.New("--json and --csv exclude each other")}
			}
			p, err := o.publication(cmd, args[0])
			if err != nil {
				return err
			}
			verdict, err := o.Verdict(cmd.Context(), p.ID)
			if err != nil {
				return err
			}
			if asJSON {
				members := membersOf(p)
				if members["verdict"] = nil; verdict != nil {
					members["verdict"] = json.RawMessage(verdict)
				}
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(members)
			}
			if asCSV {
				return o.tellRowsOf(cmd, p)
			}
			tellPublication(cmd.OutOrStdout(), p)
			var doc intake.Document
			if verdict == nil {
				return nil
			}
			if err := json.Unmarshal(verdict, &doc); err != nil {
				return fmt.Errorf("publication %d: what was found of it cannot be read: %w", p.ID, err)
			}
			return tellDocument(cmd.OutOrStdout(), doc)
		}),
	}
	jsonFlag(cmd, &asJSON, "print JSON, with all that was found as its verdict")
	cmd.Flags().BoolVar(&asCSV, "csv", false, "write each record and field that differs, old and new")
	return cmd
}

// publication finds the one of a number that a person writes.
func (o *opened) publication(cmd *cobra.Command, no string) (store.Publication, error) {
	id, err := strconv.ParseInt(no, 10, 64)
	if err != nil || id < 1 {
		return store.Publication{}, usageError{fmt.Errorf("%q is no number of a publication: "+
			"rollbook publications lists them", no)}
	}
	p, err := o.Publication(cmd.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("there is no publication %d: rollbook publications --all lists them", id)
	}
	return p, err
}

func tellPublication(w io.Writer, p store.Publication) {
	out := newTable(w)
	row := func(name string, value any) {
		if value != "" {
			out.AppendRow(table.Row{name, value})
		}
	}
	row("publication", p.ID)
	row("package", p.Package)
	row("brought by", p.By)
	row("when", localTime(p.At))
	row("state", stateOf(p))
	if brokenOff(p) {
		row("what to do", "its process was killed, and changed nothing: import the package again")
	}
	row("decided", localTime(p.Decided))
	row("decided by", p.Decider)
	row("reason", p.Reason)
	if p.State == store.StatePublished {
		row("rows", p.Rows)
		row("added", p.Added)
		row("changed", p.Changed)
		row("retired", p.Retired)
	}
	row("dateLastModified", p.Stamp)
	kept := "no"
	if p.Kept {
		kept = fmt.Sprintf("%d bytes: rollbook publications get %d OUT.zip", p.Bytes, p.ID)
	}
	row("package kept", kept)
	out.Render()
}

// tellRowsOf writes what a publication changed, or would change, field by field.
func (o *opened) tellRowsOf(cmd *cobra.Command, p store.Publication) error {
	ctx := cmd.Context()
	type rows = func(before, after oneroster.Record) error
	if p.State == store.StatePublished {
		return tellRows(cmd.OutOrStdout(), func(yield rows) error {
			if p.Stamp == "" {
				return nil // it changed nothing
			}
			return o.ChangesOf(ctx, p.Rev, yield)
		})
	}
	in, offer, done, err := o.offered(ctx, p)
	defer done()
	if err != nil {
		return err
	}
	_, err = in.Plan(ctx, offer, func(plan *store.Plan) error {
		return tellRows(cmd.OutOrStdout(), func(yield rows) error { return plan.Differences(ctx, yield) })
	})
	return err
}

func publicationsGet() *cobra.Command {
	var overwrite bool
	cmd := &cobra.Command{
		Use:   "get NO OUT.zip",
		Short: "Write the package of a publication as it came",
		Long: `Write the package of a publication as it came: a zip byte for byte, a folder as a zip
of its files, each byte for byte. - is the standard output. A file that is there is
left alone unless --overwrite is given.`,
		Args: cobra.ExactArgs(2),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			p, err := o.publication(cmd, args[0])
			if err != nil {
				return err
			}
			write := func(w io.Writer) error { return o.writeKept(cmd, w, p.ID) }
			if args[1] == "-" {
				return write(cmd.OutOrStdout())
			}
			if _, err := os.Lstat(args[1]); !overwrite && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("%s is there already: it was left as it is; name another file, or say "+
					"--overwrite", args[1])
			}
			if err := writeWhole(args[1], write); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "the package of publication %d, %s, is in %s\n", p.ID,
				p.Package, args[1])
			return err
		}),
	}
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "write over a file that is there")
	return cmd
}

// writeKept writes a package as it was kept: what came as one zip is that zip.
func (o *opened) writeKept(cmd *cobra.Command, w io.Writer, id int64) error {
	files, err := o.Files(cmd.Context(), id)
	p, findErr := o.Publication(cmd.Context(), id)
	if errors.Is(err, store.ErrNotKept) && findErr == nil && p.State == store.StatePlanning {
		return fmt.Errorf("the package of publication %d has not come whole: if it is broken off, import "+
			"it again from where it was", id)
	}
	if errors.Is(err, store.ErrNotKept) {
		n, settingErr := o.Number(cmd.Context(), host.PackagesKept)
		return errors.Join(settingErr, fmt.Errorf("the package of publication %d is not kept: the newest %d "+
			"are (rollbook settings %s), and those that are held", id, n, host.PackagesKept))
	}
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	err = o.Package(cmd.Context(), id, func(file string, r io.Reader) error {
		text := bufio.NewReader(r)
		if len(files) == 1 && host.IsZip(text) {
			z = nil
			_, err := io.Copy(w, text)
			return err
		}
		entry, err := z.Create(strings.ReplaceAll(file, `\`, "_")) // a folder of Windows
		if err != nil {
			return err
		}
		_, err = io.Copy(entry, text)
		return err
	})
	if err != nil || z == nil {
		return err
	}
	return z.Close()
}
