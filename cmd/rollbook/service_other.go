//go:build !windows

package main

import "context"

// asService runs the program; its own systems run services as they run anything.
func asService(ctx context.Context, run func(context.Context) int) int { return run(ctx) }

func serviceFolder() string          { return "" }
func installService([]string) error  { return errNoService() }
func uninstallService() error        { return errNoService() }
func serviceStatus() (string, error) { return "", errNoService() }
