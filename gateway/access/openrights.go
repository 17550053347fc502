package access

import "causeway"

const (
	readRights  = causeway.FileReadData | causeway.FileReadEA
	writeRights = causeway.FileWriteData | causeway.FileAppendData | causeway.FileWriteEA | causeway.FileWriteAttributes
	freeRights  = causeway.FileReadAttributes | causeway.ReadControl | causeway.Synchronize
	ownerRights = causeway.FileWriteAttributes | causeway.WriteDAC | causeway.WriteOwner

	changing   = writeRights | causeway.FileDeleteChild | causeway.Delete | causeway.WriteDAC | causeway.WriteOwner
	everyRight = readRights | changing | freeRights | causeway.FileExecute
)

// openRights returns what a caller may open an object for: what causeway.Permit says of it, what its owner may, and that who may
// take its name away may delete it. dir is the directory in which it was named; without one, its owner may.
func openRights(cred *causeway.Cred, a, dir *causeway.Attr) causeway.AccessMask {
	may := freeRights
	got := causeway.Permit(cred, a, causeway.MayRead|causeway.MayWrite|causeway.MayExec)
	if got&causeway.MayRead != 0 {
		may |= readRights
		if a.Type != causeway.TypeDirectory {
			may |= causeway.FileExecute // he could copy it and run that
		}
	}
	if got&causeway.MayWrite != 0 {
		may |= writeRights
		if a.Type == causeway.TypeDirectory {
			may |= causeway.FileDeleteChild
		}
	}
	if got&causeway.MayExec != 0 {
		may |= causeway.FileExecute
	}
	owner := cred.UID == 0 || cred.UID == a.UID
	if owner {
		may |= ownerRights
		if a.Type != causeway.TypeDirectory {
			may |= causeway.FileDeleteChild // means nothing, but programs ask for all rights
		}
	}
	if dir == nil && owner || dir != nil && unnames(cred, dir, a) {
		may |= causeway.Delete
	}
	return may
}

// unnames is mayUnname for a credential.
func unnames(cred *causeway.Cred, dir, entry *causeway.Attr) bool {
	const need = causeway.MayWrite | causeway.MayExec
	if causeway.Permit(cred, dir, need) != need {
		return false
	}
	return dir.Mode&causeway.ModeSticky == 0 || cred.UID == 0 || cred.UID == dir.UID || cred.UID == entry.UID
}
