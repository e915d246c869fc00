package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE.db",
		Short: "Copy a SQLite district to a new file, also while it is served",
		Long: `Copy a SQLite district to a new file, also while it is served. The key file is not
in it: keep a copy of that apart. A PostgreSQL district is backed up with pg_dump.
docs/operate.md tells how a copy is put in place.`,
		Args: cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			if err := o.Backup(cmd.Context(), args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.ErrOrStderr(),
				"%s is copied to %s; its key file is not in it: keep a copy of that apart\n", o.place,
				args[0])
			return err
		}),
	}
}
