// Package docs keeps the documentation true: what it says is compared with the code, the CRDs and a real API server.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// root is the top directory of the checkout.
const root = "../.."

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// page is one Markdown file.
type page struct {
	// path from the root, with slashes.
	path string
	// prose is the text without fenced blocks, each of whose lines is empty in it.
	prose  string
	blocks []block
}

// block is a fenced block.
type block struct {
	language string
	// line that its text begins at, counted from 1.
	line int
	text string
}

// pages are README.md and everything below docs.
func pages(t *testing.T) []page {
	t.Helper()
	paths := []string{"README.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".md") {
			path, err = filepath.Rel(root, path)
			paths = append(paths, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var found []page
	for _, path := range paths {
		found = append(found, readPage(t, path))
	}
	return found
}

func readPage(t *testing.T, path string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatalf("a page of the documentation is missing: %v", err)
	}
	return parsePage(path, string(text))
}

// parsePage takes a page apart. A fence may be indented, as in a list; its block is then too.
func parsePage(path, text string) page {
	p := page{path: path}
	var prose strings.Builder
	var open *block
	indent := ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		fence := strings.HasPrefix(trimmed, "```")
		switch {
		case fence && open == nil:
			indent = line[:len(line)-len(trimmed)]
			open = &block{language: strings.TrimSpace(strings.TrimPrefix(trimmed, "```")), line: i + 2}
		case fence:
			p.blocks = append(p.blocks, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		default:
			prose.WriteString(line)
		}
		prose.WriteByte('\n')
	}
	p.prose = prose.String()
	return p
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// spans are the code spans of the prose.
func (p page) spans() []string {
	var found []string
	for _, match := range codeSpan.FindAllStringSubmatch(p.prose, -1) {
		found = append(found, strings.Join(strings.Fields(match[1]), " "))
	}
	return found
}

// tables are those of the prose, as rows of cells. The line of dashes is left out.
func (p page) tables() [][][]string {
	var found [][][]string
	var table [][]string
	for _, line := range strings.Split(p.prose, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			if table != nil {
				found, table = append(found, table), nil
			}
		case strings.Trim(line, "|-: ") != "" || len(table) == 0:
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			table = append(table, cells)
		}
	}
	return found
}

// row returns the row of a table that begins with a code span, as one text.
func (p page) row(first string) (string, bool) {
	for _, table := range p.tables() {
		for _, cells := range table {
			if cells[0] == "`"+first+"`" {
				return strings.Join(cells[1:], " | "), true
			}
		}
	}
	return "", false
}

func TestParsePage(t *testing.T) {
	t.Parallel()
	p := parsePage("x.md", strings.Join([]string{
		"# A `b\nc`", "", "- list:", "", "  ```yaml", "  a:", "    b: `no`", "  ```", "", "| H | I |", "|---|---|", "| `d` | 1 |", "end",
	}, "\n"))
	if want := []string{"b c", "d"}; strings.Join(p.spans(), ",") != strings.Join(want, ",") {
		t.Errorf("spans: %q, want %q", p.spans(), want)
	}
	if len(p.blocks) != 1 || p.blocks[0] != (block{language: "yaml", line: 7, text: "a:\n  b: `no`\n"}) {
		t.Errorf("blocks: %+v", p.blocks)
	}
	if row, ok := p.row("d"); !ok || row != "1" || len(p.tables()) != 1 {
		t.Errorf("row: %q, %v of %q", row, ok, p.tables())
	}
}
