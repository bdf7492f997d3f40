package testnet

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// A subtest of a test that is apart is there with it: t.Run would leave it among all the others, in a namespace with their traffic.
func TestSubtestsAreApartToo(t *testing.T) {
	files, apart := 0, 0
	err := filepath.WalkDir(filepath.Join("..", "..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		files++
		n, left := leftBehind(file)
		apart += n
		for _, at := range left {
			t.Errorf("%v: t.Run after Apart leaves the namespace: use testnet.Run", set.Position(at))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 300 || apart < 30 {
		t.Errorf("%d tests are apart in %d files: the test looks at the wrong ones", apart, files)
	}
	const planted = `package x
func Test(t *testing.T) {
	t.Run("before", func(t *testing.T) {})
	testnet.Apart(t)
	t.Run("after", func(t *testing.T) {
		t.Run("in it", f)
	})
	testnet.Run(t, "x", func(t *testing.T) { t.Run("outside", f) })
}
func TestEach(t *testing.T) {
	t.Run("x", func(t *testing.T) { testnet.Apart(t) })
	t.Run("y", f)
}`
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", planted, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n, left := leftBehind(file); n != 2 || len(left) != 3 {
		t.Errorf("%d apart, %d left behind", n, len(left))
	}
}

// leftBehind counts the functions that go apart, and tells where they start subtests that do not.
func leftBehind(file *ast.File) (apart int, left []token.Pos) {
	ast.Inspect(file, func(n ast.Node) bool {
		var body *ast.BlockStmt
		switch n := n.(type) {
		case *ast.FuncDecl:
			body = n.Body
		case *ast.FuncLit:
			body = n.Body
		}
		if body == nil {
			return true
		}
		at := goesApart(body)
		if !at.IsValid() {
			return true
		}
		apart++
		ast.Inspect(body, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && call.Pos() > at && isCall(call, "t", "Run") {
				left = append(left, call.Pos())
			}
			return true
		})
		return false
	})
	return apart, left
}

// goesApart is where a function itself calls Apart, and not a function in it.
func goesApart(body *ast.BlockStmt) (at token.Pos) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.CallExpr:
			if isCall(n, "testnet", "Apart") {
				at = n.Pos()
			}
		}
		return true
	})
	return at
}

func isCall(call *ast.CallExpr, of, name string) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != name {
		return false
	}
	x, ok := f.X.(*ast.Ident)
	return ok && x.Name == of
}
