package wire

import (
	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
)

// Xattr makes a request about an extended attribute.
func Xattr(op peerpb.Op, c *gateway.Caller, h causeway.Handle, name string, value []byte, how causeway.XattrHow) *peerpb.Request {
	r := Named(op, c, h, name)
	r.Value, r.Arg = value, uint32(how)
	return r
}

// XattrNames returns the names that a reply lists.
func XattrNames(r *peerpb.Reply) ([]string, error) {
	var d decoder
	if len(r.Names) > causeway.MaxXattrNames {
		return nil, causeway.ErrServerFault
	}
	var names []string
	for _, name := range r.Names {
		names = append(names, d.name(name, causeway.MaxXattrName))
	}
	if d.bad {
		return nil, causeway.ErrServerFault
	}
	return names, Error(r)
}

// XattrValue returns the value that a reply holds.
func XattrValue(r *peerpb.Reply) ([]byte, error) {
	if len(r.Value) > causeway.MaxXattrValue {
		return nil, causeway.ErrServerFault
	}
	return r.Value, Error(r)
}

func (c *call) xattr() *peerpb.Reply {
	value, err := c.stateful.Xattr(c.ctx, c.by, c.h, c.name)
	out := Failed(err)
	out.Value = value
	return out
}

func (c *call) setXattr() *peerpb.Reply {
	if c.r.Arg > uint32(causeway.XattrReplace) || len(c.r.Value) > causeway.MaxXattrValue {
		return Failed(causeway.ErrInval)
	}
	change, err := c.stateful.SetXattr(c.ctx, c.by, c.h, c.name, c.r.Value, causeway.XattrHow(c.r.Arg))
	return ReplyOf(&Result{Change: change}, err)
}

func (c *call) removeXattr() *peerpb.Reply {
	change, err := c.stateful.RemoveXattr(c.ctx, c.by, c.h, c.name)
	return ReplyOf(&Result{Change: change}, err)
}

func (c *call) listXattrs() *peerpb.Reply {
	names, err := c.stateful.ListXattrs(c.ctx, c.by, c.h)
	out := Failed(err)
	for _, name := range names {
		out.Names = append(out.Names, []byte(name))
	}
	return out
}
