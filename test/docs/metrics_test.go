package docs

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wrennhq/wrenn-operator/internal/controller"
)

var (
	describedName = regexp.MustCompile(`fqName: "([a-z_]+)"`)
	metricName    = regexp.MustCompile(`\bwrenn_[a-z_]+\b`)
)

// TestMetricsAreDescribed compares the metrics that a manager registers with the rows of the page on operations, and with
// whatever any page names.
func TestMetricsAreDescribed(t *testing.T) {
	t.Parallel()
	described := make(chan *prometheus.Desc, 100)
	controller.NewMetrics().Describe(described)
	close(described)
	known := map[string]bool{}
	for each := range described {
		if match := describedName.FindStringSubmatch(each.String()); match != nil {
			known[match[1]] = true
		}
	}
	if len(known) == 0 {
		t.Fatal("no metrics: has the form of their descriptions changed?")
	}
	operations := readPage(t, "docs/operations.md")
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if _, ok := operations.row(name); !ok {
			t.Errorf("%s has no row that describes the metric %s", operations.path, name)
		}
	}
	for _, page := range pages(t) {
		text := page.prose
		for _, block := range page.blocks {
			text += block.text
		}
		for _, name := range metricName.FindAllString(text, -1) {
			series := strings.NewReplacer("_bucket", "", "_sum", "", "_count", "").Replace(name)
			if !known[name] && !known[series] {
				t.Errorf("%s names the metric %s, which there is not", page.path, name)
			}
		}
	}
}
