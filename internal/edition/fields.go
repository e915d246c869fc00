package edition

// A projection takes the fields that a reader selected out of rendered records.
type projection map[string]bool

func newProjection(fields []string) projection {
	p := projection{}
	for _, name := range fields {
		p[name] = true
	}
	return p
}

// append writes the selected members of an object that a Writer wrote: compact, and
// nothing in its keys is escaped.
func (p projection) append(dst, body []byte) []byte {
	dst = append(dst, '{')
	first := true
	for at := 1; body[at] != '}'; {
		if body[at] == ',' {
			at++
		}
		key := at + 1
		colon := afterText(body, at)
		end := afterValue(body, colon+1)
		if p[string(body[key:colon-1])] {
			if !first {
				dst = append(dst, ',')
			}
			dst = append(dst, body[at:end]...)
			first = false
		}
		at = end
	}
	return append(dst, '}')
}

// afterText is where a JSON string that begins at a place has ended.
func afterText(body []byte, at int) int {
	for at++; body[at] != '"'; at++ {
		if body[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// afterValue is where a JSON value that begins at a place has ended.
func afterValue(body []byte, at int) int {
	for depth := 0; ; at++ {
		switch body[at] {
		case '"':
			at = afterText(body, at) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 { // of the object around a number
				return at
			}
			depth--
		case ',':
			if depth == 0 {
				return at
			}
		}
	}
}
