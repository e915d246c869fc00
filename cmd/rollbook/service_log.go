package main

import (
	"os"
)

// aLogFile is what a service tells where nobody else keeps it: a file that is begun anew
// when it has most bytes; the one before it is kept as FILE.1.
type aLogFile struct {
	path string
	most int64
	f    *os.File
	size int64
}

func (l *aLogFile) Write(b []byte) (int, error) {
	if l.f != nil && l.size+int64(len(b)) > l.most {
		_ = l.f.Close() // what was written is there
		l.f = nil
		_ = os.Rename(l.path, l.path+".1") // where somebody holds it, it grows on
	}
	if l.f == nil {
		f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return 0, err
		}
		info, err := f.Stat()
		if err != nil {
			_ = f.Close()
			return 0, err
		}
		l.f, l.size = f, info.Size()
	}
	n, err := l.f.Write(b)
	l.size += int64(n)
	return n, err
}
