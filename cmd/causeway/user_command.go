package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"causeway"
	"causeway/cmd/causeway/accounts"
	"causeway/cmd/causeway/member"
	"causeway/gateway/smb/auth"
)

// usersDir is where the state directory keeps the accounts of a gateway that serves alone.
const usersDir = "users"

func newUser() *cobra.Command {
	c := &cobra.Command{
		Use:   "user",
		Short: "Manage who may log on over SMB",
		Long: "Manage who may log on over SMB: users of a gateway that serves alone (it need not run), or of a whole cluster (a gateway must\n" +
			"run here). What is changed counts for the next logon, at all gateways.",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newUserAdd(), newUserPassword(), newUserList(), newUserRemove())
	return c
}

// userBook is where accounts are kept: in a file, or by a gateway of a cluster.
type userBook interface {
	order(ctx context.Context, o *accounts.Order) (accounts.Shown, error)
	list(ctx context.Context) ([]accounts.Shown, error)
	remove(ctx context.Context, name string) error
}

// openUsers finds it.
func openUsers(dir string, c *control) (userBook, error) {
	f, err := readFounding(dir)
	if err != nil {
		return nil, err
	}
	if f != nil || isNode(dir) {
		return clusterUsers{c}, nil
	}
	return fileUsers{accounts.NewBook(filepath.Join(dir, usersDir))}, nil
}

type fileUsers struct{ *accounts.Book }

func (f fileUsers) order(_ context.Context, o *accounts.Order) (accounts.Shown, error) {
	u, err := f.Order(o)
	if err != nil {
		return accounts.Shown{}, err
	}
	return accounts.Show(u), nil
}

func (f fileUsers) list(context.Context) ([]accounts.Shown, error) {
	users, err := f.Users()
	shown := []accounts.Shown{}
	for _, u := range users {
		shown = append(shown, accounts.Show(u))
	}
	return shown, err
}

func (f fileUsers) remove(_ context.Context, name string) error {
	err := f.Remove(name)
	if causeway.CodeOf(err) == causeway.ErrNoEnt {
		return noSuch("user", name)
	}
	return err
}

type clusterUsers struct{ *control }

func (c clusterUsers) order(ctx context.Context, o *accounts.Order) (u accounts.Shown, err error) {
	_, err = c.control.order(ctx, "/cluster/user/put", o, &u)
	return u, err
}

func (c clusterUsers) list(ctx context.Context) (users []accounts.Shown, err error) {
	text, err := c.do(ctx, "GET", "/cluster/users")
	if err == nil {
		err = json.Unmarshal(text, &users)
	}
	return users, err
}

func (c clusterUsers) remove(ctx context.Context, name string) error {
	_, err := c.control.order(ctx, "/cluster/user/rm", member.Named{Name: name}, nil)
	return err
}

func newUserAdd() *cobra.Command {
	o := &clusterCommand{use: "add NAME", short: "Let somebody log on over SMB; the password is asked for, or read from the standard input",
		example: "  causeway user add ann\n  causeway user add bob --uid 1001 --gid 100 --groups 27,44 < password"}
	var uid, gid uint32
	var groups []uint
	c := o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		in := accounts.Order{Name: args[0], New: true, UID: &uid, GID: &gid}
		if err := localIDs(o.cmd, args[0], &uid, &gid); err != nil {
			return err
		}
		list := []uint32{}
		for _, g := range groups {
			if g >= 1<<32-1 {
				return usage(o.cmd, fmt.Errorf("--groups: %d is no id", g))
			}
			list = append(list, uint32(g))
		}
		in.Groups = &list
		return o.user(ctx, c, &in, w)
	})
	c.Flags().Uint32Var(&uid, "uid", 0, "user id in the volumes (default that of the user of this name on this machine)")
	c.Flags().Uint32Var(&gid, "gid", 0, "group id (default his group on this machine, else the user id)")
	c.Flags().UintSliceVar(&groups, "groups", nil, "further group ids, separated by commas")
	return c
}

// localIDs fills in what was not said from the accounts of this machine.
func localIDs(cmd *cobra.Command, name string, uid, gid *uint32) error {
	haveUID, haveGID := cmd.Flags().Changed("uid"), cmd.Flags().Changed("gid")
	if haveUID && !haveGID {
		*gid = *uid
	}
	if haveUID {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return usage(cmd, fmt.Errorf("this machine has no user %s: say --uid, and --gid", name))
	}
	for _, id := range []struct {
		text string
		to   *uint32
		said bool
	}{{u.Uid, uid, false}, {u.Gid, gid, haveGID}} {
		n, err := strconv.ParseUint(id.text, 10, 32)
		if err != nil {
			return err
		}
		if !id.said {
			*id.to = uint32(n)
		}
	}
	return nil
}

// user reads a password, sends the order, and shows the account.
func (o *clusterCommand) user(ctx context.Context, c *control, in *accounts.Order, w io.Writer) error {
	password, err := readPassword(o.cmd.InOrStdin(), o.cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	hash := auth.NTHash(password)
	in.NTHash = hash[:]
	book, err := openUsers(c.dir, c)
	if err != nil {
		return err
	}
	u, err := book.order(ctx, in)
	if err != nil {
		return err
	}
	return o.print(w, nil, u, func() error {
		_, err := fmt.Fprintf(w, "user %s: uid %d, gid %d\n", u.Name, u.UID, u.GID)
		return err
	})
}

func newUserPassword() *cobra.Command {
	o := &clusterCommand{use: "passwd NAME", short: "Set another password of a user"}
	return o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		return o.user(ctx, c, &accounts.Order{Name: args[0]}, w)
	})
}

func newUserList() *cobra.Command {
	o := &clusterCommand{use: "ls", short: "List who may log on over SMB"}
	return o.command(cobra.NoArgs, func(ctx context.Context, c *control, _ []string, w io.Writer) error {
		book, err := openUsers(c.dir, c)
		if err != nil {
			return err
		}
		users, err := book.list(ctx)
		if err != nil {
			return err
		}
		return o.print(w, nil, users, func() error {
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			fmt.Fprintf(t, "USER\tUID\tGID\tGROUPS\n")
			for _, u := range users {
				groups := strings.Trim(fmt.Sprint(u.Groups), "[]")
				fmt.Fprintf(t, "%s\t%d\t%d\t%s\n", u.Name, u.UID, u.GID, orDash(strings.ReplaceAll(groups, " ", ",")))
			}
			return t.Flush()
		})
	})
}

func newUserRemove() *cobra.Command {
	o := &clusterCommand{use: "rm NAME", short: "Let a user log on no more; his files stay"}
	return o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		book, err := openUsers(c.dir, c)
		if err == nil {
			err = book.remove(ctx, args[0])
		}
		if err != nil {
			return err
		}
		return o.print(w, nil, struct{}{}, func() error {
			_, err := fmt.Fprintf(w, "user %s is removed; sessions that he has go on until they end\n", args[0])
			return err
		})
	})
}

// maxPassword bounds a password in bytes.
const maxPassword = 1024

// readPassword asks at a terminal, twice and without echo, or reads one line.
func readPassword(in io.Reader, out io.Writer) (string, error) {
	lines, restore, err := hidden(in)
	if err != nil {
		return "", err
	}
	defer restore()
	r := bufio.NewReader(io.LimitReader(in, 2*maxPassword))
	ask := func(prompt string) (string, error) {
		if lines {
			fmt.Fprint(out, prompt)
			defer fmt.Fprintln(out)
		}
		line, err := r.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	password, err := ask("password: ")
	switch {
	case err != nil:
		return "", err
	case password == "":
		return "", errors.New("the password is empty")
	case len(password) > maxPassword:
		return "", fmt.Errorf("the password is longer than %d bytes", maxPassword)
	case !lines:
		return password, nil
	}
	again, err := ask("again: ")
	if err == nil && again != password {
		err = errors.New("these are two passwords")
	}
	return password, err
}
