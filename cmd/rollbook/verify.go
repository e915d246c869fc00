package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rollbook/internal/verify"
)

// A verification is one run of the verify verb.
type verification struct {
	connection
	opt    verify.Options
	report string // folder
	asJSON bool

	since   string // path of an earlier report
	earlier []byte // what it holds
}

func verifyCommand() *cobra.Command {
	v := &verification{}
	cmd := &cobra.Command{
		Use:   "verify URL",
		Short: "Hold a OneRoster 1.1 provider, anybody's, to what its readers need",
		Long: `Verify reads a provider as its readers do and tells the causes for which it
falls short, the worst first: what a school loses by each, the request, what
came back, whose rule that breaks, and what to change. What fails only because
something else does is not told again. It needs nothing but credentials.
docs/checks.md lists the checks.

  rollbook verify https://host/ims/oneroster/v1p1 --token-url https://host/token --client ID --profile sds

Exit codes: 0 nothing required failed, 1 something did or nothing could be
checked, 2 the command line was wrong.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := v.check(); err != nil {
				return err
			}
			v.opt.Command = calledAs(cmd, args)
			return v.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0])
		},
	}
	v.flags(cmd)
	var names []string
	for _, p := range verify.Profiles {
		names = append(names, p.Name)
	}
	f := cmd.Flags()
	f.StringSliceVar(&v.opt.Profiles, "profile", []string{"core"}, "whose needs to check: "+
		strings.Join(names, ", ")+" or all; several with commas")
	f.BoolVar(&v.opt.Write, "write", false,
		"also PUT, replace and DELETE gradebook objects, and clean up: not for a gradebook in use")
	f.StringSliceVar(&v.opt.Only, "only", nil,
		"run these checks alone: ids of docs/checks.md, or their first words")
	f.IntVar(&v.opt.MaxRows, "rows", verify.MostRows, "how many rows of a collection are read at most")
	f.StringVar(&v.report, "report", "", "folder to write report.html, junit.xml and report.json to")
	f.StringVar(&v.since, "since", "",
		"report.json of an earlier run: tells which causes are new, gone and the same")
	personalFlag(cmd, &v.opt.Personal)
	f.BoolVar(&v.asJSON, "json", false, "print the report as JSON")
	return cmd
}

// calledAs is how a verb was called, without the secret.
func calledAs(cmd *cobra.Command, args []string) string {
	line := append([]string{cmd.CommandPath()}, args...)
	cmd.Flags().Visit(func(f *pflag.Flag) {
		value := f.Value.String()
		if list, ok := f.Value.(pflag.SliceValue); ok {
			value = strings.Join(list.GetSlice(), ",")
		}
		switch {
		case f.Name == "secret", f.Name == "teacher": // a person's address is no secret, and private
		case f.Value.Type() == "bool" && value == "true":
			line = append(line, "--"+f.Name)
		default:
			line = append(line, "--"+f.Name+"="+value)
		}
	})
	return strings.Join(line, " ")
}

func (v *verification) check() error {
	if v.opt.MaxRows < 1 {
		return usageError{fmt.Errorf("--rows %d: give a number from 1 up", v.opt.MaxRows)}
	}
	if v.report != "" { // told now, not after minutes
		err := os.MkdirAll(v.report, 0o700)
		var f *os.File
		if err == nil {
			f, err = os.CreateTemp(v.report, ".write-*")
		}
		if err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
		if err != nil {
			return usageError{fmt.Errorf("--report: %w", err)}
		}
	}
	if v.since != "" {
		var err error
		if v.earlier, err = os.ReadFile(v.since); err != nil {
			return usageError{fmt.Errorf("--since: %w", err)}
		}
	}
	for _, name := range v.opt.Profiles {
		if !verify.KnownProfile(name) {
			return usageError{fmt.Errorf("--profile: there is no profile %q; rollbook verify "+
				"--help names them", name)}
		}
	}
	for _, word := range v.opt.Only {
		if !verify.KnownCheck(word) {
			return usageError{fmt.Errorf("--only: there is no check %q; docs/checks.md lists them", word)}
		}
	}
	return nil
}

// collectSooner lets garbage be collected sooner once a run takes 400 MiB. A district of a million
// enrollments takes two thirds of it.
func collectSooner() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 { // GOMEMLIMIT says nothing else
		debug.SetMemoryLimit(400 << 20)
	}
}

func (v *verification) run(ctx context.Context, out, errs io.Writer, url string) error {
	collectSooner()
	p, err := v.open(url)
	if err != nil {
		return err
	}
	if err := verify.Refuse(p, v.opt); err != nil {
		return usageError{fmt.Errorf("--only: %w", err)}
	}
	meter := newMeter("checks")
	v.opt.Progress = func(done, all int, area string) { meter.step(done, all, area) }
	report, err := verify.Run(ctx, p, v.opt)
	meter.done()
	shut := err != nil && len(report.Rows) == 0 // what is said of the error says all
	if err != nil {
		err = elsewhere(ctx, p, err)
	}
	if v.since != "" {
		if wrong := report.Since(v.earlier); wrong != nil {
			err = errors.Join(err, fmt.Errorf("--since %s: %w", v.since, wrong))
		}
	}
	switch {
	case v.asJSON:
		err = errors.Join(err, json.NewEncoder(out).Encode(report.JSON()))
	case !shut:
		err = errors.Join(err, report.WriteText(out))
	}
	if v.report != "" {
		err = errors.Join(err, writeReports(errs, report, v.report))
	}
	if len(report.Causes()) > 0 && !shut {
		err = errors.Join(err, errors.New(report.Verdict()))
	}
	return err
}

// writeReports writes the report in every form. It quotes what is served of children: nobody
// else on this machine reads it.
func writeReports(errs io.Writer, report *verify.Report, folder string) error {
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"report.html", report.WriteHTML},
		{"junit.xml", report.WriteJUnit},
		{"report.json", func(w io.Writer) error { return json.NewEncoder(w).Encode(report.JSON()) }},
	} {
		at := filepath.Join(folder, file.name)
		f, err := os.OpenFile(at, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_ = f.Chmod(0o600) // of an earlier report
		if err := errors.Join(file.write(f), f.Close()); err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
		fmt.Fprintln(errs, "wrote", f.Name())
	}
	return nil
}
