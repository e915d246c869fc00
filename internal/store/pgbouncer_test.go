package store_test

import (
	"testing"

	"rollbook/internal/store/storetest"
)

// Promises hold behind PgBouncer in transaction mode, where each transaction, and each
// statement outside of one, may be of another session. All of them are tried by hand when
// the store's statements change in kind.
func TestPromisesBehindPgBouncer(t *testing.T) {
	storetest.RunEach(t, storetest.PgBouncer(t), 10)
}
