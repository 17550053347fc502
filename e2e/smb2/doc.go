// Package smb2 is a client of SMB 3.0.2 for tests, which shows what others hide: leases and when they are broken, sharing, byte-range locks,
// changes that are told, durable handles. It knows nothing of the server's code, so that both cannot be wrong in the same way.
//
// It does not sign; the server must not insist. What is for ordinary work belongs to go-smb2 and smbclient.
package smb2
