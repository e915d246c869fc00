// Command rollbook serves a district's rosters and gradebook as OneRoster 1.1.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rollbook/internal/bulk"
	"rollbook/internal/provider"
	"rollbook/internal/store"
)

// Exit codes, as `rollbook help` tells them.
const (
	exitFailed = 1 // the work could not be done
	exitUsage  = 2 // the command line was wrong
	exitHeld   = 3 // nothing was changed: a person is to decide
	exitPartly = 4 // done, but for what was told

	exitInterrupted = 130 // as shells report SIGINT
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(asService(ctx, func(ctx context.Context) int { return run(ctx, os.Args[1:]) }))
}

// exitCode ends the program when all has been said.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// usageError is a command line that cannot be carried out.
type usageError struct{ error }

func run(ctx context.Context, args []string) int {
	root := command()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		tellFailure(os.Stdout, cmd, args, err, "interrupted", exitInterrupted)
		fmt.Fprintln(os.Stderr, "rollbook: interrupted")
		return exitInterrupted
	}
	var code exitCode
	if errors.As(err, &code) {
		return int(code)
	}
	if isUnknown(err) && !strings.Contains(err.Error(), "rollbook help") {
		err = fmt.Errorf("%w (see rollbook help%s)", err, strings.TrimPrefix(cmd.CommandPath(), "rollbook"))
	}
	var usage usageError
	status := exitFailed
	if errors.As(err, &usage) || isUnknown(err) {
		status = exitUsage
	}
	dsn, _ := cmd.Flags().GetString("db") // "" where there is none
	if remedy := store.Remedy(err, dsn); remedy != "" {
		err = fmt.Errorf("%s (%w)", remedy, err)
	}
	text := plainly(lineEnds.ReplaceAllString(strings.TrimSpace(err.Error()), " "))
	tellFailure(os.Stdout, cmd, args, err, text, status)
	fmt.Fprintln(os.Stderr, "rollbook:", text)
	return status
}

// plainly is a text without what a terminal would obey: names of files, and what another
// service tells, may hold anything.
func plainly(text string) string { return provider.Signs(text) }

var lineEnds = regexp.MustCompile(`\s*\n\s*`)

// isUnknown tells cobra's own complaints about the command line.
func isUnknown(err error) bool {
	for _, start := range []string{"unknown command", "unknown flag", "unknown shorthand", "accepts ",
		"requires "} {
		if len(err.Error()) >= len(start) && err.Error()[:len(start)] == start {
			return true
		}
	}
	return false
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "rollbook",
		Short: "A OneRoster 1.1 service from a district's records",
		Long: `Rollbook serves a district's rosters and gradebook as OneRoster 1.1.

Exit codes: 0 done, 1 it could not be done, 2 the command line was wrong, 3 held:
nothing was changed and a person is to decide, 4 done but for what was told,
130 interrupted.
Every flag can be set by an environment variable: --db by ROLLBOOK_DB,
--key-file by ROLLBOOK_KEY_FILE, and so on.`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().String("db", "rollbook.db", "path of a SQLite file, or of a folder of districts, "+
		"or a postgres:// URL")
	root.PersistentFlags().String("key-file", "",
		"file of the key that seals secrets (default: beside the SQLite file; for PostgreSQL "+
			"rollbook/rollbook.key in your configuration folder)")
	root.PersistentFlags().String("district", "", "short name of the district, where --db holds several")
	root.PersistentFlags().Bool("districts", false,
		"the PostgreSQL database of --db holds several districts, a schema for each")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		cmd.SetContext(store.Acting(cmd.Context(), actor(cmd)))
		return fromEnvironment(cmd)
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w%s (see rollbook help %s)", err, meant(cmd, err),
			strings.TrimPrefix(cmd.CommandPath(), "rollbook "))}
	})
	root.AddCommand(demoCommand(), serveCommand(), clientCommand(), initCommand(), importCommand(),
		publicationsCommand(), publishCommand(), discardCommand(), rollbackCommand(), calendarCommand(),
		exportCommand(), backupCommand(), historyCommand(), explainCommand(), pullsCommand(),
		supportCommand(), sourceCommand(), notifyCommand(), outletCommand(), settingsCommand(),
		restoredCommand(), sandboxCommand(), verifyCommand(), benchCommand(), syncCommand(),
		onboardingCommand(), doctorCommand(), serviceCommand(), restoreCommand(), auditCommand(),
		districtCommand(), versionCommand())
	nameVariables(root)
	return root
}

// meant names the flag that comes nearest to an unknown one.
func meant(cmd *cobra.Command, err error) string {
	_, wrong, ok := strings.Cut(err.Error(), "unknown flag: --")
	if !ok {
		return ""
	}
	best, least := "", 4
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		d := bulk.Distance(wrong, f.Name)
		if strings.HasPrefix(f.Name, wrong) {
			d = 0
		}
		if d < least {
			best, least = f.Name, d
		}
	})
	if best == "" {
		return ""
	}
	return ": did you mean --" + best + "?"
}

// nameVariables adds to the help of every flag the environment variable that
// sets it.
func nameVariables(cmd *cobra.Command) {
	name := func(f *pflag.Flag) { f.Usage += " [" + variable(f.Name) + "]" }
	cmd.PersistentFlags().VisitAll(name)
	cmd.LocalNonPersistentFlags().VisitAll(name)
	for _, c := range cmd.Commands() {
		nameVariables(c)
	}
}

// fromEnvironment sets the flags that the command line leaves out.
func fromEnvironment(cmd *cobra.Command) error {
	var first error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		v, ok := os.LookupEnv(variable(f.Name))
		if f.Changed || !ok || f.Name == "help" {
			return
		}
		if err := cmd.Flags().Set(f.Name, v); err != nil && first == nil {
			first = usageError{fmt.Errorf("%s: %w", variable(f.Name), err)}
		}
	})
	return first
}

// variable is the environment variable of a flag.
func variable(flag string) string {
	out := []byte("ROLLBOOK_")
	for _, c := range []byte(flag) {
		switch {
		case c == '-':
			out = append(out, '_')
		case c >= 'a' && c <= 'z':
			out = append(out, c-'a'+'A')
		default:
			out = append(out, c)
		}
	}
	return string(out)
}
