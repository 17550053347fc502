package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/state"
)

// settings are the flags and arguments of serve. They are kept, so that a reload can put them over the file's settings again.
type settings struct {
	file  string
	flags config.Config

	passwordFile string // of volumes in the arguments that are shares
	set          *pflag.FlagSet
	args         []string
}

func (s *settings) register(set *pflag.FlagSet) {
	def := config.Default()
	s.set = set
	set.StringVar(&s.file, "config", "", "YAML file with the same settings (causeway config example)")
	set.StringVar(&s.flags.Listen, "listen", def.Listen, "address and port of NFS, MOUNT, NLM and NSM")
	set.BoolVar(&s.flags.Portmap, "portmap", false, "also answer portmap on port 111 of that address, for plain mount host:/x and locks")
	set.StringArrayVar(&s.flags.Allow, "allow", def.Allow,
		"who may mount: CIDR=ro|rw[,root_squash|no_root_squash|all_squash,anonuid=N,anongid=N,secure|insecure]; may be repeated")
	set.StringVar(&s.flags.Admin, "admin", def.Admin, `address of health, metrics and status over HTTP; "off": none`)
	awareFlags(set, &s.flags)
	set.StringVar(&s.flags.StateDir, "state-dir", "", "keys, volume, lock and client records (default /var/lib/causeway for root, else the XDG state directory)")
	set.BoolVar(&s.flags.Async, "async", false, "acknowledge names and attributes before they are on disk: faster, and a crash loses the last seconds")
	set.BoolVar(&s.flags.Exclusive, "exclusive", false, "promise that nothing else changes the directories, so that attributes and names may be cached")
	set.BoolVar(&s.flags.ReadOnly, "read-only", false, "let nobody change anything")
	set.StringVar(&s.flags.Grace, "grace", def.Grace, "how long after a restart only clients that held locks may take locks")
	set.StringVar(&s.flags.SMB, "smb", def.SMB, `address and port of SMB, as in 0.0.0.0:445; "off": none; users are made with causeway user add`)
	set.StringVar(&s.flags.Encrypt, "smb-encrypt", def.Encrypt, "required or offered: whether SMB requests that are not encrypted are refused")
	set.StringVar(&s.flags.Signing, "smb-signing", def.Signing, "required or offered: whether SMB requests that are neither signed nor encrypted are refused")
	set.StringVar(&s.passwordFile, "password-file", "", "file whose first line is the password, for smb://user@host/share as a volume")
	set.BoolVar(&s.flags.Groups, "groups", false, groupsHelp)
	set.StringVar(&s.flags.LogFormat, "log-format", def.LogFormat, "text or json")
	set.StringVar(&s.flags.LogLevel, "log-level", def.LogLevel, "debug, info, warn or error")
}

// load reads the file, puts the flags over it, adds the volumes of the arguments and checks the whole.
func (s *settings) load() (*config.Config, error) {
	f := &config.File{Config: config.Default()}
	if s.file != "" {
		var err error
		if f, err = config.Load(s.file); err != nil {
			return nil, err
		}
		if err := f.Config.CheckPaths(); err != nil {
			return nil, f.Locate(err)
		}
	}
	c := &f.Config
	s.overlay(c)
	for _, arg := range s.args {
		v, err := parseVolume(arg)
		if err != nil {
			return nil, err
		}
		if v.IsShare() {
			v.PasswordFile = s.passwordFile
		}
		c.Volumes = append(c.Volumes, v)
	}
	if len(c.Volumes) == 0 {
		return nil, errors.New("there is nothing to serve: name a directory, as in: causeway serve /srv/data")
	}
	if err := c.Validate(); err != nil {
		return nil, readable(err, s.args)
	}
	return c, readable(c.CheckPaths(), s.args)
}

// overlay puts the flags that were given over what the file says.
func (s *settings) overlay(c *config.Config) {
	put := map[string]func(){
		"listen":      func() { c.Listen = s.flags.Listen },
		"portmap":     func() { c.Portmap = s.flags.Portmap },
		"allow":       func() { c.Allow = s.flags.Allow },
		"admin":       func() { c.Admin = s.flags.Admin },
		"state-dir":   func() { c.StateDir = s.flags.StateDir },
		"async":       func() { c.Async = s.flags.Async },
		"exclusive":   func() { c.Exclusive = s.flags.Exclusive },
		"read-only":   func() { c.ReadOnly = s.flags.ReadOnly },
		"grace":       func() { c.Grace = s.flags.Grace },
		"smb":         func() { c.SMB = s.flags.SMB },
		"smb-encrypt": func() { c.Encrypt = s.flags.Encrypt },
		"smb-signing": func() { c.Signing = s.flags.Signing },
		"groups":      func() { c.Groups = s.flags.Groups },
		"log-format":  func() { c.LogFormat = s.flags.LogFormat },
		"log-level":   func() { c.LogLevel = s.flags.LogLevel },
		"aware":       func() { c.Aware = s.flags.Aware },
		"aware-tls":   func() { c.AwareTLS = s.flags.AwareTLS },
		"aware-unix":  func() { c.AwareUnix = s.flags.AwareUnix },
		"link-speed":  func() { c.LinkSpeed = s.flags.LinkSpeed },
		"shared-cpu":  func() { c.SharedCPU = s.flags.SharedCPU },
	}
	s.set.Visit(func(f *pflag.Flag) {
		if p := put[f.Name]; p != nil {
			p()
		}
	})
}

// parseVolume parses [NAME=]DIR or [NAME=]smb://user@host/share. What stands before "=" is a name unless it has a slash; "./a=b" is a directory.
func parseVolume(arg string) (v config.Volume, err error) {
	name, dir, named := strings.Cut(arg, "=")
	if strings.HasPrefix(arg, config.ShareScheme) {
		return config.Volume{Path: arg}, nil
	}
	if named && strings.HasPrefix(dir, config.ShareScheme) {
		return config.Volume{Name: name, Path: dir}, nil
	}
	if !named || strings.Contains(name, "/") {
		name, dir = "", arg
	} else if name == "" {
		return v, errors.New(arg + ": the name before = is missing")
	}
	if dir == "" {
		return v, errors.New(arg + ": the directory is missing")
	}
	v.Name = name
	v.Path, err = filepath.Abs(dir)
	return v, err
}

// readable turns the place of a fault in a file into the flag or argument that is meant.
func readable(err error, args []string) error {
	bad := (*config.Fault)(nil)
	if !errors.As(err, &bad) {
		return err
	}
	where := strings.TrimPrefix(bad.Path, "$.")
	where, _, _ = strings.Cut(where, "[")
	if where == "volumes" && len(args) > 0 {
		return bad.Err
	}
	return errors.New("--" + where + ": " + bad.Err.Error())
}

// stateDir returns where the state is kept: what was said, else the default of this user.
func stateDir(said string) (string, error) {
	if said != "" {
		return filepath.Abs(said)
	}
	return state.DefaultPath(os.Geteuid(), os.Getenv)
}

// stateFlags are how the commands that speak to a running gateway find it.
type stateFlags struct{ dir, file string }

func (f *stateFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dir, "state-dir", "", "state directory of the gateway (default as for serve)")
	cmd.Flags().StringVar(&f.file, "config", "", "configuration file of the gateway, to find its state directory")
}

func (f *stateFlags) path() (string, error) {
	if f.dir == "" && f.file != "" {
		c, err := config.Load(f.file)
		if err != nil {
			return "", err
		}
		return stateDir(c.Config.StateDir)
	}
	return stateDir(f.dir)
}
