package aware

import (
	"context"

	"causeway"
	"causeway/client/clientpb"
)

// Read reads bytes.
func (s *Server) Read(ctx context.Context, r *clientpb.ReadRequest) (*clientpb.ReadReply, error) {
	c, h, v, err := s.admit(ctx, r.Caller, r.Handle)
	if err == nil && r.Count > causeway.MaxTransfer {
		err = causeway.ErrInval
	}
	if err != nil {
		return &clientpb.ReadReply{Code: uint32(causeway.CodeOf(err)), Cause: cause(err)}, nil
	}
	out := &clientpb.ReadReply{Data: make([]byte, r.Count)}
	result, err := s.cfg.Transfer.Read(ctx, c, h, r.Offset, out.Data)
	out.Data, out.Eof = out.Data[:result.N], result.EOF
	out.Code, out.Cause = uint32(causeway.CodeOf(err)), cause(err)
	s.count(ctx, r.Caller, v.Name, result.N)
	return out, nil
}

// Write writes all of the bytes, or fails.
func (s *Server) Write(ctx context.Context, r *clientpb.WriteRequest) (*clientpb.WriteReply, error) {
	c, h, v, err := s.admit(ctx, r.Caller, r.Handle)
	if err == nil && (len(r.Data) > causeway.MaxTransfer || r.Stability > uint32(causeway.FileSync)) {
		err = causeway.ErrInval
	}
	if err != nil {
		return &clientpb.WriteReply{Code: uint32(causeway.CodeOf(err)), Cause: cause(err)}, nil
	}
	s.wrote(ctx, r.Caller, v.Name)
	result, err := s.cfg.Transfer.Write(ctx, c, h, r.Offset, r.Data, causeway.Stability(r.Stability))
	s.count(ctx, r.Caller, v.Name, result.N)
	return &clientpb.WriteReply{
		Code: uint32(causeway.CodeOf(err)), Cause: cause(err), Verifier: append([]byte(nil), result.Verifier[:]...), Stability: uint32(result.Stable),
	}, nil
}

// Commit makes unstable writes stable.
func (s *Server) Commit(ctx context.Context, r *clientpb.Request) (*clientpb.WriteReply, error) {
	c, h, _, err := s.admit(ctx, r.Caller, r.Handle)
	out := &clientpb.WriteReply{}
	if err == nil {
		span := causeway.Span{Offset: r.Offset, Length: r.Length}
		if span == (causeway.Span{}) {
			span.Length = causeway.ToEOF
		}
		result, syncErr := s.cfg.Transfer.Sync(ctx, c, h, span)
		err, out.Verifier = syncErr, append([]byte(nil), result.Verifier[:]...)
	}
	out.Code, out.Cause = uint32(causeway.CodeOf(err)), cause(err)
	return out, nil
}
