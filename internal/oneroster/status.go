package oneroster

import "net/http"

// A CodeMinor is the standard's name for a kind of failure or warning (1.1
// specification, status information; spelled as 1EdTech's FAQ gives it).
type CodeMinor string

const (
	FullSuccess      CodeMinor = "full success"
	UnknownObject    CodeMinor = "unknown object"
	InvalidData      CodeMinor = "invalid data"
	Unauthorized     CodeMinor = "unauthorized"
	Forbidden        CodeMinor = "forbidden"
	InvalidSort      CodeMinor = "invalid_sort_field"
	InvalidFilter    CodeMinor = "invalid_filter_field"
	InvalidSelection CodeMinor = "invalid_selection_field"
	BlankSelection   CodeMinor = "invalid_blank_selection_field"
	ServerBusy       CodeMinor = "server_busy"
	Unsupported      CodeMinor = "unsupported"
	InternalError    CodeMinor = "internal_server_error"
)

// StatusInfo is one entry of a statusInfoSet.
type StatusInfo struct {
	CodeMajor   string    `json:"imsx_codeMajor"` // success, failure, unsupported
	Severity    string    `json:"imsx_severity"`  // status, warning, error
	Message     string    `json:"imsx_messageRefIdentifier"`
	Operation   string    `json:"imsx_operationRefIdentifier"`
	Description string    `json:"imsx_description"`
	CodeMinor   CodeMinor `json:"imsx_codeMinor"`
}

// HTTPStatus is the status that a failure of this kind is answered with.
func (c CodeMinor) HTTPStatus() int {
	switch c {
	case UnknownObject:
		return http.StatusNotFound
	case Unauthorized:
		return http.StatusUnauthorized
	case Forbidden:
		return http.StatusForbidden
	case ServerBusy:
		return http.StatusTooManyRequests
	case Unsupported:
		return http.StatusMethodNotAllowed
	case InternalError:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}
