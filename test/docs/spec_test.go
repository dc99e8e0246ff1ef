package docs

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// kindsOfPages are the kinds of the API and the page that describes each.
var kindsOfPages = []struct{ kind, page string }{
	{"Sandbox", "docs/spec/sandbox.md"},
	{"Snapshot", "docs/spec/snapshot.md"},
	{"ExecJob", "docs/spec/execjob.md"},
	{"Connection", "docs/spec/connection.md"},
	{"ClusterConnection", "docs/spec/connection.md"},
}

// pageOfTypes is the page that must name the constants of a file of api/v1alpha1. Those of other files are shared, and any
// page of a kind will do.
var pageOfTypes = map[string]string{
	"sandbox_types.go":    "docs/spec/sandbox.md",
	"snapshot_types.go":   "docs/spec/snapshot.md",
	"execjob_types.go":    "docs/spec/execjob.md",
	"execjob_reasons.go":  "docs/spec/execjob.md",
	"connection_types.go": "docs/spec/connection.md",
}

// field is a field of a kind's spec or status.
type field struct {
	// path with dots, and [] behind a list: spec.ports[].name.
	path   string
	schema apiextensionsv1.JSONSchemaProps
}

// fieldsOf reads the fields of every kind from the CRDs.
func fieldsOf(t *testing.T) map[string][]field {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "config", "crd", "bases", "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no CRDs: %v", err)
	}
	kinds := map[string][]field{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, version := range crd.Spec.Versions {
			schema := version.Schema.OpenAPIV3Schema
			for _, part := range []string{"spec", "status"} {
				kinds[crd.Spec.Names.Kind] = append(kinds[crd.Spec.Names.Kind], fieldsBelow(part, schema.Properties[part])...)
			}
		}
	}
	return kinds
}

// fieldsBelow are the fields of an object. What is in a condition is the same for all of Kubernetes.
func fieldsBelow(path string, schema apiextensionsv1.JSONSchemaProps) []field {
	var found []field
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		child := field{path: path + "." + name, schema: schema.Properties[name]}
		found = append(found, child)
		switch {
		case child.path == "status.conditions":
		case child.path == "spec.sandboxTemplate.spec": // the page of Sandbox describes it
		case child.schema.Items != nil && child.schema.Items.Schema != nil:
			found = append(found, fieldsBelow(child.path+"[]", *child.schema.Items.Schema)...)
		default:
			found = append(found, fieldsBelow(child.path, child.schema)...)
		}
	}
	return found
}

// TestEveryFieldIsDescribed also holds the tables to the schema: the row of a field of a spec must name its default, its
// bounds and its values.
func TestEveryFieldIsDescribed(t *testing.T) {
	t.Parallel()
	fields := fieldsOf(t)
	for _, kind := range kindsOfPages {
		t.Run(kind.kind, func(t *testing.T) {
			t.Parallel()
			if len(fields[kind.kind]) == 0 {
				t.Fatalf("config/crd/bases has no fields of %s", kind.kind)
			}
			page := readPage(t, kind.page)
			named := map[string]bool{}
			for _, span := range page.spans() {
				named[fieldIn(span)] = true
			}
			for _, field := range fields[kind.kind] {
				if !named[plain(field.path)] {
					t.Errorf("%s does not describe %s of %s: name it in full, as `%s`", page.path, field.path, kind.kind, field.path)
				}
				row, ok := page.row(field.path)
				if !ok || !strings.HasPrefix(field.path, "spec.") {
					continue
				}
				for _, fact := range factsOf(t, field.schema) {
					if !says(row, fact) {
						t.Errorf("%s: the row of %s does not say %s", page.path, field.path, fact)
					}
				}
			}
		})
	}
}

// TestNoFieldIsInvented looks at code spans and at the jsonpaths of commands.
func TestNoFieldIsInvented(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, fields := range fieldsOf(t) {
		for _, field := range fields {
			known[plain(field.path)] = true
		}
	}
	jsonPath := regexp.MustCompile(`\{\.((?:spec|status)(?:\.[A-Za-z]+)+)|:\.((?:spec|status)(?:\.[A-Za-z]+)+)`)
	for _, page := range pages(t) {
		var named []string
		for _, span := range page.spans() {
			named = append(named, fieldIn(span))
		}
		for _, block := range page.blocks {
			for _, match := range jsonPath.FindAllStringSubmatch(block.text, -1) {
				named = append(named, match[1]+match[2])
			}
		}
		for _, path := range named {
			if path != "" && !known[path] {
				t.Errorf("%s names %s, which no kind has", page.path, path)
			}
		}
	}
}

var fieldForm = regexp.MustCompile(`^((?:spec|status)(?:\.[A-Za-z]+(?:\[\])?)+)(?:[:=].*)?$`)

// fieldIn returns the field that a code span names, with a value behind it or without: "" where it names none.
func fieldIn(span string) string {
	match := fieldForm.FindStringSubmatch(span)
	if match == nil {
		return ""
	}
	return plain(match[1])
}

// plain leaves the marks of lists out of a path.
func plain(path string) string { return strings.ReplaceAll(path, "[]", "") }

// factsOf are what a reader must be told of a field.
func factsOf(t *testing.T, schema apiextensionsv1.JSONSchemaProps) []string {
	t.Helper()
	var facts []string
	if schema.Default != nil && schema.Type != "object" {
		var value any
		if err := json.Unmarshal(schema.Default.Raw, &value); err != nil {
			t.Fatal(err)
		}
		facts = append(facts, text(value))
	}
	for _, bound := range []*float64{schema.Minimum, schema.Maximum} {
		if bound != nil {
			facts = append(facts, text(*bound))
		}
	}
	for _, bound := range []*int64{schema.MaxLength, schema.MaxItems} {
		if bound != nil {
			facts = append(facts, strconv.FormatInt(*bound, 10))
		}
	}
	for _, value := range schema.Enum {
		facts = append(facts, strings.Trim(string(value.Raw), `"`))
	}
	return facts
}

func text(value any) string {
	if number, ok := value.(float64); ok {
		return strconv.FormatFloat(number, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

// says tells whether a text has a word. Numbers may have commas in them.
func says(text, word string) bool {
	text = regexp.MustCompile(`(\d),(\d{3})\b`).ReplaceAllString(text, "$1$2")
	return regexp.MustCompile(`(^|[^\w.-])` + regexp.QuoteMeta(word) + `($|[^\w-])`).MatchString(text)
}

// constant is an exported name of the API that users meet in objects.
type constant struct {
	file, name, value string
}

// constants are the reasons, condition types, annotations, labels and finalizers of api/v1alpha1.
func constants(t *testing.T) []constant {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "api", "v1alpha1", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var found []constant
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok || len(spec.Values) != len(spec.Names) {
				return true
			}
			for i, name := range spec.Names {
				literal, ok := spec.Values[i].(*ast.BasicLit)
				if !ok || literal.Kind != token.STRING || !constantForm.MatchString(name.Name) {
					continue
				}
				value, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, constant{file: filepath.Base(path), name: name.Name, value: value})
			}
			return true
		})
	}
	if len(found) == 0 {
		t.Fatal("api/v1alpha1 has no constants: has their form changed?")
	}
	return found
}

var constantForm = regexp.MustCompile(`^(Reason|Condition|Annotation|Label)[A-Z]|^Finalizer`)

// TestEveryConstantIsDescribed looks for their values.
func TestEveryConstantIsDescribed(t *testing.T) {
	t.Parallel()
	named, anywhere := map[string]map[string]bool{}, map[string]bool{}
	for _, path := range pageOfTypes {
		named[path] = map[string]bool{}
		for _, span := range readPage(t, path).spans() {
			named[path][span], anywhere[span] = true, true
		}
	}
	for _, constant := range constants(t) {
		page, own := pageOfTypes[constant.file]
		switch {
		case own && !named[page][constant.value]:
			t.Errorf("%s does not describe %s (%s of %s)", page, constant.value, constant.name, constant.file)
		case !anywhere[constant.value]:
			t.Errorf("no page of docs/spec describes %s (%s of %s)", constant.value, constant.name, constant.file)
		}
	}
}

// TestNoReasonIsInvented looks at the columns that are headed Reason.
func TestNoReasonIsInvented(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, constant := range constants(t) {
		if strings.HasPrefix(constant.name, "Reason") {
			known[constant.value] = true
		}
	}
	for _, page := range pages(t) {
		for _, table := range page.tables() {
			column := slices.Index(table[0], "Reason")
			if column < 0 {
				continue
			}
			for _, cells := range table[1:] {
				if len(cells) <= column {
					t.Errorf("%s: a row without a reason: %q", page.path, cells)
					continue
				}
				for _, match := range codeSpan.FindAllStringSubmatch(cells[column], -1) {
					if !known[match[1]] {
						t.Errorf("%s describes the reason %s, which no condition has", page.path, match[1])
					}
				}
			}
		}
	}
}
