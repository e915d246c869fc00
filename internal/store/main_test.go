package store_test

import (
	"testing"

	"rollbook/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }
