package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"causeway/cmd/causeway/config"
	"causeway/gateway/nfs/export"
)

const groupsHelp = "look up the groups of users on this machine, in place of the at most 16 that clients claim"

// maxGroupsText bounds what the user database's answer may be, in bytes: thousands of groups.
const maxGroupsText = 64 << 10

// newGroups returns the look-up of users' groups, or nil where the client's word counts.
func newGroups(c *config.Config) (*export.Groups, error) {
	if !c.Groups {
		return nil, nil
	}
	program, err := exec.LookPath("id")
	if err != nil {
		return nil, fmt.Errorf("--groups asks the program id for a user's groups: %w", err)
	}
	return export.NewGroups(export.GroupsConfig{Find: idProgram(program).find})
}

// idProgram is the path of id(1). It asks all sources of users that the machine is configured for (nsswitch.conf(5)), which a
// static binary cannot do by itself.
type idProgram string

// find returns all groups of a user. The sign keeps id from taking the number for a name; a busybox knows no signs, and takes
// numbers for numbers.
func (p idProgram) find(ctx context.Context, uid uint32) ([]uint32, error) {
	number := strconv.FormatUint(uint64(uid), 10)
	groups, err := p.ask(ctx, "+"+number)
	if err != nil && ctx.Err() == nil {
		groups, err = p.ask(ctx, number)
	}
	return groups, err
}

func (p idProgram) ask(ctx context.Context, user string) ([]uint32, error) {
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	id := exec.CommandContext(ctx, string(p), "-G", user)
	id.Env = []string{"LC_ALL=C"}
	id.WaitDelay = time.Second
	out := &boundedBuffer{left: maxGroupsText, full: kill}
	id.Stdout = out
	if err := id.Run(); err != nil {
		return nil, fmt.Errorf("id -G %s: %w", user, err)
	}
	return parseGroups(string(out.text))
}

func parseGroups(text string) ([]uint32, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, errors.New("id names no group")
	}
	groups := make([]uint32, len(words))
	for i, word := range words {
		n, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("id names the group %q, which is no number", word)
		}
		groups[i] = uint32(n)
	}
	return groups, nil
}

// boundedBuffer fails when more is written than it has room for, and calls full. It is no bytes.Buffer, which would read
// without bounds by itself.
type boundedBuffer struct {
	text []byte
	left int
	full func()
}

// Write appends p.
func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		b.full()
		return 0, errors.New("the answer is too long")
	}
	b.text = append(b.text, p...)
	return len(p), nil
}
