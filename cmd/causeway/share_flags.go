package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"causeway"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/member"
)

// shareFlags are the words of how a volume is served over SMB.
type shareFlags struct {
	smb, encrypt, caseWord, locks string
	users                         []string
}

func (f *shareFlags) register(set *pflag.FlagSet) {
	set.StringVar(&f.smb, "smb", "on", "on or off: whether it is a share, where gateways answer SMB")
	set.StringVar(&f.encrypt, "smb-encrypt", "offered", "required or offered: whether SMB requests that are not encrypted are refused")
	set.StringSliceVar(&f.users, "smb-users", nil, "who may use the share, separated by commas (default all users)")
	set.StringVar(&f.caseWord, "case", "by-protocol", "sensitive, insensitive or by-protocol: whether clients find Report.txt as report.TXT: none, all, or those of SMB alone")
	set.StringVar(&f.locks, "locks", "mandatory", "mandatory or advisory: whether byte-range locks of SMB clients refuse reads and writes of NFS clients too")
}

// fill takes those flags that were given.
func (f *shareFlags) fill(given func(string) bool, in *member.VolumeOrder) error {
	for _, word := range []struct {
		flag, text string
		parse      func(string) (bool, error)
		to         **bool
	}{
		{"smb", f.smb, config.ParseSMB, &in.SMB},
		{"smb-encrypt", f.encrypt, config.ParseEncrypt, &in.SMBEncrypt},
		{"locks", f.locks, config.ParseLocks, &in.Advisory},
	} {
		if !given(word.flag) {
			continue
		}
		value, err := word.parse(word.text)
		if err != nil {
			return fmt.Errorf("--%s: %w", word.flag, err)
		}
		*word.to = &value
	}
	if given("case") {
		sensitive, insensitive, err := config.ParseCase(f.caseWord)
		if err != nil {
			return fmt.Errorf("--case: %w", err)
		}
		in.CaseSensitive, in.CaseInsensitive = &sensitive, &insensitive
	}
	if given("smb-users") {
		users := append([]string{}, f.users...)
		in.SMBUsers = &users
	}
	return nil
}

// shareText says how a volume is served over SMB.
func shareText(s causeway.Share) string {
	if s.Off {
		return "no"
	}
	text := "for " + whoUses(&causeway.Volume{SMB: s})
	if s.Encrypt {
		text += ", encrypted only"
	}
	if s.CaseSensitive {
		text += ", case-sensitive"
	}
	if s.CaseInsensitive {
		text += ", case-insensitive over NFS too"
	}
	if s.Advisory {
		text += ", locks advisory"
	}
	return text
}
