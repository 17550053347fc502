package discovery

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

const maxLabel = 63 // RFC 1035 §2.3.4

// Names directly below the zone that no volume can have.
const (
	gatewaysLabel = "gateways"
	serversLabel  = "ns"
)

// labels gives each name a label of its own, that can stand in a host name (RFC 1123 §2.1). A name that is one in lower case keeps it,
// unless it is reserved. In others, each run of other characters becomes a hyphen; where that is what another name gives too, or reserved, a
// hyphen and a number that depends on the name alone follow.
func labels(names []string, reserved ...string) map[string]string {
	count := map[string]int{}
	exact := map[string]bool{}
	for _, name := range names {
		count[plain(name)]++
		exact[name] = true
	}
	all := make(map[string]string, len(names))
	taken := make(map[string]bool, len(names))
	for _, name := range names {
		if label := plain(name); label == name && !slices.Contains(reserved, label) {
			all[name], taken[label] = label, true
		}
	}
	for _, name := range names {
		if all[name] != "" {
			continue
		}
		label := plain(name)
		for salt := 0; label == "" || taken[label] || count[label] > 1 || exact[label] || slices.Contains(reserved, label); salt++ {
			label = numbered(name, salt)
		}
		all[name], taken[label] = label, true
	}
	return all
}

// plain is the label that a name has by itself.
func plain(name string) string {
	var b strings.Builder
	for _, c := range []byte(strings.ToLower(name)) {
		if isHostByte(c) && c != '-' {
			b.WriteByte(c)
		} else if s := b.String(); s != "" && (c == '-' || !strings.HasSuffix(s, "-")) {
			b.WriteByte('-')
		}
	}
	label := b.String()
	return strings.Trim(label[:min(len(label), maxLabel)], "-")
}

func numbered(name string, salt int) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s\x00%d", name, salt)
	number := fmt.Sprintf("%06x", h.Sum32()&0xffffff)
	label := plain(name)
	label = strings.Trim(label[:min(len(label), maxLabel-1-len(number))], "-")
	return strings.TrimPrefix(label+"-"+number, "-")
}

// isHostLabel reports whether a label in lower case can stand in a host name.
func isHostLabel(label string) bool {
	for _, c := range []byte(label) {
		if !isHostByte(c) {
			return false
		}
	}
	return label != "" && label[0] != '-' && label[len(label)-1] != '-'
}

func isHostByte(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' }

// instance spells a name as a label of a service instance, which may hold anything (RFC 6763 §4.1.1), as package dns does.
func instance(name string) string {
	var b strings.Builder
	for _, c := range []byte(name[:min(len(name), maxLabel)]) {
		switch {
		case c == '.' || c == '\\' || c == '"' || c == ' ' || c == '\'' || c == '@' || c == ';' || c == '(' || c == ')':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, "\\%03d", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
