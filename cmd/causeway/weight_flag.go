package main

import (
	"fmt"
	"strconv"
)

// weightFlag is a weight, or "auto".
type weightFlag struct {
	value uint64
	auto  bool
}

// String implements pflag.Value.
func (f *weightFlag) String() string {
	if f.auto {
		return "auto"
	}
	return strconv.FormatUint(f.value, 10)
}

// Set implements pflag.Value.
func (f *weightFlag) Set(text string) (err error) {
	if f.auto = text == "auto"; f.auto {
		return nil
	}
	if f.value, err = strconv.ParseUint(text, 10, 32); err != nil {
		return fmt.Errorf("%q is neither a number nor auto", text)
	}
	return nil
}

// Type implements pflag.Value.
func (f *weightFlag) Type() string { return "uint|auto" }

// settings are what an order says: one of them, so that a number ends auto, and auto begins with the weight that there is.
func (f *weightFlag) settings() (weight *uint64, auto *bool) {
	if f.auto {
		return nil, &f.auto
	}
	return &f.value, &f.auto
}
