package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"rollbook/internal/auth"
	"rollbook/internal/host"
	"rollbook/internal/store"
)

func backupCommand() *cobra.Command {
	var without bool
	cmd := &cobra.Command{
		Use:   "backup FILE.db",
		Short: "Copy the district to a new file, also while it is served",
		Long: `Copy the district to a new file, also while it is served: all that there is at one moment,
and so all that was answered before the backup began. The file is a SQLite database,
whatever the district lies in; "rollbook restore" takes it into SQLite or PostgreSQL.
--without-packages leaves out the packages that were brought, of which the records are
made. The key file is not in it: keep a copy of that apart.`,
		Args: cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			if err := o.Backup(cmd.Context(), args[0], !without); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.ErrOrStderr(),
				"%s is copied to %s; its key file is not in it: keep a copy of that apart\n", o.Place,
				args[0])
			return err
		}),
	}
	cmd.Flags().BoolVar(&without, "without-packages", false, "leave out the packages that are kept")
	return cmd
}

func restoreCommand() *cobra.Command {
	var moves bool
	cmd := &cobra.Command{
		Use:   "restore FILE.db",
		Short: "Take a backup into a new district at --db, or one that holds nothing",
		Long: `Take a backup into a new district at --db, or one that holds nothing, in SQLite or
PostgreSQL. The backup stays as it is; the key file is to be put where it was.

Readers that pull by delta have passed the time of the backup. Every record is stamped
anew, so that their next delta brings all of them; who read what only the lost days had
must pull whole (docs/operate.md).

--moves is for a district that goes to another engine or machine: the service was
stopped, then the backup was made, and nobody has changed anything since. Then stamps
stay, and deltas go on as if nothing had happened.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return restore(cmd, args[0], moves) },
	}
	cmd.Flags().BoolVar(&moves, "moves", false,
		"nothing was changed since the backup was made: stamps stay as they are")
	return cmd
}

func restore(cmd *cobra.Command, file string, moves bool) error {
	ctx := cmd.Context()
	at, err := placeOf(cmd)
	if err != nil {
		return err
	}
	dsn, keyFile := at.dsn, at.keyFile
	mark, err := host.WatermarkOf(dsn)
	if err != nil {
		return err
	}
	was, err := mark.Read()
	if err != nil {
		return err
	}
	b, err := store.OpenBackup(ctx, file)
	if err != nil {
		return err
	}
	defer b.Close()
	if m, err := b.Moment(ctx); err != nil {
		return err
	} else if moves && m.Rev < was.Rev {
		return fmt.Errorf("%s is as of change %d, and change %d was seen of the district that was at %s: "+
			"deltas cannot just go on", file, m.Rev, was.Rev, store.Place(dsn))
	}
	_, missing := os.Stat(store.Place(dsn)) // no PostgreSQL lies there
	s, err := store.Open(ctx, dsn, store.Options{Throwaway: throwaway})
	if err != nil {
		return err
	}
	defer s.Close()
	n, stamp, err := s.Restore(store.By(ctx, "restore"), b, was, moves)
	if err != nil && missing != nil && !host.IsPostgres(dsn) { // an empty one is not left to be served
		for _, part := range []string{"", "-wal", "-shm", ".nonces"} {
			_ = os.Remove(store.Place(dsn) + part)
		}
	}
	if errors.Is(err, store.ErrNotEmpty) {
		return fmt.Errorf("%s: %w", store.Place(dsn), err)
	}
	if err != nil {
		return err
	}
	m, err := s.Moment(ctx)
	if err == nil {
		err = mark.Write(m)
	}
	if err != nil {
		return err
	}
	if moves {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is what %s has; deltas go on\n", store.Place(dsn), file)
	} else {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is what %s has. %s\n", store.Place(dsn), file,
			&host.Epoch{Records: n, Stamp: stamp})
	}
	if err != nil {
		return err
	}
	return noteKey(ctx, cmd, s, dsn, keyFile)
}

// noteKey tells where the key file is missing that the district was sealed with.
func noteKey(ctx context.Context, cmd *cobra.Command, s *store.Store, dsn, file string) error {
	_, err := host.OpenKey(ctx, s, dsn, file, note)
	var wrong *auth.KeyError
	if errors.As(err, &wrong) {
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "note: %v\n", wrong)
	}
	return err
}
