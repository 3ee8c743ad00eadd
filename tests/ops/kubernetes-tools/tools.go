//go:build tools

// Package tools pins the API server and kubectl that tests/ops/kubernetes builds.
package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
