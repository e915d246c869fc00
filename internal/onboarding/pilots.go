package onboarding

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"rollbook/internal/mirror"
	"rollbook/internal/oneroster"
)

// A pilot is one customer's trial.
type pilot struct {
	name    string
	records []record
}

func (p *pilot) file() string { return pilotDir + "/" + p.name + ".jsonl" }

func (p *pilot) add(f *Folder, r record) error {
	r, err := f.note(p.file(), r)
	if err == nil {
		p.records = append(p.records, r)
	}
	return err
}

// Microsoft wants this many customers, for this long.
const (
	mostPilots  = 2
	pilotDays   = 13 // from the first run to the last: two weeks with both days
	cleanDeltas = 5
)

// A pilotItem is checked of each pilot.
type pilotItem struct {
	id, asks, next string
	hand           bool // a person ticks it
}

var pilotItems = []pilotItem{
	{"full", "A first full sync completes, and no record is dropped",
		"correct what the line says, then run it again", false},
	{"deltas", "Five clean delta runs, one after the other: each completes, and no record is dropped",
		"run it twice a day, as School Data Sync does", false},
	{"two-weeks", "The runs go over two weeks", "run it each day; cron or Task Scheduler can", false},
	{"mass-change", "A change of masses is stopped before readers see it (a drill)",
		"take half of the students out of an export and see that it is held; then:", true},
	{"rotation", "The secret is changed without a run that fails (a drill)",
		"make a second secret, run the pilot with it, take the first one away; then:", true},
	{"removed-student", "A student who is removed is gone for readers with the next delta",
		"remove a student and run the pilot with --removed SOURCEDID, or look yourself; then:", true},
	{"sign-off", "The customer signs off", "have the customer look at this page; then:", true},
}

const removedStudent = "removed-student"

func byHand(id string) bool {
	for _, it := range pilotItems {
		if it.id == id {
			return it.hand
		}
	}
	return false
}

func handItems() []string {
	var out []string
	for _, it := range pilotItems {
		if it.hand {
			out = append(out, it.id)
		}
	}
	return out
}

func (f *Folder) readPilots() error {
	names, err := filepath.Glob(f.at(pilotDir + "/*.jsonl"))
	if err != nil {
		return err
	}
	for _, at := range names { // sorted
		p := &pilot{name: strings.TrimSuffix(filepath.Base(at), ".jsonl")}
		if p.records, err = readRecords(at); err != nil {
			return err
		}
		f.pilots = append(f.pilots, p)
	}
	return nil
}

// pilot is the place of a pilot among them, or -1.
func (f *Folder) pilot(name string) int {
	for i, p := range f.pilots {
		if p.name == name {
			return i
		}
	}
	return -1
}

var pilotName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// PilotName tells whether a pilot may have a name: it becomes that of a file.
func PilotName(name string) bool { return pilotName.MatchString(name) }

// Pilot pulls a customer's service as School Data Sync does, whole the first time and by delta each
// later one, and adds what came to the pilot's file. removed is the sourcedId of a student who was
// removed since, or "".
func (f *Folder) Pilot(ctx context.Context, name, removed string, opt Options) error {
	i := f.pilot(name)
	if i < 0 {
		f.pilots = append(f.pilots, &pilot{name: name})
		i = len(f.pilots) - 1
	}
	p := f.pilots[i]
	m, err := f.mirror(ctx, "pilot-"+name, opt)
	if err != nil {
		return err
	}
	defer m.Close()
	report, err := f.pulled(ctx, m, opt, false, false)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if wrong := p.add(f, record{Step: pull, Kind: report.Kind, Command: opt.Command, URL: opt.Provider.URL,
		Client: opt.Provider.Client, Found: map[string]Finding{pull: complete(report, err)}}); wrong != nil {
		return wrong
	}
	if err != nil || removed == "" {
		return err
	}
	if err := gone(ctx, m, removed); err != nil {
		return err
	}
	return p.add(f, record{Step: tick, Item: removedStudent,
		Note: "readers are told that " + removed + " is gone"})
}

// gone is an error where a student is not gone from a mirror.
func gone(ctx context.Context, m *mirror.Mirror, id string) error {
	o, err := m.One(ctx, oneroster.ByName("user"), id)
	switch {
	case err != nil:
		return err
	case o == nil:
		return fmt.Errorf("--removed %s: no run of this pilot has read such a user: name one who was there "+
			"before", id)
	case o.Text("status") != oneroster.ToBeDeleted:
		return fmt.Errorf("--removed %s: the user is still active for readers: a removed student must come "+
			"as tobedeleted in the next delta", id)
	}
	return nil
}

// lines of a pilot.
func (f *Folder) pilotLines() []Line {
	var out []Line
	for _, p := range f.pilots {
		for _, it := range pilotItems {
			file, _ := f.fileOf(p.file())
			l := Line{Step: p.name, ID: p.name + "/" + it.id, Asks: it.asks, File: file}
			at := record{}
			l.Finding, at = p.find(it)
			l.stamp(at)
			if l.State != Done && it.hand {
				l.Next = it.next + " rollbook onboarding tick " + l.ID + " --by NAME"
			} else if l.State != Done {
				l.Next = it.next + ": rollbook onboarding pilot " + p.name + " URL …"
			}
			out = append(out, l)
		}
	}
	for i := len(f.pilots); i < mostPilots; i++ {
		out = append(out, Line{Step: "pilots", ID: fmt.Sprintf("pilot-%d", i+1),
			Asks: fmt.Sprintf("Pilot %d of %d: a customer, over two weeks", i+1, mostPilots),
			Finding: Finding{Missing, "not begun", "with a customer's service: rollbook onboarding pilot " +
				"NAME URL --client … --token-url …"}})
	}
	return out
}

// find is what became of an item, and by what.
func (p *pilot) find(it pilotItem) (Finding, record) {
	if it.hand {
		for i := len(p.records) - 1; i >= 0; i-- {
			if r := p.records[i]; r.Step == tick && r.Item == it.id {
				return Finding{State: Done, Says: r.ticked()}, r
			}
		}
		return Finding{State: Missing, Says: "not ticked"}, record{}
	}
	var runs, deltas []record
	full := record{}
	for _, r := range p.records {
		if r.Step != pull {
			continue
		}
		runs = append(runs, r)
		if r.Kind == "full" && full.Found[pull].State != Done {
			full = r // the first that is right, or the last
		}
		if r.Kind == "delta" {
			deltas = append(deltas, r)
		}
	}
	switch it.id {
	case "full":
		if full.At.IsZero() {
			return Finding{State: Missing, Says: "no full sync yet"}, record{}
		}
		return full.Found[pull], full
	case "deltas":
		return fiveOf(deltas)
	}
	if len(runs) == 0 {
		return Finding{State: Missing, Says: "no run yet"}, record{}
	}
	first, last := runs[0], runs[len(runs)-1]
	says := fmt.Sprintf("%d runs, the first on %s, the last on %s", len(runs),
		first.At.Format(time.DateOnly), last.At.Format(time.DateOnly))
	if days(first.At, last.At) < pilotDays {
		return Finding{State: Missing, Says: says}, last
	}
	return Finding{State: Done, Says: says}, last
}

// days from one date to another.
func days(from, to time.Time) int {
	return int(to.Truncate(24*time.Hour).Sub(from.Truncate(24*time.Hour)) / (24 * time.Hour))
}

// fiveOf judges the last deltas: an earlier failure is history when five have been right since.
func fiveOf(deltas []record) (Finding, record) {
	if len(deltas) == 0 {
		return Finding{State: Missing, Says: "no delta yet"}, record{}
	}
	last := deltas[len(deltas)-1]
	if found := last.Found[pull]; found.State != Done {
		return Finding{State: Failed, Says: "the last one: " + found.Says}, last
	}
	right := 0
	for i := len(deltas) - 1; i >= 0 && deltas[i].Found[pull].State == Done; i-- {
		right++
	}
	says := fmt.Sprintf("%d, without a failure between them", right)
	if right < cleanDeltas {
		return Finding{State: Missing, Says: says}, last
	}
	return Finding{State: Done, Says: says}, last
}

// ticked is a tick in words.
func (r record) ticked() string {
	says := "ticked by a run"
	if r.By != "" {
		says = "ticked by " + r.By
	}
	if r.Note != "" {
		says += ": " + r.Note
	}
	return says
}
