// Package boottime tells the time that has passed for the machine: it goes on while the process is stopped or the machine
// suspended, and nobody sets it.
package boottime
