package rawsock

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// Every system and processor gets the whole API, so that what stands above needs no build tags.
func TestSameAPIEverywhere(t *testing.T) {
	for dir, least := range map[string]int{".": 25, "route": 12, "xdp": 35} {
		want := api(t, dir, "linux", "amd64")
		if len(want) < least {
			t.Errorf("%s: %d functions: some were not seen", dir, len(want))
		}
		for _, other := range [][2]string{{"linux", "386"}, {"linux", "arm64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"freebsd", "amd64"}, {"plan9", "amd64"}} {
			got := api(t, dir, other[0], other[1])
			for _, name := range slices.Sorted(maps.Keys(want)) {
				if got[name] != want[name] {
					t.Errorf("%s on %s/%s: %s%s, want %s", dir, other[0], other[1], name, got[name], want[name])
				}
			}
			for name := range got {
				if want[name] == "" {
					t.Errorf("%s: only %s/%s has %s", dir, other[0], other[1], name)
				}
			}
		}
	}
}

// api is the exported functions and methods of a package on a system, with their types.
func api(t *testing.T, dir, goos, goarch string) map[string]string {
	t.Helper()
	context := build.Context{GOOS: goos, GOARCH: goarch, Compiler: "gc"}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		if match, err := context.MatchFile(dir, e.Name()); err != nil {
			t.Fatal(err)
		} else if !match {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), dir+"/"+e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			name := f.Name.Name
			if f.Recv != nil {
				receiver := strings.TrimPrefix(types.ExprString(f.Recv.List[0].Type), "*")
				if !ast.IsExported(receiver) {
					continue
				}
				name = receiver + "." + name
			}
			found[name] = "(" + typesOf(f.Type.Params) + ") (" + typesOf(f.Type.Results) + ")"
		}
	}
	return found
}

// typesOf lists the types of parameters without their names.
func typesOf(list *ast.FieldList) string {
	if list == nil {
		return ""
	}
	var all []string
	for _, f := range list.List {
		for range max(1, len(f.Names)) {
			all = append(all, types.ExprString(f.Type))
		}
	}
	return strings.Join(all, ", ")
}
