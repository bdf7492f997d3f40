package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"synoptic/ratelimit"
	"synoptic/rawsock/route"
	"synoptic/results/sink"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/format"
	"synoptic/results/tags"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

// fromBelow is a library's error.
type fromBelow struct {
	message, field, hint string
	cause                error
}

func (e *fromBelow) Error() string { return e.message }
func (e *fromBelow) Field() string { return e.field }
func (e *fromBelow) Hint() string  { return e.hint }
func (e *fromBelow) Unwrap() error { return e.cause }

func TestWithFlags(t *testing.T) {
	for text, want := range map[string]string{
		"raise MaxMemory: 256 MiB hold 100 positions":  "raise --max-memory: 256 MiB hold 100 positions",
		"Backend afpacket has no such limit":           "--backend afpacket has no such limit",
		"leave it out with `Exclude 10.0.0.0/8`":       "leave it out with `--exclude 10.0.0.0/8`",
		"negative Wait":                                "negative --wait",
		`Exclude: "Wait": cannot resolve`:              `--exclude: "Wait": cannot resolve`,
		"open /tmp/Rate/Wait: no such file":            "open /tmp/Rate/Wait: no such file",
		"SourcePorts and Waiting, MaxMemory2, Re-Rate": "SourcePorts and Waiting, MaxMemory2, Re-Rate",
		"a lower Rate, fewer Attempts or a RetryGap…":  "a lower --rate, fewer --retries or a --retry-gap…",
		"": "",
	} {
		if got := withFlags(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// What a library says is found however deep it lies, and an error without a hint does not hide the one below.
func TestHintOf(t *testing.T) {
	below := &fromBelow{message: "negative Wait", field: "Wait", hint: "give Wait 8s"}
	for name, err := range map[string]error{
		"plain":         below,
		"wrapped":       fmt.Errorf("plan: %w", below),
		"second of two": fmt.Errorf("%w: %w", errors.New("gone"), below),
		"joined":        errors.Join(errors.New("another"), below),
		"below silence": &fromBelow{message: "plan: negative Wait", cause: below},
	} {
		if got := hintOf(err); got != below.hint {
			t.Errorf("%s: hint %q", name, got)
		}
		if got := messageOf(err); !strings.Contains(got, "negative --wait") {
			t.Errorf("%s: message %q", name, got)
		}
	}
	if got := messageOf(errors.New("the Rate of somebody else")); got != "the Rate of somebody else" {
		t.Errorf("an error about no field: %q", got)
	}
	if got := hintOf(errors.New("no")); got != "" {
		t.Errorf("hint %q of nothing", got)
	}
}

// Errors of the libraries as they are printed.
func TestLibraryErrorsNameFlags(t *testing.T) {
	_, port := target.TopPorts(0)
	_, excluded := target.Load(t.Context(), target.Config{Targets: []string{"10.0.0.1"}, Exclude: []string{"10.0.0.1"}})
	_, rate := ratelimit.ParseRate("x")
	for _, c := range []struct {
		err   error
		field string
		hint  string
	}{
		{&route.NoNeighbourError{Addr: netip.MustParseAddr("10.0.0.1"), Link: "eth0"}, "GatewayMAC", "check that the gateway is up, or give its MAC address with --gateway-mac"},
		{&route.LinkTypeError{Name: "ib0", Type: "infiniband"}, "Interface", "choose an Ethernet, loopback or tunnel --interface, or use `--backend connect`"},
		{excluded, "Targets", "compare the targets with --exclude and --exclude-file"},
		{port, "Ports", `for every port use --ports "-"`},
		{rate, "Rate", "give packets per second above zero, such as 0.5, 250000, 10k or 1.5M"},
	} {
		if got := firstOf(c.err, fieldOf); got != c.field {
			t.Errorf("%v: field %q, want %q", c.err, got, c.field)
		}
		if got := withFlags(hintOf(c.err)); got != c.hint {
			t.Errorf("%v: hint %q, want %q", c.err, got, c.hint)
		}
	}
}

var configurations = []reflect.Type{
	reflect.TypeFor[target.Config](), reflect.TypeFor[plan.Config](), reflect.TypeFor[tags.Config](),
	reflect.TypeFor[sink.Config](), reflect.TypeFor[format.Options](), reflect.TypeFor[dest.Options](), reflect.TypeFor[dest.TLS](),
}

// Every flag of the table is one of the command, and every field one of a configuration.
func TestFlagsOfFields(t *testing.T) {
	logs := logText
	fl := newScanCommand(nil, streams{}, nil, &logs).Flags()
	for field, flag := range flags {
		if name, ok := strings.CutPrefix(flag, "--"); ok && fl.Lookup(name) == nil {
			t.Errorf("%s: there is no flag %s", field, flag)
		}
		if !slices.ContainsFunc(configurations, func(c reflect.Type) bool { _, ok := c.FieldByName(field); return ok }) {
			t.Errorf("%s is a field of no configuration", field)
		}
	}
}

// ownLibraries are what this program is made of.
var ownLibraries = []string{"rawsock", "ratelimit", "scan", "results"}

var (
	aFlag      = regexp.MustCompile(`(^|[^-\w])--[a-z]`)
	aFieldName = regexp.MustCompile(`^[A-Z][A-Za-z]*$`)
)

// No library names a flag: it may be called by another program, or by none. And each field that it names as
// the one at fault has a flag here.
func TestLibrariesNameNoFlags(t *testing.T) {
	inOrder(t)
	files, fields := 0, map[string]bool{}
	for _, library := range ownLibraries {
		root := filepath.Join("..", "..", library)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			files++
			checkLiterals(t, path, fields)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 60 || len(fields) < 8 {
		t.Fatalf("%d files that name the fields %v: the walk has missed something", files, fields)
	}
	for field := range fields {
		if flags[field] == "" {
			t.Errorf("a library names the field %s, which has no flag", field)
		}
	}
}

// checkLiterals looks at the string literals of a file, and adds those that name a field at fault: what a
// method Field returns, what is stored as field, the second argument of WithHint, and the first of refuse and
// newError.
func checkLiterals(t *testing.T, path string, fields map[string]bool) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	name := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, _ := strconv.Unquote(lit.Value); aFieldName.MatchString(s) {
				fields[s] = true
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if s, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil && aFlag.MatchString(s) {
				t.Errorf("%s names a flag: %s", set.Position(n.Pos()), n.Value)
			}
		case *ast.FuncDecl:
			if n.Name.Name == "Field" && n.Recv != nil {
				ast.Inspect(n.Body, func(n ast.Node) bool {
					if r, ok := n.(*ast.ReturnStmt); ok {
						name(r.Results[0])
					}
					return true
				})
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "field" {
				name(n.Value)
			}
		case *ast.CompositeLit: // without keys
			if of, ok := n.Type.(*ast.Ident); ok && of.Name == "Error" {
				for _, e := range n.Elts {
					name(e)
				}
			}
		case *ast.AssignStmt:
			if left, ok := n.Lhs[0].(*ast.SelectorExpr); ok && left.Sel.Name == "field" {
				name(n.Rhs[0])
			}
		case *ast.CallExpr:
			switch f := n.Fun.(type) {
			case *ast.SelectorExpr:
				if f.Sel.Name == "WithHint" {
					name(n.Args[1])
				}
			case *ast.Ident:
				if f.Name == "refuse" || f.Name == "newError" {
					name(n.Args[0])
				}
			}
		}
		return true
	})
}
