package words_test

import (
	"testing"
	"time"

	"rollbook/internal/words"
)

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		words.Thousands(0): "0", words.Thousands(999): "999", words.Thousands(1000): "1,000",
		words.Thousands(-1234567): "-1,234,567", words.Thousands(-123): "-123",
		words.Lasting(0): "0 seconds", words.Lasting(time.Second): "1 second",
		words.Lasting(89 * time.Second): "89 seconds",
		words.Lasting(90 * time.Second): "2 minutes", words.Lasting(89 * time.Minute): "89 minutes",
		words.Lasting(90 * time.Minute): "2 hours", words.Lasting(47 * time.Hour): "47 hours",
		words.Lasting(48 * time.Hour): "2 days", words.Count(1, "class"): "1 class", words.Count(5,
			"class"): "5 classes",
		words.Count(0, "row"): "0 rows", words.Count(1200, "row"): "1,200 rows",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := words.When(time.Date(2026, 11, 24, 2, 10, 59, 0, time.Local)); got != "2026-11-24 02:10" {
		t.Error(got)
	}
}
