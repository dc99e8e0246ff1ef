package localkube

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// customResource is a CRD as its file has it, with the little of it that must be known here.
type customResource struct {
	manifest   []byte
	definition apiextensionsv1.CustomResourceDefinition
}

// installCRDs applies every CustomResourceDefinition in the YAML files of some directories and waits until the API server
// serves what they define. Other documents in these files are left alone.
func (cp *ControlPlane) installCRDs(ctx context.Context, dirs []string) error {
	var crds []customResource
	for _, dir := range dirs {
		found, err := readCRDs(dir)
		if err != nil {
			return fmt.Errorf("CRDs in %s: %w", dir, err)
		}
		crds = append(crds, found...)
	}
	if len(crds) == 0 {
		return nil
	}
	clients, err := apiextensions.NewForConfig(cp.config)
	if err != nil {
		return err
	}
	definitions := clients.ApiextensionsV1().CustomResourceDefinitions()
	for _, crd := range crds {
		_, err := definitions.Patch(ctx, crd.definition.Name, types.ApplyPatchType, crd.manifest,
			metav1.PatchOptions{FieldManager: "localkube"})
		if err != nil {
			return fmt.Errorf("CRD %s: %w", crd.definition.Name, err)
		}
	}
	for _, crd := range crds {
		name := crd.definition.Name
		err := cp.waitFor(ctx, "CRD "+name+" to be established", func(ctx context.Context) error {
			current, err := definitions.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			return established(current)
		})
		if err != nil {
			return err
		}
		err = cp.waitFor(ctx, "CRD "+name+" to be discovered", func(context.Context) error {
			return cp.discovers(&crd.definition)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// established explains why a CRD is not yet.
func established(crd *apiextensionsv1.CustomResourceDefinition) error {
	pending := errors.New("no condition yet")
	for _, condition := range crd.Status.Conditions {
		if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
			return nil
		}
		if condition.Status == apiextensionsv1.ConditionFalse {
			pending = fmt.Errorf("%s is False: %s", condition.Type, condition.Message)
		}
	}
	return pending
}

// discovers looks for the resource where the garbage collector and kubectl look for it, which is some
// milliseconds behind the condition.
func (cp *ControlPlane) discovers(crd *apiextensionsv1.CustomResourceDefinition) error {
	for _, version := range crd.Spec.Versions {
		if !version.Served {
			continue
		}
		groupVersion := metav1.GroupVersion{Group: crd.Spec.Group, Version: version.Name}.String()
		list, err := cp.clients.Discovery().ServerResourcesForGroupVersion(groupVersion)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == crd.Spec.Names.Plural }) {
			return fmt.Errorf("%s has no %s yet", groupVersion, crd.Spec.Names.Plural)
		}
	}
	return nil
}

// readCRDs reads a directory, in which there must be at least one CRD: a wrong path is an error here, not a
// resource that nobody finds later.
func readCRDs(dir string) ([]customResource, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var crds []customResource
	for _, entry := range entries {
		if extension := filepath.Ext(entry.Name()); entry.IsDir() || (extension != ".yaml" && extension != ".yml") {
			continue
		}
		found, err := readCRDFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		crds = append(crds, found...)
	}
	if len(crds) == 0 {
		return nil, errors.New("there is none")
	}
	return crds, nil
}

func readCRDFile(path string) ([]customResource, error) {
	file, err := os.Open(path) //nolint:gosec // G304: the caller's own manifests
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var crds []customResource
	documents := utilyaml.NewYAMLReader(bufio.NewReader(file))
	for {
		manifest, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return crds, nil
		}
		if err != nil {
			return nil, err
		}
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(manifest, &kind); err != nil {
			return nil, err
		}
		if kind.Kind != "CustomResourceDefinition" {
			continue
		}
		crd := customResource{manifest: manifest}
		if err := yaml.UnmarshalStrict(manifest, &crd.definition); err != nil {
			return nil, err
		}
		crds = append(crds, crd)
	}
}
