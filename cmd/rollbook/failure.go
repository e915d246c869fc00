package main

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"rollbook/internal/store"
)

// A failure is an error with what a program is told beside its text.
type failure struct {
	error
	members map[string]any
}

func (f failure) Unwrap() error { return f.error }

// meanings of exit codes, as a program is told them.
var meanings = map[int]string{exitFailed: "it could not be done", exitUsage: "the command line was wrong",
	exitInterrupted: "interrupted"}

// failsAsJSON marks a verb's --json: it tells errors too.
const failsAsJSON = "errors"

// jsonFlag gives a verb --json, which prints one object, or list, whatever happens.
func jsonFlag(cmd *cobra.Command, asJSON *bool, what string) {
	cmd.Flags().BoolVar(asJSON, "json", false, what)
	cmd.Flag("json").Annotations = map[string][]string{failsAsJSON: {"yes"}}
}

// tellFailure tells a program that asked for JSON why there is none of the usual kind.
func tellFailure(w io.Writer, cmd *cobra.Command, args []string, err error, text string, code int) {
	f := cmd.Flag("json")
	// it may not be read yet
	asked := f != nil && (f.Value.String() == "true" || slices.Contains(args, "--json"))
	if !asked || f.Annotations[failsAsJSON] == nil {
		return
	}
	out := map[string]any{"error": text, "exitCode": code, "meaning": meanings[code]}
	var more failure
	for rest := err; errors.As(rest, &more); rest = more.error {
		maps.Copy(out, more.members)
	}
	var is *store.StateError
	if errors.As(err, &is) {
		out["publication"], out["state"] = is.ID, is.State
	}
	_ = json.NewEncoder(w).Encode(out) // it is an error already
}
