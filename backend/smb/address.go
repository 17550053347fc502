package smb

import (
	"errors"
	"net/url"
	"strings"
)

// Scheme begins the address of a share.
const Scheme = "smb://"

// ParseAddress takes smb://user@host[:port]/share[/directory] apart. A domain stands before the user's name: smb://DOMAIN;user@host/share
// (draft-crhertel-smb-url). A password has no place there: addresses are shown and logged.
func ParseAddress(address string) (Config, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Config{}, errors.New("not an address of a share: smb://user@host/share")
	}
	share, dir, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	switch _, secret := u.User.Password(); {
	case u.Scheme != "smb" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return Config{}, errors.New("not an address of a share: smb://user@host/share")
	case secret:
		return Config{}, errors.New("a password does not belong into an address, but into a file")
	case share == "":
		return Config{}, errors.New("the name of the share is missing")
	}
	user := u.User.Username()
	if domain, name, ok := strings.Cut(user, ";"); ok {
		user = domain + `\` + name
	}
	c := Config{Address: u.Host, Share: share, Directory: dir, User: user}
	return c, c.Validate()
}
