package config

import (
	"fmt"

	"causeway"
)

// ParseSMB parses whether a volume is served over SMB. "" is on.
func ParseSMB(word string) (on bool, err error) { return choose(word, "on", "on", "off") }

// ParseEncrypt parses whether requests must be encrypted. "" is offered.
func ParseEncrypt(word string) (required bool, err error) { return encrypts(word, "offered") }

// ParseSigning parses whether requests must be signed. "" is required.
func ParseSigning(word string) (required bool, err error) {
	return choose(word, "required", "required", "offered")
}

// ParseCase parses to whom names that differ in case only are the same: to nobody, to all, or to SMB clients alone, which is what "" is.
func ParseCase(word string) (sensitive, insensitive bool, err error) {
	switch word {
	case "", "by-protocol", "sensitive", "insensitive":
		return word == "sensitive", word == "insensitive", nil
	}
	return false, false, fmt.Errorf("%q is neither sensitive nor insensitive nor by-protocol", word)
}

// ParseLocks parses whether byte-range locks of SMB clients refuse no I/O of NFS clients. "" is mandatory.
func ParseLocks(word string) (advisory bool, err error) {
	return choose(word, "mandatory", "advisory", "mandatory")
}

func encrypts(word, general string) (bool, error) {
	return choose(word, general, "required", "offered")
}

// choose reports whether a word, or another one if it is empty, is the first of two.
func choose(word, general, yes, no string) (bool, error) {
	if word == "" {
		word = general
	}
	if word != yes && word != no {
		return false, fmt.Errorf("%q is neither %s nor %s", word, yes, no)
	}
	return word == yes, nil
}

// validateShare sets how the volume is served over SMB.
func (v *Volume) validateShare(at, encrypt string) error {
	if encrypt == "" {
		encrypt = "offered"
	}
	on, err := ParseSMB(v.SMB)
	if err != nil {
		return &Fault{at + ".smb", err}
	}
	v.Share = causeway.Share{Off: !on, Users: v.Users}
	if v.Share.Encrypt, err = encrypts(v.Encrypt, encrypt); err != nil {
		return &Fault{at + ".smb-encrypt", err}
	}
	if v.Share.CaseSensitive, v.Share.CaseInsensitive, err = ParseCase(v.Case); err != nil {
		return &Fault{at + ".case", err}
	}
	if v.Share.Advisory, err = ParseLocks(v.Locks); err != nil {
		return &Fault{at + ".locks", err}
	}
	return nil
}
