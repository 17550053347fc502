// Package names is about file names as SMB clients spell them: UTF-16 to the bytes that a volume stores and back, folding for lookups
// that ignore case, wildcards, and the splitting of paths into components. It is pure: finding a name in a directory belongs to
// the front and to access.
//
// A volume stores UTF-8, composed or not, as its creator wrote it. What NFS clients can name and Windows cannot is shown with the
// private characters that cifs.ko, macOS and Samba's fruit use, so that every stored name has exactly one spelling on the wire, and
// comes back unchanged. There are no 8.3 short names.
package names
