package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"rollbook/internal/auth"
	"rollbook/internal/host"
	"rollbook/internal/store"
	"rollbook/internal/words"
)

// A finding is what was looked at, and what was found.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"` // ok, wrong, unchecked
	Text  string `json:"text"`
	Do    string `json:"do"` // what to do, where it is wrong or unchecked
}

// A doctor looks for what is wrong with an installation, and changes nothing of it.
type doctor struct {
	url, cert, key string
	days, room     int
	now            time.Time
	found          []finding
}

func (d *doctor) ok(check, text string) {
	d.found = append(d.found, finding{check, "ok", text, ""})
}

func (d *doctor) wrong(check, text, do string) {
	d.found = append(d.found, finding{check, "wrong", text, do})
}

func (d *doctor) unchecked(check, text, do string) {
	d.found = append(d.found, finding{check, "unchecked", text, do})
}

// wellOr notes that a check has found nothing, where nothing was noted since.
func (d *doctor) wellOr(check, text string, since int) {
	if len(d.found) == since {
		d.ok(check, text)
	}
}

func doctorCommand() *cobra.Command {
	var d doctor
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with this installation, and what to do",
		Long: `Say what is wrong with this installation, and what to do: files and who may read them,
the key, the database and its version, room on the disk, clocks, imports, clients and
their secrets; with --url whether the service is reached there, and what a proxy in front
makes of it; with --cert how long the certificate is good. It changes nothing, and may be
run while the district is served, by the user who serves it and with the same settings.

The exit code is 1 when something is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := placeOf(cmd)
			if err != nil {
				return err
			}
			dsn, keyFile := at.dsn, at.keyFile
			d.now = time.Now()
			if keyFile == "" {
				if keyFile, err = host.KeyFile(dsn); err != nil {
					return err
				}
			}
			d.district(cmd.Context(), dsn, keyFile)
			d.certificate()
			if err := d.service(cmd.Context()); err != nil {
				return err
			}
			return d.tell(cmd, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&d.url, "url", "", "public base URL of the service")
	f.StringVar(&d.cert, "cert", "", "PEM file of the certificate, where the service has one")
	f.StringVar(&d.key, "key", "", "PEM file of its key")
	f.IntVar(&d.days, "import-days", 4, "how many days may pass without an import; 0: any number")
	f.IntVar(&d.room, "room", 1024, "how many MB should be free on a disk")
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

// tell prints what was found; the exit code is 1 where something is wrong.
func (d *doctor) tell(cmd *cobra.Command, asJSON bool) error {
	wrong := 0
	out := cmd.OutOrStdout()
	for _, f := range d.found {
		if f.State == "wrong" {
			wrong++
		}
		if !asJSON {
			f.tell(out)
		}
	}
	if asJSON {
		if err := json.NewEncoder(out).Encode(map[string]any{"wrong": wrong, "checks": d.found}); err != nil {
			return err
		}
	} else {
		verb := map[bool]string{true: "is", false: "are"}[wrong == 1]
		fmt.Fprintf(out, "\n%s %s wrong\n", plural(wrong, "thing"), verb)
	}
	if wrong > 0 {
		return exitCode(exitFailed)
	}
	return nil
}

// tell prints a finding in lines that fit the terminal.
func (f finding) tell(out io.Writer) {
	const margin = 22
	width := terminalWidth(out)
	if width == 0 {
		width = 120
	}
	paragraph := func(head, body string) {
		lines := strings.Split(text.WrapSoft(plainly(body), max(width-margin, 30)), "\n")
		for i, line := range lines {
			if i > 0 {
				head = ""
			}
			fmt.Fprintf(out, "%-*s%s\n", margin, head, strings.TrimSpace(line))
		}
	}
	paragraph(fmt.Sprintf("%-11s%s", f.State, f.Check), f.Text)
	if f.Do != "" {
		paragraph("           do", f.Do)
	}
}

// district looks at the database and what belongs to it.
func (d *doctor) district(ctx context.Context, dsn, keyFile string) {
	mark, err := host.WatermarkOf(dsn)
	if err != nil {
		d.wrong("files", err.Error(), "give the user who runs rollbook a home")
		return
	}
	d.files(dsn, keyFile, string(mark))
	d.disks(dsn)
	ex, err := store.Examine(ctx, dsn)
	switch {
	case errors.Is(err, store.ErrMissing):
		d.wrong("database", err.Error(),
			"say where it is with --db (ROLLBOOK_DB), or make it with rollbook init or import --new")
	case err != nil:
		d.wrong("database", err.Error(), "see that it is there, and that this user may open it")
	case ex.Schema > ex.Knows:
		d.wrong("database", fmt.Sprintf("its schema is version %d and this program knows %d",
			ex.Schema, ex.Knows), "use the newer rollbook, which was used on it before")
	case ex.Schema < ex.Knows:
		d.unchecked("database", fmt.Sprintf("its schema is version %d; who opens it by this program brings "+
			"it to %d", ex.Schema, ex.Knows), "end services of the earlier version, back it up, and start "+
			"this one")
	default:
		s, err := store.Open(ctx, dsn, store.Options{Existing: true, Throwaway: throwaway})
		if err != nil {
			text := err.Error()
			if remedy := store.Remedy(err, dsn); remedy != "" {
				text = remedy
			}
			d.wrong("database", text, "run rollbook as the user who owns it")
			return
		}
		defer s.Close()
		d.ok("database", fmt.Sprintf("%s, schema %d, at %s", ex.Engine, ex.Schema, store.Place(dsn)))
		for _, look := range []struct {
			check string
			at    func(context.Context, *store.Store) error
		}{{"clock", func(ctx context.Context, s *store.Store) error { return d.clock(ctx, s, mark) }},
			{"key file", func(ctx context.Context, s *store.Store) error {
				return d.sealed(ctx, s,
					keyFile)
			}},
			{"imports", d.imports}, {"clients", d.clients}} {
			if err := look.at(ctx, s); err != nil {
				d.wrong(look.check, err.Error(), "see what the database says")
			}
		}
	}
}

// files are looked at for who may read them, and folders for whether this user may write there.
func (d *doctor) files(dsn, keyFile, mark string) {
	since := len(d.found)
	ours := []string{keyFile, mark}
	if !host.IsPostgres(dsn) {
		path := store.Place(dsn)
		ours = append(ours, path, path+"-wal", path+"-shm", path+".nonces")
	}
	folders := map[string]bool{os.TempDir(): true}
	for _, path := range ours {
		folders[filepath.Dir(path)] = true
		info, err := os.Stat(path)
		if err != nil || runtime.GOOS == "windows" {
			continue // what has to be there is looked for elsewhere
		}
		if info.Mode().Perm()&0o077 != 0 {
			d.wrong("files", fmt.Sprintf("%s can be read by others on this machine (%s)", path,
				info.Mode().Perm()), "chmod 600 "+path)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		probe, err := os.CreateTemp(dir, ".rollbook-doctor-*")
		if err != nil {
			d.wrong("files", fmt.Sprintf("this user cannot write in %s: %v", dir, withoutPath(err)),
				"run this as the user who serves, and let that user own the folder")
			continue
		}
		_ = errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	d.wellOr("files", "only their owner can read them, and their folders can be written", since)
}

// withoutPath is an error without what its text repeats.
func withoutPath(err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// disks are looked at for room.
func (d *doctor) disks(dsn string) {
	dirs := []string{os.TempDir()}
	if !host.IsPostgres(dsn) {
		dirs = append(dirs, filepath.Dir(store.Place(dsn)))
	}
	short := false
	var texts []string
	for _, dir := range dirs {
		free, known := roomIn(dir)
		if !known {
			d.unchecked("disk", "how much room there is in "+dir+" is not known", "look yourself")
			return
		}
		mb := int(free / 1_000_000)
		short = short || mb < d.room
		texts = append(texts, fmt.Sprintf("%s MB are free in %s", words.Thousands(mb), dir))
	}
	free := strings.Join(texts, ", ")
	if !short {
		d.ok("disk", free)
		return
	}
	d.wrong("disk", fmt.Sprintf("%s; %s MB should be", free, words.Thousands(d.room)),
		"make room; TMPDIR names "+
			"another folder for temporary files, rollbook settings packages how many packages are kept")
}

// clock looks whether clocks agree, and the delta clock goes on from what was seen of it.
func (d *doctor) clock(ctx context.Context, s *store.Store, mark host.Watermark) error {
	since := len(d.found)
	problem, err := s.ClockProblem(ctx)
	if err != nil {
		return err
	}
	if problem != "" {
		what, do, _ := strings.Cut(problem, ": ")
		d.wrong("clock", what, do)
	}
	was, err := mark.Read()
	if err != nil {
		d.wrong("clock", err.Error(), "take the file away: it is made anew")
		return nil
	}
	m, err := s.Moment(ctx)
	if err != nil {
		return err
	}
	if m.Rev < was.Rev {
		d.wrong("clock", fmt.Sprintf("the database is an older copy: it stands at change %d, and change %d "+
			"was seen on this machine", m.Rev, was.Rev), "any verb that opens it stamps everything anew, "+
			"and "+
			"says what readers must do (docs/operate.md, put a backup in place)")
	}
	d.wellOr("clock", "it agrees with the database", since)
	return nil
}

// sealed looks whether the key file is the one that the database was sealed with.
func (d *doctor) sealed(ctx context.Context, s *store.Store, file string) error {
	sealed, err := s.Sealed(ctx)
	if err != nil {
		return err
	}
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) && sealed == "" {
		d.ok("key file", "nothing is sealed yet: it is made with the first client")
		return nil
	}
	_, _, err = auth.OpenKey(file, sealed)
	var lost *auth.KeyError
	switch {
	case errors.As(err, &lost):
		what, do, _ := strings.Cut(err.Error(), ": ")
		d.wrong("key file", what, do)
	case err != nil:
		d.wrong("key file", err.Error(), "put the right file there, readable by the user who serves")
	default:
		d.ok("key file", file+" is the one that the database was sealed with")
	}
	return nil
}

// imports looks when the district was brought up to date, and what waits for a person.
func (d *doctor) imports(ctx context.Context, s *store.Store) error {
	since := len(d.found)
	empty, err := s.Empty(ctx)
	if err != nil {
		return err
	}
	latest, err := s.Publications(ctx, 50)
	if err != nil {
		return err
	}
	for _, p := range latest {
		if p.State == store.StateHeld {
			d.wrong("imports", fmt.Sprintf("publication %d, %s of %s UTC, is held: readers are served what "+
				"was before it", p.ID, p.Package, minute(p.At)),
				fmt.Sprintf("rollbook publications show %d, then publish or discard it", p.ID))
		}
	}
	last, err := s.LastPublished(ctx)
	switch came, _ := time.Parse(time.RFC3339, last.At); {
	case empty:
		d.wrong("imports", "the district is empty: nothing was ever imported", "rollbook import PACKAGE")
	case errors.Is(err, store.ErrNotFound):
		d.unchecked("imports", "when the district was imported is not known",
			"import it by this version once")
	case err != nil:
		return err
	case d.days > 0 && d.now.Sub(came) > time.Duration(d.days)*24*time.Hour:
		d.wrong("imports", fmt.Sprintf("nothing was published for %d days: the last was %s of %s UTC",
			int(d.now.Sub(came)/(24*time.Hour)), last.Package, minute(last.At)),
			"look at the job that imports (docs/nightly.md) and at rollbook publications; in holidays: "+
				"--import-days")
	default:
		d.wellOr("imports", fmt.Sprintf("the last was %s of %s UTC", last.Package, minute(last.At)), since)
	}
	return nil
}

// unusedFor is how long a client may have a secret that it does not use.
const unusedFor = 30 * 24 * time.Hour

func (d *doctor) clients(ctx context.Context, s *store.Store) error {
	since := len(d.found)
	clients, err := s.Clients(ctx)
	if err != nil {
		return err
	}
	if len(clients) == 0 {
		d.wrong("clients", "there is none: nobody can read the district", "rollbook client add sds --for sds")
	}
	for _, c := range clients {
		used := false
		for _, secret := range c.Secrets {
			used = used || !secret.Unused()
		}
		if wrong, do := secretNote(c, d.now); wrong != "" {
			d.wrong("clients", wrong, do)
		} else if !used && d.now.Sub(c.Created) > unusedFor {
			d.wrong("clients", fmt.Sprintf("%s (%s) of %s has never used its secret", c.Name, c.ID,
				minute(at(c.Created))), "rollbook client remove "+c.ID+", or see that it is set up")
		}
	}
	d.wellOr("clients", plural(len(clients), "client")+", whose secrets are good for the next 30 days", since)
	return nil
}
