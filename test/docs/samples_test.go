package docs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/localkube"
)

// sample is a manifest that readers may copy.
type sample struct {
	// source is where it stands: a file, or a page and a line of it.
	source  string
	objects []*unstructured.Unstructured
}

// TestSamples applies all samples to a real API server, as a dry run: they must be complete objects without a field that
// the schema lacks, and must satisfy every rule of it.
func TestSamples(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	for _, sample := range append(samplesOfPages(t), samplesOfFiles(t)...) {
		t.Run(sample.source, func(t *testing.T) {
			for _, object := range sample.objects {
				if err := server.dryRun(t.Context(), object); err != nil {
					t.Errorf("%s: %s %q is refused: %v", sample.source, object.GetKind(), object.GetName(), err)
				}
			}
		})
	}
	t.Run("the policy of docs/security.md", func(t *testing.T) { testPolicy(t, server) })
}

// samplesOfPages are the YAML blocks of the pages. A block that is meant to be no whole object must not be called yaml.
func samplesOfPages(t *testing.T) []sample {
	t.Helper()
	var found []sample
	for _, page := range pages(t) {
		for _, block := range page.blocks {
			if block.language == "yaml" {
				found = append(found, newSample(t, fmt.Sprintf("%s:%d", page.path, block.line), block.text))
			}
		}
	}
	return found
}

func samplesOfFiles(t *testing.T) []sample {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "config", "samples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var found []sample
	kinds := map[string]bool{}
	for _, path := range paths {
		if filepath.Base(path) == "kustomization.yaml" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		read := newSample(t, "config/samples/"+filepath.Base(path), string(text))
		for _, object := range read.objects {
			kinds[object.GetKind()] = true
		}
		found = append(found, read)
	}
	for _, kind := range kindsOfPages {
		if !kinds[kind.kind] {
			t.Errorf("config/samples has no %s", kind.kind)
		}
	}
	return found
}

func newSample(t *testing.T, source, text string) sample {
	t.Helper()
	read := sample{source: source}
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: not YAML: %v", source, err)
		}
		if object.GetAPIVersion() == "" || object.GetKind() == "" {
			t.Fatalf("%s: a sample without apiVersion and kind: readers cannot apply it", source)
		}
		read.objects = append(read.objects, object)
	}
	if len(read.objects) == 0 {
		t.Fatalf("%s: an empty sample", source)
	}
	return read
}

// server is an API server that has the CRDs.
type server struct {
	client.Client

	cluster *localkube.ControlPlane
}

func startServer(t *testing.T) *server {
	t.Helper()
	cluster, err := localkube.Start(t.Context(), localkube.Options{
		CRDDirs: []string{filepath.Join(root, "config", "crd", "bases")}, Log: os.Stderr, WithoutControllerManager: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	config := cluster.RESTConfig()
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		httpClient.CloseIdleConnections()
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	api, err := client.New(config, client.Options{Scheme: scheme, HTTPClient: httpClient})
	if err != nil {
		t.Fatal(err)
	}
	return &server{Client: client.WithFieldValidation(api, client.FieldValidation(metav1.FieldValidationStrict)), cluster: cluster}
}

// dryRun asks for an object to be created, without its being so.
func (s *server) dryRun(ctx context.Context, object *unstructured.Unstructured) error {
	object = object.DeepCopy()
	namespaced, err := s.IsObjectNamespaced(object)
	if err != nil {
		return err
	}
	if namespaced && object.GetNamespace() == "" {
		object.SetNamespace(metav1.NamespaceDefault)
	}
	if name := object.GetNamespace(); name != "" {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := s.Create(ctx, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return s.Create(ctx, object, client.DryRunAll)
}

// testPolicy has the admission policy that the page on security recommends do what the page says of it.
func testPolicy(t *testing.T, server *server) {
	ctx := t.Context()
	found := false
	for _, block := range readPage(t, "docs/security.md").blocks {
		if !strings.Contains(block.text, "kind: ValidatingAdmissionPolicy") {
			continue
		}
		found = true
		for _, object := range newSample(t, "docs/security.md", block.text).objects {
			if err := server.Create(ctx, object); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !found {
		t.Fatal("docs/security.md has no ValidatingAdmissionPolicy")
	}
	sandbox := func(annotation, value string) *unstructured.Unstructured {
		object := &unstructured.Unstructured{}
		object.SetAPIVersion(v1alpha1.GroupVersion.String())
		object.SetKind("Sandbox")
		object.SetName("policy")
		if annotation != "" {
			object.SetAnnotations(map[string]string{annotation: value})
		}
		return object
	}
	// The API server takes a moment to learn of a policy.
	deadline, tick := time.After(time.Minute), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for forged := sandbox(v1alpha1.AnnotationSandboxID, "cl-0000000000000000000000000"); !apierrors.IsForbidden(server.dryRun(ctx, forged)) &&
		!apierrors.IsInvalid(server.dryRun(ctx, forged)); {
		select {
		case <-deadline:
			t.Fatalf("a forged annotation is not refused: %v", server.dryRun(ctx, forged))
		case <-tick.C:
		}
	}
	for _, annotation := range []string{v1alpha1.AnnotationCreateIntent, v1alpha1.AnnotationSnapshotIntent} {
		if err := server.dryRun(ctx, sandbox(annotation, "{}")); err == nil {
			t.Errorf("a forged annotation %s is not refused", annotation)
		}
	}
	for _, annotation := range []string{"", v1alpha1.AnnotationReconcileRequestedAt, v1alpha1.AnnotationCreateOutcome} {
		if err := server.dryRun(ctx, sandbox(annotation, "retry")); err != nil {
			t.Errorf("a Sandbox with annotation %q is refused: %v", annotation, err)
		}
	}
}
