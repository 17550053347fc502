package engine

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapTo returns a logger for etcd that writes to log. etcd calls much an error or a warning
// that is usual when servers come and go: to an operator it is information, or debugging. While it is quiet all of it is: a server that is being closed complains about that.
func zapTo(log *slog.Logger, quiet *atomic.Bool) *zap.Logger {
	return zap.New(core{log.Handler(), quiet})
}

type core struct {
	handler slog.Handler
	quiet   *atomic.Bool
}

func (c core) level(l zapcore.Level) slog.Level {
	switch {
	case c.quiet.Load():
		return slog.LevelDebug
	case l > zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.ErrorLevel:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// Enabled reports whether the level is logged.
func (c core) Enabled(l zapcore.Level) bool {
	return c.handler.Enabled(context.Background(), c.level(l))
}

// With returns a core that adds fields to each entry.
func (c core) With(fields []zapcore.Field) zapcore.Core {
	return core{c.handler.WithAttrs(attrs(fields)), c.quiet}
}

// Check adds the core to an entry that is logged.
func (c core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write logs an entry.
func (c core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	r := slog.NewRecord(e.Time, c.level(e.Level), "configuration database: "+e.Message, 0)
	r.AddAttrs(attrs(fields)...)
	return c.handler.Handle(context.Background(), r)
}

// Sync does nothing: handlers do not buffer.
func (c core) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	enc := zapcore.NewMapObjectEncoder()
	list := make([]slog.Attr, 0, len(fields))
	for _, f := range fields {
		f.AddTo(enc)
		if v, ok := enc.Fields[f.Key]; ok {
			list = append(list, slog.Any(f.Key, v))
		}
	}
	return list
}
