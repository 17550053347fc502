package causeway

// XattrHow says what setting an extended attribute does if there is one of the name, and if not (RFC 8276 §8.4.2).
type XattrHow uint8

// The ways to set.
const (
	XattrEither  XattrHow = iota
	XattrCreate           // ErrExist if there is one
	XattrReplace          // ErrNoEnt if there is none
)

// Bounds of extended attributes, those of Linux: names in bytes, with what they begin with; values in bytes.
const (
	MaxXattrName  = 255
	MaxXattrValue = 64 << 10
	MaxXattrNames = 64 << 10 // all names of an object, each with a byte at its end
)

// XattrUser is what the names of attributes begin with that users give. OwnXattr is what those of Causeway begin with, which no
// protocol shows as what they are.
const (
	XattrUser = "user."
	OwnXattr  = "user.causeway."
)

// DescriptorXattr holds the security descriptor that an SMB client gave an object ([MS-DTYP] 2.4.6, self-relative). It is there only
// as long as owner, group, mode and access list are those that it was set with: whoever changes one of these by other ways removes it.
const DescriptorXattr = OwnXattr + "descriptor"
