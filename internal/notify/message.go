package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// A Message is told to somebody. The same news have the same ID, in every process and after a crash.
type Message struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"` // trouble, reminder, over, news, digest, test
	District string    `json:"district,omitempty"`
	At       time.Time `json:"at"`
	Subject  string    `json:"subject"`
	Lines    []Line    `json:"lines"`
}

// A Line is one thing that has happened, or goes on.
type Line struct {
	Event       string   `json:"event"` // of Events, "over" or "test"
	Text        string   `json:"text"`
	Do          string   `json:"do,omitempty"` // what to do
	Publication int64    `json:"publication,omitempty"`
	Name        string   `json:"name,omitempty"` // of a source, an outlet or a client
	IDs         []string `json:"sourcedIds,omitempty"`

	key  string // of the trouble that it is of
	over string // what is told when it is over
}

// titled is a subject that can be read on the screen of a locked telephone.
func (s Settings) titled(text string) string {
	if s.District == "" {
		return "Rollbook: " + text
	}
	return s.District + ": " + text
}

// idOf is the same for the same news.
func idOf(of ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(of, "\x00")))
	return hex.EncodeToString(sum[:12])
}

// Body is the message as text.
func (m *Message) Body() string {
	var b strings.Builder
	for _, l := range m.Lines {
		fmt.Fprintf(&b, "%s\n", l.Text)
		if l.Do != "" {
			fmt.Fprintf(&b, "  %s\n", l.Do)
		}
		if len(l.IDs) > 0 {
			fmt.Fprintf(&b, "  sourcedIds: %s\n", strings.Join(l.IDs, ", "))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%s UTC, Rollbook\n", m.At.Format("2006-01-02 15:04"))
	return b.String()
}
