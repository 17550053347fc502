package backend

import (
	"context"

	"causeway"
)

// LoadACL reads the ACL into attributes of an object if the rights of cred depend on it.
func LoadACL(ctx context.Context, t Tree, id causeway.ObjectID, cred *causeway.Cred, a *causeway.Attr) error {
	if !causeway.NeedsACL(cred, a) {
		return nil
	}
	acl, err := t.ACL(ctx, id)
	if err != nil {
		return err
	}
	a.ACL, a.Extended = acl, false
	return nil
}
