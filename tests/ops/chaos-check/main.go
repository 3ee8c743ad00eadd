// chaos-check reads rendered manifests and decodes each Chaos Mesh experiment strictly into Chaos Mesh's own types, then runs
// their validation. Exit 1 names what is wrong.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"sigs.k8s.io/yaml"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail("cannot read", err)
	}
	checked := 0
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		var head struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Metadata   struct{ Name string }
		}
		if err := yaml.Unmarshal(document, &head); err != nil {
			fail("not YAML", err)
		}
		if head.APIVersion != v1alpha1.SchemeGroupVersion.String() {
			continue
		}
		var experiment any
		var validate func() error
		switch head.Kind {
		case "PodChaos":
			chaos := &v1alpha1.PodChaos{}
			experiment, validate = chaos, func() error { _, err := chaos.ValidateCreate(context.Background(), chaos); return err }
		case "NetworkChaos":
			chaos := &v1alpha1.NetworkChaos{}
			experiment, validate = chaos, func() error { _, err := chaos.ValidateCreate(context.Background(), chaos); return err }
		default:
			fail(head.Metadata.Name, fmt.Errorf("kind %s is not known here", head.Kind))
		}
		if err := yaml.UnmarshalStrict(document, experiment); err != nil {
			fail(head.Metadata.Name, err)
		}
		if err := validate(); err != nil {
			fail(head.Metadata.Name, err)
		}
		checked++
	}
	fmt.Printf("%d experiments are valid\n", checked)
	if checked == 0 {
		os.Exit(1)
	}
}

func fail(what string, err error) {
	fmt.Fprintf(os.Stderr, "chaos-check: %s: %v\n", what, err)
	os.Exit(1)
}
