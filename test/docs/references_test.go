package docs

import (
	"errors"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wrennhq/wrenn-operator/internal/localrun"
)

var linkForm = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)

// TestLinks follows the links from one file of the checkout to another, to the heading where they name one.
func TestLinks(t *testing.T) {
	t.Parallel()
	headings := map[string]map[string]bool{}
	all := pages(t)
	for _, page := range all {
		headings[page.path] = anchors(page)
	}
	for _, page := range all {
		for _, match := range linkForm.FindAllStringSubmatch(codeSpan.ReplaceAllString(page.prose, ""), -1) {
			target, err := url.Parse(match[1])
			if err != nil {
				t.Errorf("%s: link %s: %v", page.path, match[1], err)
				continue
			}
			if target.Scheme != "" {
				continue
			}
			file := page.path
			if target.Path != "" {
				file = path.Join(path.Dir(page.path), target.Path)
			}
			if _, err := os.Stat(filepath.Join(root, file)); errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: link %s leads to %s, which is not there", page.path, match[1], file)
			} else if target.Fragment != "" && !headings[file][target.Fragment] {
				t.Errorf("%s: link %s leads to no heading of %s", page.path, match[1], file)
			}
		}
	}
}

var (
	headingForm = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the headings of a page as links name them.
func anchors(p page) map[string]bool {
	found := map[string]bool{}
	for _, match := range headingForm.FindAllStringSubmatch(p.prose, -1) {
		text := notInAnchor.ReplaceAllString(strings.ToLower(match[1]), "")
		found[strings.ReplaceAll(text, " ", "-")] = true
	}
	return found
}

// managerFlag is a flag of the manager, as its usage tells.
var managerFlag = regexp.MustCompile(`(?m)^  -([a-z-]+)[^\n]*\n\s+([^\n]*)$`)

// TestManagerFlags compares the table of docs/operations.md with what the manager itself says, defaults included.
func TestManagerFlags(t *testing.T) {
	t.Parallel()
	program, err := localrun.BuildManager(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	usage, err := exec.CommandContext(t.Context(), program, "-h").CombinedOutput()
	if err != nil {
		t.Fatalf("manager -h: %v\n%s", err, usage)
	}
	actual := map[string]string{}
	for _, match := range managerFlag.FindAllStringSubmatch(string(usage), -1) {
		actual["--"+match[1]] = match[2]
	}
	operations := readPage(t, "docs/operations.md")
	described := map[string]bool{}
	for _, table := range operations.tables() {
		if table[0][0] == "Flag" {
			for _, cells := range table[1:] {
				described[strings.Trim(cells[0], "`")] = true
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(actual)), slices.Sorted(maps.Keys(described))); diff != "" {
		t.Errorf("the flags of the manager (-) and those of %s (+) differ:\n%s", operations.path, diff)
	}
	for flag, text := range actual {
		row, _ := operations.row(flag)
		if match := defaultForm.FindStringSubmatch(text); match != nil && !strings.Contains(row, match[1]) {
			t.Errorf("%s: the row of %s does not say that the default is %s", operations.path, flag, match[1])
		}
	}
	for _, page := range pages(t) {
		for _, span := range page.spans() {
			name, _, _ := strings.Cut(span, "=")
			if _, ok := actual[name]; strings.HasPrefix(name, "--") && !ok {
				t.Errorf("%s names the flag %s, which the manager lacks", page.path, name)
			}
		}
	}
}

var defaultForm = regexp.MustCompile(`\(default "?([^")]+)"?\)$`)

var (
	makeCommand = regexp.MustCompile(`(?m)^make ([a-z][a-z0-9-]*)`)
	makeTarget  = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`)
)

// TestMakeTargets looks for targets that the Makefile lacks.
func TestMakeTargets(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	actual := map[string]bool{}
	for _, match := range makeTarget.FindAllStringSubmatch(string(makefile), -1) {
		actual[match[1]] = true
	}
	for _, page := range pages(t) {
		texts := page.spans()
		for _, block := range page.blocks {
			texts = append(texts, block.text)
		}
		for _, text := range texts {
			for _, match := range makeCommand.FindAllStringSubmatch(text, -1) {
				if !actual[match[1]] {
					t.Errorf("%s names the target %q, which the Makefile lacks", page.path, match[1])
				}
			}
		}
	}
}
