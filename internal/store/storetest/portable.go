package storetest

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// elsewhere is SQL that PostgreSQL takes, and that those whom a district may grow into do
// not take, or take for something else: Citus, CockroachDB, YugabyteDB, and PgBouncer in
// transaction mode. It is looked for in a statement without its comments and texts.
var elsewhere = []struct{ words, why string }{
	{`\bPG_(TRY_)?ADVISORY_`, "CockroachDB takes an advisory lock and locks nothing"},
	{`^(UN)?LISTEN\b|^NOTIFY\b|\bPG_NOTIFY\b`, "CockroachDB and YugabyteDB have no LISTEN and NOTIFY"},
	{`^LOCK\b`, "CockroachDB and YugabyteDB have no LOCK TABLE"},
	{`\bMERGE INTO\b`, "CockroachDB has no MERGE, Citus none from a local table"},
	{`\bTRIGGER\b`, "Citus has no triggers"},
	{`^CREATE (OR REPLACE )?(FUNCTION|PROCEDURE)\b|^DO\b`, "Citus does not spread functions"},
	{`^CREATE (DOMAIN|EXTENSION)\b`, "CockroachDB has no domains and no extensions"},
	{`\b(SMALL|BIG)?SERIAL\b|\bNEXTVAL\b|\bSETVAL\b`,
		"numbers of a sequence are not in the order of commits"},
	{`^CREATE .*\bPARTITION BY\b|\bINHERITS\b`,
		"CockroachDB has no partitioned parents, YugabyteDB no inheritance"},
	{`\bVACUUM\b|\bRESTART IDENTITY\b|\bTABLESAMPLE\b`, "CockroachDB does not know it"},
	{`\bUNLOGGED\b|\bDEFERRABLE\b|\bEXCLUDE USING\b|\bSTORED\b|\bUSING (GIN|GIST|BRIN)\b`,
		"YugabyteDB does not know it"},
	{`\bTEMP(ORARY)?\b`, "Citus joins no temporary table, and PgBouncer gives its session to others"},
	{`^SET (SESSION |LOCAL )?[A-Z_]+ ?(=|TO\b)|^PREPARE\b|\bSET_CONFIG\b|\bWITH HOLD\b`,
		"PgBouncer gives the session to others"},
	{`\bON CONFLICT ?\([^)]*\(`, "CockroachDB's ON CONFLICT takes columns, and no expressions"},
	{`\bFOR (NO KEY UPDATE|(KEY )?SHARE)\b`, "CockroachDB ignores it where transactions are serializable"},
	{`\b(CTID|XMIN|XMAX)\b|\b(TXID_|PG_CURRENT_XACT|PG_XACT_|PG_EXPORT_SNAPSHOT)`,
		"CockroachDB and YugabyteDB have other transaction numbers, or none"},
	{`\b(INT[48]|NUM|TS|TSTZ|DATE)(MULTI)?RANGE\b|\bXML`, "CockroachDB has no ranges and no XML"},
	{` / `, "CockroachDB divides whole numbers to decimals"},
	// The columns of a table have it (dialect.text): a copy of the district in a database of
	// another locale must go on ordering bytes. Citus takes that; CockroachDB does not, and
	// orders bytes without (docs/scale.md).
	{`^(SELECT|WITH|INSERT|UPDATE|DELETE|CREATE (UNIQUE )?INDEX)\b.*\bCOLLATE\b`,
		"CockroachDB does not know the collation C"},
	{`^(WITH|INSERT|UPDATE|DELETE)\b.*\b(CLOCK_TIMESTAMP|STATEMENT_TIMESTAMP|TIMEOFDAY|RANDOM|` +
		`GEN_RANDOM_UUID|UUID_[A-Z0-9_]+) ?\(`,
		"Citus takes no volatile function in a write; times and ids are the store's to give"},
}

var (
	sqlTexts    = regexp.MustCompile(`(?s)'(?:[^']|'')*'`)
	sqlNames    = regexp.MustCompile(`"(?:[^"]|"")*"`)
	sqlComments = regexp.MustCompile(`--[^\n]*`)
	sqlWords    = func() (out []*regexp.Regexp) {
		for _, e := range elsewhere {
			out = append(out, regexp.MustCompile(e.words))
		}
		return out
	}()
)

// Elsewhere says why a statement is not taken by all of those, "" where it is.
func Elsewhere(statement string) string {
	text := sqlNames.ReplaceAllString(sqlTexts.ReplaceAllString(statement, "''"), `"x"`)
	text = strings.ToUpper(strings.Join(strings.Fields(sqlComments.ReplaceAllString(text, "")), " "))
	at := slices.IndexFunc(sqlWords, func(words *regexp.Regexp) bool { return words.MatchString(text) })
	if at < 0 {
		return ""
	}
	return elsewhere[at].why
}

// sent are the statements that the product has sent to a server, this process's and those
// of the programs that it started, and how often. Sessions of tests have another name.
type sent struct {
	lock sync.Mutex
	seen map[string]int
	held func(statement string) // may make a statement wait; nil makes none
}

var (
	statements = sent{seen: map[string]int{}} // to the server of all tests
	refusing   sync.Mutex
	refused    = map[string]string{} // those that are not taken elsewhere: why
)

func (s *sent) note(statement string) {
	s.lock.Lock()
	s.seen[statement]++
	first, held := s.seen[statement] == 1, s.held
	s.lock.Unlock()
	if held != nil {
		held(statement)
	}
	if !first {
		return
	}
	if why := Elsewhere(statement); why != "" {
		refusing.Lock()
		refused[statement] = why
		refusing.Unlock()
	}
}

// times is how often statements with a text in them were sent.
func (s *sent) times(part string) (n int) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for statement, times := range s.seen {
		if strings.Contains(statement, part) {
			n += times
		}
	}
	return n
}

// Sent is how many statements of the product with a text in them have come to the server of
// all tests so far.
func Sent(part string) int { return statements.times(part) }
