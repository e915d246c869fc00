//go:build !unix

package edition

import (
	"errors"
	"os"
)

// mapped is not there: lists are read from the database.
func mapped(*os.File, int) (*segment, error) { return nil, errors.ErrUnsupported }
