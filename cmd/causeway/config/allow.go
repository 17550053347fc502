package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"causeway"
)

// ParseRule parses one rule of who may mount, in the words of exports(5):
//
//	CIDR=ro|rw[,root_squash|no_root_squash|all_squash][,anonuid=N][,anongid=N][,secure|insecure]
//
// A bare address stands for itself alone. What is not said is root_squash, anonuid=65534, anongid=65534 and insecure.
func ParseRule(text string) (causeway.ExportRule, error) {
	r := causeway.ExportRule{AnonUID: causeway.Nobody, AnonGID: causeway.Nobody}
	network, options, ok := strings.Cut(text, "=")
	if !ok {
		host, _, _ := strings.Cut(text, "(") // exports(5) has HOST(OPTIONS)
		if p, err := parsePrefix(host); err == nil {
			host = p.String()
		} else if !strings.ContainsAny(host, ".:") {
			host = "192.168.1.0/24"
		}
		return r, fmt.Errorf("%q does not say ro or rw, as in %s=rw", text, host)
	}
	var err error
	if r.Prefix, err = parsePrefix(network); err != nil {
		return r, err
	}
	words := strings.Split(options, ",")
	switch words[0] {
	case "ro":
		r.ReadOnly = true
	case "rw":
	default:
		return r, fmt.Errorf("%q: the first word after %s= is %q, neither ro nor rw", text, network, words[0])
	}
	said := map[string]string{"ro|rw": words[0]}
	for _, word := range words[1:] {
		topic, err := applyOption(&r, word)
		if err != nil {
			return r, fmt.Errorf("%q: %w", text, err)
		}
		if said[topic] != "" {
			return r, fmt.Errorf("%q: %s after %s", text, word, said[topic])
		}
		said[topic] = word
	}
	return r, nil
}

// applyOption sets one option and returns what it is about, so that no two are about the same.
func applyOption(r *causeway.ExportRule, word string) (topic string, err error) {
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "anonuid", "anongid":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil || n == 1<<32-1 {
			return "", fmt.Errorf("%s wants a number from 0 to 4294967294, not %q", key, value)
		}
		if key == "anonuid" {
			r.AnonUID = uint32(n)
		} else {
			r.AnonGID = uint32(n)
		}
		return key, nil
	}
	switch word {
	case "root_squash":
		r.Squash = causeway.RootSquash
	case "no_root_squash":
		r.Squash = causeway.NoRootSquash
	case "all_squash":
		r.Squash = causeway.AllSquash
	case "secure", "insecure":
		r.Secure = word == "secure"
		return "secure|insecure", nil
	case "ro", "rw":
		return "ro|rw", nil
	default:
		return "", fmt.Errorf("%q is none of root_squash, no_root_squash, all_squash, anonuid=N, anongid=N, secure and insecure", word)
	}
	return "squash", nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		if a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q has a zone; rules are about addresses alone", text)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil && text == "*" {
		return p, fmt.Errorf("%q is no network; everybody is 0.0.0.0/0, and ::/0 for IPv6", text)
	}
	if err != nil {
		return p, fmt.Errorf("%q is neither an IP address nor a network such as 192.168.1.0/24", text)
	}
	if p.Addr().Is4In6() {
		return p, fmt.Errorf("%q is an IPv4 network in IPv6 clothes; write it as IPv4", text)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("%q has bits behind its mask; the network is %v", text, p.Masked())
	}
	return p, nil
}

// FormatRule is the reverse of ParseRule.
func FormatRule(r *causeway.ExportRule) string {
	words := []string{"rw", "root_squash"}
	if r.ReadOnly {
		words[0] = "ro"
	}
	switch r.Squash {
	case causeway.NoRootSquash:
		words[1] = "no_root_squash"
	case causeway.AllSquash:
		words[1] = "all_squash"
	}
	if r.AnonUID != causeway.Nobody {
		words = append(words, fmt.Sprintf("anonuid=%d", r.AnonUID))
	}
	if r.AnonGID != causeway.Nobody {
		words = append(words, fmt.Sprintf("anongid=%d", r.AnonGID))
	}
	if r.Secure {
		return r.Prefix.String() + "=" + strings.Join(append(words, "secure"), ",")
	}
	return r.Prefix.String() + "=" + strings.Join(append(words, "insecure"), ",")
}

func parseRules(at string, texts []string) ([]causeway.ExportRule, error) {
	if len(texts) > MaxRules {
		return nil, fault(at, "%d rules are more than %d", len(texts), MaxRules)
	}
	rules := make([]causeway.ExportRule, 0, len(texts))
	seen := map[netip.Prefix]bool{}
	for i, text := range texts {
		r, err := ParseRule(text)
		if err == nil && seen[r.Prefix] {
			err = fmt.Errorf("there are two rules for %v", r.Prefix)
		}
		if err != nil {
			return nil, &Fault{fmt.Sprintf("%s[%d]", at, i), err}
		}
		seen[r.Prefix] = true
		rules = append(rules, r)
	}
	return rules, nil
}
