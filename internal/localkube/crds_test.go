package localkube

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadCRDs(t *testing.T) {
	t.Parallel()
	const crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a.b}\n"
	tests := map[string]struct {
		files   map[string]string
		want    int
		wantErr string
	}{
		"several documents in a file": {files: map[string]string{"crds.yaml": "---\n" + crd + "---\n" + crd}, want: 2},
		"other kinds and other files": {
			files: map[string]string{"a.yml": crd, "b.yaml": "kind: Kustomization\n", "README.md": "# not YAML: {"},
			want:  1,
		},
		"none":            {files: map[string]string{"b.yaml": "kind: Kustomization\n"}, wantErr: "there is none"},
		"an unknown word": {files: map[string]string{"a.yaml": crd + "specs: {}\n"}, wantErr: `a.yaml: error unmarshaling JSON: while decoding JSON: json: unknown field "specs"`},
		"not YAML":        {files: map[string]string{"a.yaml": "kind: ["}, wantErr: "a.yaml: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, content := range test.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			crds, err := readCRDs(dir)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("error %v, want %q", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(crds) != test.want {
				t.Errorf("%d CRDs, want %d", len(crds), test.want)
			}
		})
	}
}

func TestStartWithoutTheCRDsItWasPromised(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{CRDDirs: []string{t.TempDir()}, WithoutControllerManager: true})
	if err == nil || !strings.Contains(err.Error(), "there is none") {
		t.Errorf("error %v, want that there is no CRD", err)
	}
}
