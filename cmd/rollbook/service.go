package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"rollbook/internal/host"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func serviceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "service",
		Short: "Let Windows run the service",
		Long: `Let Windows run the service from its start on, as a user of its own.

On Linux the packages bring a unit for systemd that does this: systemctl enable --now rollbook.`,
	}
	cmd.AddCommand(installServiceCommand(),
		&cobra.Command{
			Use:   "uninstall",
			Short: "Stop the Windows service and take it away; the district stays",
			Args:  cobra.NoArgs,
			RunE:  func(*cobra.Command, []string) error { return uninstallService() },
		},
		&cobra.Command{
			Use:   "status",
			Short: "Tell whether the Windows service runs",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				status, err := serviceStatus()
				if err == nil {
					_, err = fmt.Fprintln(cmd.OutOrStdout(), status)
				}
				return err
			},
		})
	return cmd
}

func installServiceCommand() *cobra.Command {
	var asked serveFlags
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Make a Windows service that serves with the flags given here",
		Long: `Make a Windows service that serves with the flags given here, from the next start of the
machine on; sc start rollbook starts it at once.

It runs as NT SERVICE\rollbook, who may change the folder rollbook of ProgramData and little else: the
district is there, unless --db says otherwise, and the log, rollbook.log.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := asked.config(); err != nil {
				return err
			}
			args, err := serviceArguments(cmd.Flags())
			if err != nil {
				return err
			}
			return installService(args)
		},
	}
	asked.flags(cmd.Flags())
	return cmd
}

// serviceArguments is the command line of a service that serves with the flags that were
// given, from a folder of its own.
func serviceArguments(flags *pflag.FlagSet) ([]string, error) {
	args, failed := []string{"serve"}, error(nil)
	if !flags.Changed("db") {
		args = append(args, "--db="+filepath.Join(serviceFolder(), "rollbook.db"))
	}
	flags.Visit(func(f *pflag.Flag) {
		value := f.Value.String()
		switch f.Name {
		case "db", "key-file", "cert", "key", "acme-dir":
			if !host.IsPostgres(value) {
				var err error
				value, err = filepath.Abs(value)
				failed = errors.Join(failed, err)
			}
		}
		args = append(args, "--"+f.Name+"="+value)
	})
	return args, failed
}

// errNoService is what a system says that runs services in its own way.
func errNoService() error {
	if runtime.GOOS == "linux" {
		return errors.New("on Linux the packages bring a unit for systemd: install the deb or the rpm, " +
			"then systemctl enable --now rollbook (docs/install.md)")
	}
	return fmt.Errorf("on %s that is a file of launchd: docs/install.md has it", runtime.GOOS)
}
