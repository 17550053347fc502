package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"causeway/admin"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/member"
	"causeway/gateway/smb"
)

const top = "../../"

// pages returns what users read.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(top + "docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, file := range append(files, top+"README.md", top+"CONTRIBUTING.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimPrefix(file, top)] = string(text)
	}
	return found
}

// fences returns the blocks of code of a page in a language.
func fences(page, language string) []string {
	var found []string
	for _, m := range regexp.MustCompile("(?sm)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		found = append(found, m[1])
	}
	return found
}

// TestCommandsInDocs parses every causeway command that the docs show, in blocks of code and in tables.
func TestCommandsInDocs(t *testing.T) {
	checked := 0
	for name, page := range pages(t) {
		lines := regexp.MustCompile("`(causeway [^`]+)`").FindAllStringSubmatch(page, -1)
		for _, block := range fences(page, "") {
			lines = append(lines, regexp.MustCompile(`(?m)^\s*(?:sudo )?(?:bin/)?(causeway [^#>\n]+)`).FindAllStringSubmatch(block, -1)...)
		}
		for _, m := range lines {
			checked++
			if err := parses(strings.Fields(m[1])[1:]); err != nil {
				t.Errorf("%s: %s: %v", name, m[1], err)
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d commands were found", checked)
	}
}

// parses finds the command that args name and parses its flags, without running it.
func parses(args []string) error {
	root := newRoot(io.Discard, io.Discard)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	c, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if allow, err := c.Flags().GetStringArray("allow"); err == nil {
		for _, rule := range allow {
			if _, err := config.ParseRule(rule); err != nil && rule != "CIDR" {
				return err
			}
		}
	}
	return nil
}

// TestFlagsInDocs holds that some command has each flag that a page names by itself.
func TestFlagsInDocs(t *testing.T) {
	known := map[string]bool{"manage-gids": true} // of rpc.mountd, for those who come from there
	var collect func(*cobra.Command)
	collect = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
		for _, sub := range c.Commands() {
			collect(sub)
		}
	}
	collect(newRoot(io.Discard, io.Discard))
	for name, page := range pages(t) {
		for _, m := range regexp.MustCompile("`--([a-z][a-z-]*)").FindAllStringSubmatch(page, -1) {
			if !known[m[1]] {
				t.Errorf("%s: no command has --%s", name, m[1])
			}
		}
	}
}

// TestOptionsInReadme holds that README lists each flag of serve, and none that does not exist.
func TestOptionsInReadme(t *testing.T) {
	readme := pages(t)["README.md"]
	_, table, _ := strings.Cut(readme, "## Options of serve")
	table, _, _ = strings.Cut(table, "\n## ")
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("`--([a-z-]+)").FindAllStringSubmatch(table, -1) {
		listed[m[1]] = true
	}
	flags := newServe().Flags()
	flags.VisitAll(func(f *pflag.Flag) {
		if !listed[f.Name] {
			t.Errorf("--%s is not in README.md", f.Name)
		}
		delete(listed, f.Name)
	})
	for name := range listed {
		t.Errorf("--%s is in README.md and does not exist", name)
	}
}

// TestSettingsInDocs holds that docs/configuration.md names every setting of the file.
func TestSettingsInDocs(t *testing.T) {
	page := pages(t)["docs/configuration.md"]
	newServe().Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" && !strings.Contains(page, "| `"+f.Name+"` |") {
			t.Errorf("%s is not in docs/configuration.md", f.Name)
		}
	})
	blocks := fences(page, "yaml")
	if len(blocks) == 0 {
		t.Error("no sample of a configuration")
	}
	for _, block := range blocks {
		if _, err := config.Parse("sample", []byte(block)); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
}

// TestCommandsInReadme holds that README lists every command.
func TestCommandsInReadme(t *testing.T) {
	readme := pages(t)["README.md"]
	for _, c := range newRoot(io.Discard, io.Discard).Commands() {
		if !c.Hidden && !strings.Contains(readme, "`causeway "+c.Name()) {
			t.Errorf("causeway %s is not in README.md", c.Name())
		}
		if c.Short == "" {
			t.Errorf("causeway %s has no description", c.Name())
		}
	}
}

// TestMetricsInDocs holds that docs/operations.md names the metrics that exist, and no others.
func TestMetricsInDocs(t *testing.T) {
	page := pages(t)["docs/operations.md"]
	described := make(chan *prometheus.Desc, 100)
	m := newMetrics()
	m.Observe(nfsProgram, 3, 1, 0, 1, 1, 1)
	if _, err := admin.New(admin.Config{Metrics: m}); err != nil {
		t.Fatal(err)
	}
	if err := m.Registry().Register(member.NewMetrics()); err != nil {
		t.Fatal(err)
	}
	if err := m.Registry().Register(dnsMetrics{}); err != nil {
		t.Fatal(err)
	}
	if err := m.Registry().Register(smbMetrics{func() (s smb.Stats) { return s }}); err != nil {
		t.Fatal(err)
	}
	m.Registry().Describe(described)
	close(described)
	exists := map[string]bool{}
	for d := range described {
		if m := regexp.MustCompile(`fqName: "(causeway_[a-z_]+)"`).FindStringSubmatch(d.String()); m != nil {
			exists[m[1]] = true
		}
	}
	if len(exists) < 10 {
		t.Errorf("only %d metrics", len(exists))
	}
	for name := range exists {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("%s is not in docs/operations.md", name)
		}
	}
	for _, m := range regexp.MustCompile("`(causeway_[a-z_]+)[{`]").FindAllStringSubmatch(page, -1) {
		if !exists[m[1]] {
			t.Errorf("%s is in docs/operations.md and does not exist", m[1])
		}
	}
}

// anchors are what the headings of a page can be linked by.
func anchors(page string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(page, -1) {
		words := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, "#"+strings.ReplaceAll(words, " ", "-"))
	}
	return all
}

// TestLinksInDocs holds that what the pages link to, and the targets of make that they name, exist.
func TestLinksInDocs(t *testing.T) {
	makefile, err := os.ReadFile(top + "Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range pages(t) {
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`).FindAllStringSubmatch(page, -1) {
			text, err := os.ReadFile(filepath.Join(top, filepath.Dir(name), m[1]))
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if m[2] != "" && !slices.Contains(anchors(string(text)), m[2]) {
				t.Errorf("%s: %s has no %s", name, m[1], m[2])
			}
		}
		for _, m := range regexp.MustCompile("(?m)(?:`|^)make ([a-z0-9]+)").FindAllStringSubmatch(page, -1) {
			if !bytes.Contains(makefile, []byte("\n"+m[1]+":")) {
				t.Errorf("%s: make %s does not exist", name, m[1])
			}
		}
	}
}

// TestUnitFile holds that the service runs a command that exists, with the capabilities that the docs name.
func TestUnitFile(t *testing.T) {
	text, err := os.ReadFile(top + "packaging/causeway.service")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^ExecStart=\S+/causeway (.*)$`).FindStringSubmatch(string(text))
	if m == nil || parses(strings.Fields(m[1])) != nil {
		t.Errorf("ExecStart: %q", m)
	}
	security := pages(t)["docs/security.md"]
	bounding := regexp.MustCompile(`(?m)^CapabilityBoundingSet=(.*)$`).FindStringSubmatch(string(text))
	for _, capability := range strings.Fields(bounding[1]) {
		if !strings.Contains(security, capability) {
			t.Errorf("%s is kept and not explained in docs/security.md", capability)
		}
	}
	if strings.Contains(bounding[1], "CAP_FSETID") || strings.Contains(bounding[1], "CAP_SYS_RESOURCE") {
		t.Error("a capability is kept that clients could profit from")
	}
}
