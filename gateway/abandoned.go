package gateway

import "context"

type abandonable struct{}

// Abandonable returns a context of calls that asked may say of that nobody waits for them any more.
func Abandonable(ctx context.Context, asked func() bool) context.Context {
	return context.WithValue(ctx, abandonable{}, asked)
}

// Abandoned reports whether nobody waits for a call any more: its client has sent it again elsewhere, and may have gone on to other
// things since. A call that has waited asks before it changes anything that it cannot tell it has changed before (bytes, locks); one that
// has begun goes on. False if nothing is known of the caller.
func Abandoned(ctx context.Context) bool {
	asked, ok := ctx.Value(abandonable{}).(func() bool)
	return ok && asked()
}
