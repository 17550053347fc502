package causeway_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// arrows says which rooms of this module a room may import, besides the root and internal/. A room without a line may
// import nothing. Tests may import what they like.
var arrows = map[string][]string{
	".":                      {},
	"backend":                {},
	"backend/*":              {"backend"},
	"cluster":                {"cluster/*"},
	"cluster/*":              {"cluster/record"},
	"lockmgr":                {"lockmgr/table"},
	"lockmgr/notify":         {},
	"lockmgr/table":          {},
	"cluster/address":        {},
	"cluster/address/mirror": {"cluster/address"},
	"gateway":                {},
	"gateway/access":         {"gateway", "backend", "lockmgr", "lockmgr/notify", "gateway/access/grants", "gateway/spelling"},
	"gateway/spelling":       {},
	"gateway/access/grants":  {},
	"gateway/near":           {"gateway"},
	"gateway/transfer":       {"gateway", "backend", "gateway/transfer/path"},
	"gateway/transfer/path":  {},
	"gateway/billy":          {"gateway"},
	"gateway/route":          {"gateway"},
	"gateway/replies":        {"gateway"},
	"gateway/shadow":         {"gateway"},
	"gateway/rounds":         {"gateway"},
	"gateway/peer":           {"gateway", "gateway/*"},
	"gateway/peer/*":         {"gateway", "gateway/shadow", "gateway/peer/*"},
	"gateway/gatewaytest":    {"gateway"},
	"gateway/nfs/*":          {"gateway", "gateway/rounds", "gateway/nfs/*"},
	"admin":                  {},
	"cluster/balance":        {},
	"discovery":              {},
	"redirect":               {},
	"redirect/*":             {},
	"client":                 {"client/clientpb", "redirect"},
	"client/clientpb":        {},
	"gateway/aware":          {"gateway", "gateway/nfs/fh", "client/clientpb"},
	"cmd/causeway":           {"*"},
	"cmd/causeway/*":         {"*"},
	"e2e":                    {"e2e/*"},
	"e2e/*":                  {"e2e/*"},
	"e2e/aware":              {"e2e/*", "client", "redirect"},
	"e2e/bench":              {"e2e/*", "client"}, // the library is what it measures
	"internal/*":             {},
	"backend/faulty":         {"backend", "backend/mem"},
	"backend/smb":            {"backend", "backend/billyfs"},
	"backend/blocks":         {"backend", "backend/mem", "backend/blocks/device"},
	"backend/blocks/device":  {"backend"},
	"gateway/smb/*":          {"gateway", "gateway/smb/*"},
	"gateway/smb":            {"gateway", "gateway/smb/*", "gateway/spelling"},
}

// TestArrows holds the directions between rooms (ARCHITECTURE.md).
func TestArrows(t *testing.T) {
	rooms := 0
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		rooms++
		room := filepath.ToSlash(filepath.Dir(file))
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			to, ours := strings.CutPrefix(name, "causeway/")
			if name == "causeway" || !ours && strings.Contains(strings.Split(name, "/")[0], ".") && room != "." || !ours && !strings.Contains(strings.Split(name, "/")[0], ".") {
				continue
			}
			if !ours || !allowed(room, to) {
				t.Errorf("%s: room %s must not import %s", file, room, name)
			}
		}
		return nil
	})
	if err != nil || rooms == 0 {
		t.Fatal(rooms, err)
	}
}

func allowed(room, to string) bool {
	if strings.HasPrefix(to, "internal/") {
		return true
	}
	tos, ok := arrows[room]
	for pattern, list := range arrows {
		if strings.HasSuffix(pattern, "/*") && strings.HasPrefix(room, strings.TrimSuffix(pattern, "*")) && !ok {
			tos = list
		}
	}
	for _, pattern := range tos {
		if match, _ := path.Match(pattern, to); match || pattern == "*" || strings.HasSuffix(pattern, "/*") && strings.HasPrefix(to, strings.TrimSuffix(pattern, "*")) {
			return true
		}
	}
	return false
}
