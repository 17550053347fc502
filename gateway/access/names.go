package access

import "causeway"

// checkName says whether a name can be looked up.
func checkName(name string) error {
	if code := causeway.CheckName(name); code != causeway.OK {
		return code
	}
	return nil
}

// checkNewName says whether a name can be made: "." and ".." exist already.
func checkNewName(name string) error {
	if name == "." || name == ".." {
		return causeway.ErrExist
	}
	return checkName(name)
}

// checkOldName says whether a name can be removed (RFC 1813 §3.3.13: "." is ErrInval, ".." ErrExist).
func checkOldName(name string) error {
	switch name {
	case ".":
		return causeway.ErrInval
	case "..":
		return causeway.ErrExist
	}
	return checkName(name)
}
