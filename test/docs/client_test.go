package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// clientPage describes the client.
const clientPage = "docs/client.md"

// TestClientExamples holds the examples of the page to the functions that test/client runs.
func TestClientExamples(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	for _, block := range readPage(t, clientPage).blocks {
		if strings.HasPrefix(block.text, "func ") {
			shown[block.text] = true
		}
	}
	for _, source := range functions(t, "test/client") {
		if !shown[source] {
			t.Errorf("%s does not show, or shows otherwise:\n%s", clientPage, source)
		}
		delete(shown, source)
	}
	for text := range shown {
		t.Errorf("%s shows what test/client does not run:\n%s", clientPage, text)
	}
}

// functions are the sources of the functions in the tests of a directory that take a context, a client and a writer, as they are written.
func functions(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	for path, file := range parseDir(t, dir, "_test.go") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.tree.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if ok && len(f.Type.Params.List) == 3 && f.Type.Params.List[0].Names[0].Name == "ctx" {
				from, to := file.set.Position(f.Pos()).Offset, file.set.Position(f.End()).Offset
				found = append(found, string(text[from:to])+"\n")
			}
		}
	}
	return found
}

// TestClientMethods finds every operation of the client on its page.
func TestClientMethods(t *testing.T) {
	t.Parallel()
	namespaces := []string{
		"Client", "SandboxHandle", "Sandboxes", "Snapshots", "APIKeys", "Hosts", "Teams", "Audit", "Builds", "Admin", "Channels", "Users", "Auth",
	}
	spans := readPage(t, clientPage).spans()
	for _, file := range parseDir(t, "internal/wrenn", ".go") {
		for _, decl := range file.tree.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv == nil || !f.Name.IsExported() {
				continue
			}
			receiver := f.Recv.List[0].Type
			if star, ok := receiver.(*ast.StarExpr); ok {
				receiver = star.X
			}
			name, ok := receiver.(*ast.Ident)
			if !ok || !slices.Contains(namespaces, name.Name) || f.Name.Name == "CloseIdleConnections" {
				continue
			}
			if method := name.Name + "." + f.Name.Name; !slices.Contains(spans, method) {
				t.Errorf("%s does not name %s", clientPage, method)
			}
		}
	}
}

type parsedFile struct {
	set  *token.FileSet
	tree *ast.File
}

// parseDir parses the Go files of a directory whose names end so; tests only where that is asked for.
func parseDir(t *testing.T, dir, suffix string) map[string]parsedFile {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, dir, "*"+suffix))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	found := map[string]parsedFile{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") && suffix != "_test.go" {
			continue
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		found[path] = parsedFile{set, tree}
	}
	return found
}
