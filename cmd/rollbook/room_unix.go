//go:build linux || darwin

package main

import "syscall"

// roomIn is how many bytes a user may still write in a folder; ok is false where nobody can tell.
func roomIn(dir string) (free int64, ok bool) {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
