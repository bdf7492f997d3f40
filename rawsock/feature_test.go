package rawsock

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The table is whole, and in the order that it promises.
func TestFeatures(t *testing.T) {
	all := Features()
	names := map[string]bool{}
	for _, f := range all {
		if f.Name == "" || f.For == "" || f.Probed == "" || f.Source == "" || f.Since.Major < 3 || names[f.Name] {
			t.Errorf("%+v", f)
		}
		names[f.Name] = true
	}
	if !slices.IsSortedFunc(all, func(a, b *Feature) int {
		return (a.Since.Major-b.Since.Major)*1000 + a.Since.Minor - b.Since.Minor
	}) {
		t.Error("not oldest first")
	}
	if len(all) < 10 || XDPLoadBytes.Needs() != "Linux 5.18 or later is needed" || TPacketV3.String() != "TPACKET_V3 (Linux 3.2)" {
		t.Errorf("%d features, %v, %s", len(all), TPacketV3, XDPLoadBytes.Needs())
	}
}

// No other file of these packages has a version of Linux in a text that is printed.
func TestVersionsAreInTheTable(t *testing.T) {
	version := regexp.MustCompile(`Linux \d|\d or later`)
	looked := 0
	for _, dir := range []string{".", "route", "xdp", "listeners"} {
		paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") || path == "feature.go" {
				continue
			}
			looked++
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && version.MatchString(lit.Value) {
					t.Errorf("%s: %s", set.Position(lit.Pos()), lit.Value)
				}
				return true
			})
		}
	}
	if looked < 30 {
		t.Fatalf("looked at %d files", looked)
	}
}

// The README says the same of the backends that need a recent kernel.
func TestFeaturesInTheReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(readme)) {
		if strings.HasPrefix(line, "| `xdp` |") {
			if !strings.Contains(line, "Linux "+XDPLoadBytes.Since.String()) {
				t.Errorf("%s: not %v", line, XDPLoadBytes)
			}
			return
		}
	}
	t.Error("no row of xdp")
}
