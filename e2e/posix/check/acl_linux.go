package check

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

var aclTests = []Test{{"acl/rights", aclRights}}

// aclEntry is one entry of a POSIX access control list, with the kernel's numbers.
type aclEntry struct {
	tag, rights uint16
	id          uint32
}

const (
	aclUserOwner  = 0x01
	aclUser       = 0x02
	aclGroupOwner = 0x04
	aclGroup      = 0x08
	aclMask       = 0x10
	aclOther      = 0x20
	aclNoID       = ^uint32(0)

	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
)

// encodeACL returns the list in the form of the extended attribute (version 2).
func encodeACL(entries []aclEntry) []byte {
	data := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range entries {
		data = binary.LittleEndian.AppendUint16(data, e.tag)
		data = binary.LittleEndian.AppendUint16(data, e.rights)
		data = binary.LittleEndian.AppendUint32(data, e.id)
	}
	return data
}

// aclCase is a file of root's with a list, and the rights that users have by it.
type aclCase struct {
	name    string
	entries []aclEntry
	rights  map[string]uint32 // by user: alice, bob, carol
}

var aclCases = []aclCase{
	{"user", []aclEntry{{aclUserOwner, 6, aclNoID}, {aclUser, 6, 60001}, {aclGroupOwner, 0, aclNoID}, {aclMask, 7, aclNoID}, {aclOther, 0, aclNoID}},
		map[string]uint32{"alice": 6, "bob": 0, "carol": 0}},
	{"user, masked", []aclEntry{{aclUserOwner, 6, aclNoID}, {aclUser, 6, 60001}, {aclGroupOwner, 6, aclNoID}, {aclMask, 4, aclNoID}, {aclOther, 2, aclNoID}},
		map[string]uint32{"alice": 4, "bob": 2, "carol": 2}},
	{"user denied, others not", []aclEntry{{aclUserOwner, 6, aclNoID}, {aclUser, 0, 60002}, {aclGroupOwner, 4, aclNoID}, {aclMask, 7, aclNoID}, {aclOther, 6, aclNoID}},
		map[string]uint32{"alice": 6, "bob": 0, "carol": 6}},
	{"group", []aclEntry{{aclUserOwner, 6, aclNoID}, {aclGroupOwner, 0, aclNoID}, {aclGroup, 4, 60001}, {aclMask, 7, aclNoID}, {aclOther, 2, aclNoID}},
		map[string]uint32{"alice": 4, "bob": 2, "carol": 4}},
	{"two groups", []aclEntry{{aclUserOwner, 6, aclNoID}, {aclGroupOwner, 0, aclNoID}, {aclGroup, 4, 60001}, {aclGroup, 2, 60003}, {aclMask, 7, aclNoID}, {aclOther, 0, aclNoID}},
		map[string]uint32{"alice": 4, "bob": 0, "carol": 6}},
}

// aclUsers are the users by name; of two groups one may grant reading and the other writing, but not both at once.
var aclUsers = map[string]user{"alice": alice, "bob": bob, "carol": carol}

// PrepareACL makes, in dir, files with access control lists for [VerifyACL]. It works on the server's side of a mount whose
// protocol carries no lists.
func PrepareACL(dir string) error {
	for _, acl := range aclCases {
		path := filepath.Join(dir, acl.name)
		if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
			return err
		}
		if err := unix.Setxattr(path, aclAccess, encodeACL(acl.entries), 0); err != nil {
			return fmt.Errorf("set the list of %s: %w", path, err)
		}
	}
	inherit := filepath.Join(dir, "inherit")
	if err := os.Mkdir(inherit, 0o755); err != nil {
		return err
	}
	list := []aclEntry{{aclUserOwner, 7, aclNoID}, {aclUser, 6, 60001}, {aclGroupOwner, 5, aclNoID}, {aclMask, 7, aclNoID}, {aclOther, 0, aclNoID}}
	return unix.Setxattr(inherit, aclDefault, encodeACL(list), 0)
}

// VerifyACL checks, in the mount, what the lists of [PrepareACL] allow. It writes a line per failed check.
func VerifyACL(dir string, out io.Writer) Summary {
	unix.Umask(0)
	c := &C{Dir: dir, name: "acl"}
	func() {
		defer c.recoverStop()
		c.verifyACL()
	}()
	sum := Summary{}
	(&Options{Out: out}).report(c, &sum)
	return sum
}

func (c *C) verifyACL() {
	for _, acl := range aclCases {
		for name, rights := range acl.rights {
			c.as(aclUsers[name], func() {
				c.allowed(openClose(c.path(acl.name), unix.O_RDONLY, 0), rights&4 != 0, "read %s as %s", acl.name, name)
				c.allowed(openClose(c.path(acl.name), unix.O_WRONLY, 0), rights&2 != 0, "write %s as %s", acl.name, name)
				c.allowed(unix.Access(c.path(acl.name), unix.R_OK), rights&4 != 0, "access for reading %s as %s", acl.name, name)
			})
		}
	}
	// Not an exclusive create, whose mode comes after it over NFSv3 and changes the list.
	c.must(openClose(c.path("inherit", "file"), unix.O_CREAT|unix.O_WRONLY, 0o666), "create in a directory with a default list")
	c.as(alice, func() {
		c.ok(openClose(c.path("inherit", "file"), unix.O_RDWR, 0), "open a file with an inherited list as alice")
	})
	c.as(bob, func() {
		c.fails(openClose(c.path("inherit", "file"), unix.O_RDONLY, 0), unix.EACCES, "open a file with an inherited list as bob")
	})
}

func aclRights(c *C) {
	if err := PrepareACL(c.Dir); err != nil {
		c.skip(err.Error())
	}
	c.verifyACL()
}
