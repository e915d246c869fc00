//go:build unix

package edition

import (
	"os"
	"runtime"
	"syscall"
)

// mapped maps a file: its pages are the system's to keep or to drop.
func mapped(file *os.File, size int) (*segment, error) {
	if size == 0 {
		return &segment{}, nil
	}
	text, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	s := &segment{text}
	runtime.AddCleanup(s, func(text []byte) { _ = syscall.Munmap(text) }, text)
	return s, nil
}
