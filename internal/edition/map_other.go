//go:build !unix

package edition

import (
	"errors"
	"io"
	"os"
)

// mappedBytes is how large a file is that is held in memory instead.
const mappedBytes = 32 << 20

// mapped reads a small file; lists of a large collection come from the database.
func mapped(file *os.File, size int) (*segment, error) {
	if size > mappedBytes {
		return nil, errors.ErrUnsupported
	}
	text := make([]byte, size)
	_, err := io.ReadFull(io.NewSectionReader(file, 0, int64(size)), text)
	return &segment{text}, err
}
