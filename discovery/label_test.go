package discovery

import (
	"slices"
	"strings"
	"testing"
)

func FuzzLabels(f *testing.F) {
	f.Add("home\nHome\na.b\na_b\ngateways")
	f.Add("gateways-123456\ngateways\n-\n\xff")
	f.Fuzz(func(t *testing.T, text string) {
		names := strings.Split(text, "\n")
		slices.Sort(names)
		names = slices.Compact(names)
		owner := map[string]string{}
		for name, label := range labels(names, gatewaysLabel, serversLabel) {
			if other, taken := owner[label]; taken || len(label) > maxLabel || !isHostLabel(label) || label == gatewaysLabel || label == serversLabel {
				t.Fatalf("%q gets %q, which %q has", name, label, other)
			}
			if owner[label] = name; name != label && len(name) <= maxLabel && isHostLabel(name) && name != gatewaysLabel && name != serversLabel {
				t.Fatalf("%q gets %q", name, label)
			}
		}
	})
}
