package verify

// LookAt is how many rows of a nested list are looked at, until the function that it returns is
// called.
func LookAt(rows int) (undo func()) {
	was := nestedRows
	nestedRows = rows
	return func() { nestedRows = was }
}
