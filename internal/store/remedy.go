package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Remedy says of an error that the machine beneath a district makes what is wrong, and
// what to do: a disk that is full, a file that cannot be written. Of others it is "".
func Remedy(err error, dsn string) string {
	place, code := Place(dsn), 0
	var e *sqlite.Error
	if errors.As(err, &e) {
		code = e.Code()
	}
	var at *fs.PathError
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EFBIG) || errors.Is(err, syscall.EDQUOT)
	switch {
	case full && errors.As(err, &at) && strings.HasPrefix(at.Path, os.TempDir()):
		return fmt.Sprintf("there is no room in %s: make room there, or name another folder by TMPDIR, and "+
			"do it again", os.TempDir())
	case full && errors.As(err, &at):
		return fmt.Sprintf("there is no room for %s: make room on its disk, and do it again", at.Path)
	case code&0xff == sqlite3.SQLITE_FULL || code == sqlite3.SQLITE_IOERR_WRITE ||
		code == sqlite3.SQLITE_IOERR_SHMSIZE:
		return fmt.Sprintf("there is no room for %s: make room on its disk, and do it again", place)
	case code&0xff == sqlite3.SQLITE_READONLY || code&0xff == sqlite3.SQLITE_CANTOPEN ||
		code&0xff == sqlite3.SQLITE_PERM:
		return fmt.Sprintf("%s, or its folder, cannot be written by this user; rollbook writes beside the "+
			"district also to read it: run it as the user who serves, or on a copy (rollbook backup)", place)
	}
	return ""
}
