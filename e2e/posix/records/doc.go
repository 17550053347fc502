// Package records writes numbered, checksummed records and files, and tells which of them were acknowledged as stable; what
// was told must be there afterwards, whatever happened to the server meanwhile. It does not make things happen to servers.
package records
