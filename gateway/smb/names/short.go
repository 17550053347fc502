package names

import (
	"hash/fnv"
	"strings"
)

// shortSpecial are the characters beside letters and digits that a short name may have ([MS-FSCC] 2.1.5.2.1).
const shortSpecial = "$%'-_@~`!(){}^#&"

func shortRune(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z':
		return r - 'a' + 'A'
	case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(shortSpecial, r):
		return r
	}
	return -1
}

// Short returns the short (8.3) name of a stored name: the name itself if it is one, else a beginning of it, "~", and four digits that
// are made of the whole. It is a function of the name alone, so that every gateway says the same; two names of a directory may have the same one.
func Short(name string) string {
	base, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		base, ext = name[:i], name[i+1:]
	}
	shortBase, shortExt := strings.Map(shortRune, base), strings.Map(shortRune, ext)
	if len(base) <= 8 && len(ext) <= 3 && len(shortBase) == len(base) && len(shortExt) == len(ext) && base != "" && !strings.HasSuffix(name, ".") {
		return strings.ToUpper(name)
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	short := []byte(shortBase[:min(len(shortBase), 3)])
	short = append(short, '~')
	for sum, i := h.Sum32(), 0; i < 4; i++ {
		short = append(short, digits[sum%32])
		sum /= 32
	}
	if shortExt != "" {
		short = append(append(short, '.'), shortExt[:min(len(shortExt), 3)]...)
	}
	return string(short)
}

// LooksShort reports whether a name may be one that Short made of another one.
func LooksShort(name string) bool {
	base, ext, _ := strings.Cut(name, ".")
	return len(base) <= 8 && len(ext) <= 3 && len(base) > 4 && base[len(base)-5] == '~'
}
