// Package security is about what Windows calls security: SIDs, access masks, ACLs and security descriptors ([MS-DTYP] 2.4), and how
// they stand for the owner, group, mode and POSIX ACL that a volume keeps.
//
// It is pure and decides no rights by itself: who may do what is causeway.Permit's answer, in words of access masks. A descriptor is
// computed when it is asked for and never stored, so that it is the same at all gateways and follows a chmod over NFS.
package security

import "encoding/binary"

var le = binary.LittleEndian
