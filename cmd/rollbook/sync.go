package main

import "github.com/spf13/cobra"

func syncCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "sync", Short: "Behave towards a provider as Microsoft's clients do"}
	cmd.AddCommand(sdsCommand())
	cmd.AddCommand(syncGradesCommand())
	return cmd
}
