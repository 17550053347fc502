// Package config is what `causeway serve` can be told: the settings, their defaults, their grammar, and the YAML file that
// holds them. It reads no flags, opens no volume and touches nothing but the file it is given.
package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"causeway"
)

// Config is everything that a gateway can be told. Names in the file are those of the flags.
type Config struct {
	Listen    string   `yaml:"listen"`
	Portmap   bool     `yaml:"portmap"`
	Allow     []string `yaml:"allow"`
	Admin     string   `yaml:"admin"`      // "" or "off": none
	Aware     uint16   `yaml:"aware"`      // port of aware clients; 0: none
	AwareUnix string   `yaml:"aware-unix"` // where programs on this machine are lent descriptors; "": nowhere
	AwareTLS  string   `yaml:"aware-tls"`  // CERT,KEY: files in PEM; "": they are answered in the clear
	LinkSpeed uint32   `yaml:"link-speed"` // Mbit/s that each network interface carries; 0: as the kernel knows it
	SharedCPU bool     `yaml:"shared-cpu"` // the machine's processors do not count as this gateway's
	StateDir  string   `yaml:"state-dir"`
	Grace     string   `yaml:"grace"`
	Groups    bool     `yaml:"groups"`
	LogFormat string   `yaml:"log-format"`
	LogLevel  string   `yaml:"log-level"`
	Async     bool     `yaml:"async"`
	Exclusive bool     `yaml:"exclusive"`
	ReadOnly  bool     `yaml:"read-only"`
	SMB       string   `yaml:"smb"` // "" or "off": none
	Encrypt   string   `yaml:"smb-encrypt"`
	Signing   string   `yaml:"smb-signing"`
	Volumes   []Volume `yaml:"volumes"`

	// Set by Validate from the text above.
	ListenAddr  netip.AddrPort `yaml:"-"`
	AdminAddr   netip.AddrPort `yaml:"-"` // zero: none
	SMBAddr     netip.AddrPort `yaml:"-"` // zero: none
	GracePeriod time.Duration  `yaml:"-"`
	Level       slog.Level     `yaml:"-"`
}

// Volume is one exported directory. What is absent counts as it stands in the Config around it.
type Volume struct {
	Name      string   `yaml:"name"`
	Path      string   `yaml:"path"`
	Async     *bool    `yaml:"async"`
	Exclusive *bool    `yaml:"exclusive"`
	ReadOnly  *bool    `yaml:"read-only"`
	Allow     []string `yaml:"allow"`
	SMB       string   `yaml:"smb"` // on or off
	Encrypt   string   `yaml:"smb-encrypt"`
	Users     []string `yaml:"smb-users"`
	Case      string   `yaml:"case"`
	Locks     string   `yaml:"locks"`

	// Of a volume whose path is smb://user@host/share: a share of another server.
	PasswordFile string `yaml:"password-file"`
	UID          uint32 `yaml:"uid"` // owner of everything there
	GID          uint32 `yaml:"gid"`

	Share causeway.Share        `yaml:"-"`
	Rules []causeway.ExportRule `yaml:"-"` // set by Validate, as Modes is
	Modes Modes                 `yaml:"-"`
}

// Modes are the settings of a volume after what it does not say was filled in.
type Modes struct{ Async, Exclusive, ReadOnly bool }

// Bounds of settings.
const (
	MaxVolumes    = 1024
	MaxVolumeName = 80
	MaxRules      = 1024
	MaxGrace      = time.Hour
)

// Default returns the settings that hold when nothing is said.
func Default() Config {
	return Config{
		Listen:    "127.0.0.1:2049",
		Allow:     []string{"127.0.0.0/8=rw,root_squash,insecure", "::1/128=rw,root_squash,insecure"},
		Admin:     "127.0.0.1:9440",
		Grace:     "90s",
		SMB:       "off",
		Encrypt:   "offered",
		Signing:   "required",
		LogFormat: "text",
		LogLevel:  "info",
	}
}

// Fault is a setting that cannot be. Path is where it stands in the file, as a YAML path.
type Fault struct {
	Path string
	Err  error
}

// Error returns "setting: what is wrong".
func (f *Fault) Error() string { return strings.TrimPrefix(f.Path, "$.") + ": " + f.Err.Error() }

// Unwrap returns what is wrong.
func (f *Fault) Unwrap() error { return f.Err }

func fault(path, format string, args ...any) error { return &Fault{path, fmt.Errorf(format, args...)} }

// Validate fills in what follows from the text and returns a *Fault for the first setting that cannot be.
func (c *Config) Validate() (err error) {
	if c.ListenAddr, err = address(c.Listen, 2049); err != nil {
		return &Fault{"$.listen", err}
	}
	c.AdminAddr = netip.AddrPort{}
	if c.Admin != "" && c.Admin != "off" {
		if c.AdminAddr, err = address(c.Admin, 9440); err != nil {
			return &Fault{"$.admin", err}
		}
	}
	c.SMBAddr = netip.AddrPort{}
	if c.SMB != "" && c.SMB != "off" {
		if port, wrong := strconv.ParseUint(c.SMB, 10, 16); wrong == nil {
			return fault("$.smb", "%q is a port without an address, as in 0.0.0.0:%d", c.SMB, port)
		}
		if c.SMBAddr, err = address(c.SMB, 445); err != nil {
			return &Fault{"$.smb", err}
		}
	}
	if c.AwareUnix != "" && c.Aware == 0 {
		return fault("$.aware-unix", "aware is needed too: files are opened by way of it")
	}
	if cert, key, _ := strings.Cut(c.AwareTLS, ","); c.AwareTLS != "" && (cert == "" || key == "") {
		return fault("$.aware-tls", "%q is not two files, CERT,KEY", c.AwareTLS)
	}
	if _, err := ParseSigning(c.Signing); err != nil {
		return &Fault{"$.smb-signing", err}
	}
	if _, err := encrypts(c.Encrypt, "offered"); err != nil {
		return &Fault{"$.smb-encrypt", err}
	}
	c.GracePeriod, err = time.ParseDuration(c.Grace)
	if err != nil || c.GracePeriod != 0 && c.GracePeriod < time.Second || c.GracePeriod > MaxGrace {
		return fault("$.grace", "%q is neither 0s nor a time from 1s to 1h, as in 90s", c.Grace)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		return fault("$.log-format", "%q is neither text nor json", c.LogFormat)
	}
	if err := c.Level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return fault("$.log-level", "%q is none of debug, info, warn and error", c.LogLevel)
	}
	rules, err := parseRules("$.allow", c.Allow)
	if err != nil {
		return err
	}
	return c.validateVolumes(rules)
}

func (c *Config) validateVolumes(rules []causeway.ExportRule) error {
	if len(c.Volumes) > MaxVolumes {
		return fault("$.volumes", "%d volumes are more than %d", len(c.Volumes), MaxVolumes)
	}
	names, paths := map[string]bool{}, map[string]string{}
	for i := range c.Volumes {
		v, at := &c.Volumes[i], fmt.Sprintf("$.volumes[%d]", i)
		if err := v.validate(at, rules); err != nil {
			return err
		}
		if err := v.validateShare(at, c.Encrypt); err != nil {
			return err
		}
		if names[v.Name] {
			return fault(at+".name", "another volume is named %q already; name this one with NAME=%s", v.Name, v.Path)
		}
		if other, twice := paths[v.Path]; twice {
			return fault(at+".path", "%s is the volume %q already", v.Path, other)
		}
		names[v.Name], paths[v.Path] = true, v.Name
		v.Modes = Modes{or(v.Async, c.Async), or(v.Exclusive, c.Exclusive), or(v.ReadOnly, c.ReadOnly)}
	}
	return nil
}

func or(own *bool, general bool) bool {
	if own != nil {
		return *own
	}
	return general
}

func (v *Volume) validate(at string, general []causeway.ExportRule) (err error) {
	if v.Path == "" {
		return fault(at, "path is missing: the directory to export")
	}
	if err := v.validatePlace(at); err != nil {
		return err
	}
	if v.Name == "" {
		if v.Path == "/" {
			return fault(at+".path", "the root directory has no name of its own; give the volume one")
		}
		v.Name = filepath.Base(v.Path)
	}
	if err := checkName(v.Name); err != nil {
		return &Fault{at + ".name", err}
	}
	v.Rules = general
	if v.Allow != nil {
		v.Rules, err = parseRules(at+".allow", v.Allow)
	}
	return err
}

// ShareScheme begins the path of a volume that is a share of another server.
const ShareScheme = "smb://"

// IsShare reports whether the volume is a share of another server, not a directory.
func (v *Volume) IsShare() bool { return strings.HasPrefix(v.Path, ShareScheme) }

func (v *Volume) validatePlace(at string) error {
	switch {
	case v.IsShare() && v.PasswordFile == "":
		return fault(at+".password-file", "say --password-file, or password-file of the volume: the file whose first line is the password for %s", v.Path)
	case v.IsShare():
		v.Path = strings.TrimRight(v.Path, "/")
		return nil
	case v.PasswordFile != "" || v.UID != 0 || v.GID != 0:
		return fault(at, "password-file, uid and gid are for volumes whose path is %suser@host/share", ShareScheme)
	case !filepath.IsAbs(v.Path):
		return fault(at+".path", "%q is not absolute", v.Path)
	}
	v.Path = filepath.Clean(v.Path)
	return nil
}

// checkName accepts what can be an NFS export, an SMB share and a word on a command line without quotes.
func checkName(name string) error {
	if len(name) > MaxVolumeName {
		return fmt.Errorf("the name %q is longer than %d bytes", name, MaxVolumeName)
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("the name %q is not UTF-8", name)
	}
	for i, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || i > 0 && strings.ContainsRune("._-", r) || r == '_' {
			continue
		}
		return fmt.Errorf("the name %q has %q in it: letters, digits and (not first) . _ - can be; name the volume with NAME=DIR", name, r)
	}
	return nil
}

// address parses HOST:PORT, HOST or :PORT, where HOST is an IP address.
func address(text string, port uint16) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return netip.AddrPortFrom(a, port), nil
	}
	if strings.HasPrefix(text, ":") {
		text = "[::]" + text
	}
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		return a, fmt.Errorf("%q is not an IP address and port, as in 127.0.0.1:%d", text, port)
	}
	return a, nil
}
