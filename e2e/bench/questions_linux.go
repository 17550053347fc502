package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// question is a part of a comparison, which -only picks by its name.
type question[T any] struct {
	name string
	ask  func(T, context.Context) error
}

// askAll asks what only names, separated by commas. One that fails does not keep the others from being asked.
func askAll[T any](ctx context.Context, bench T, questions []question[T], only string) error {
	var errs []error
	for _, q := range questions {
		if slices.Contains(strings.Split(only, ","), q.name) && ctx.Err() == nil {
			fmt.Printf("\n%s\n", q.name)
			if err := q.ask(bench, ctx); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", q.name, err))
			}
		}
	}
	return errors.Join(errs...)
}
