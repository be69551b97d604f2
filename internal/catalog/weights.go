package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// Weights are what the terms of a score count, in units of 1/1000 of a point. A final score is the sum of all terms
// divided by ten points, so a term of 100 moves it by 0.01. Penalties are given as what is taken away.
type Weights struct {
	// Base is what every workflow has whose mandatory labels match.
	Base int `json:"base"`
	// CustomLabel is for each pair of key and value that the workflow has too.
	CustomLabel int `json:"custom_label"`
	// CustomLabelWildcard is for each pair that the workflow does not have while it has Wildcard under the key.
	CustomLabelWildcard int `json:"custom_label_wildcard"`
	// GitOpsManaged is for a workflow that says true where the search does.
	GitOpsManaged int `json:"git_ops_managed"`
	// GitOpsManagedPenalty is taken from one that says false, or nothing.
	GitOpsManagedPenalty int `json:"git_ops_managed_penalty"`
	// GitOpsTool is for the same tool.
	GitOpsTool int `json:"git_ops_tool"`
	// GitOpsToolPenalty is taken from a workflow for another tool, or for none.
	GitOpsToolPenalty int `json:"git_ops_tool_penalty"`
	// GitOpsToolWildcard is for Wildcard on either side.
	GitOpsToolWildcard int `json:"git_ops_tool_wildcard"`
	// HelmManaged, HPAEnabled, NetworkIsolated, PDBProtected and Stateful are for true on both sides.
	HelmManaged     int `json:"helm_managed"`
	HPAEnabled      int `json:"hpa_enabled"`
	NetworkIsolated int `json:"network_isolated"`
	PDBProtected    int `json:"pdb_protected"`
	// ServiceMesh is for the same mesh.
	ServiceMesh int `json:"service_mesh"`
	// ServiceMeshWildcard is for Wildcard on either side.
	ServiceMeshWildcard int `json:"service_mesh_wildcard"`
	Stateful            int `json:"stateful"`
}

// DefaultWeights returns the weights of the HTTP contract, section 6.1.
func DefaultWeights() Weights {
	return Weights{
		Base:        5000,
		CustomLabel: 50, CustomLabelWildcard: 25,
		GitOpsManaged: 100, GitOpsManagedPenalty: 100,
		GitOpsTool: 100, GitOpsToolPenalty: 100, GitOpsToolWildcard: 50,
		HelmManaged: 20, HPAEnabled: 20, NetworkIsolated: 30, PDBProtected: 50,
		ServiceMesh: 50, ServiceMeshWildcard: 25, Stateful: 20,
	}
}

// maxCustomPairs is how many pairs of key and value a search has at most.
const maxCustomPairs = 50

// Validate returns all that is wrong, one sentence each, joined: no weight is negative, a wildcard never counts more than
// the value itself, and no search can leave the range of scores, 0 to 1.
func (w *Weights) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for _, f := range w.fields() {
		if f.value < 0 || f.value > maxScore {
			fault("%s must lie between 0 and %d, not %d.", f.name, maxScore, f.value)
		}
	}
	for _, p := range [][2]weight{
		{{"custom_label", w.CustomLabel}, {"custom_label_wildcard", w.CustomLabelWildcard}},
		{{"git_ops_tool", w.GitOpsTool}, {"git_ops_tool_wildcard", w.GitOpsToolWildcard}},
		{{"service_mesh", w.ServiceMesh}, {"service_mesh_wildcard", w.ServiceMeshWildcard}},
	} {
		if p[1].value > p[0].value {
			fault("%s must be at most %s, which is %d: a wildcard says less than the value itself.", p[1].name, p[0].name, p[0].value)
		}
	}
	if least := w.Base - w.GitOpsManagedPenalty - w.GitOpsToolPenalty; least < 0 {
		fault("base must be at least the sum of both penalties, %d: a score below 0 is none.", w.Base-least)
	}
	boosts := w.GitOpsManaged + w.GitOpsTool + w.HelmManaged + w.HPAEnabled + w.NetworkIsolated + w.PDBProtected +
		w.ServiceMesh + w.Stateful + maxCustomPairs*w.CustomLabel
	if w.Base+boosts > maxScore {
		fault("base and all boosts, %d custom labels among them, are %d together and must be at most %d: a score above 1 is none.",
			maxCustomPairs, w.Base+boosts, maxScore)
	}
	return errors.Join(faults...)
}

// weight is one of the weights under its name in JSON.
type weight struct {
	name  string
	value int
}

// fields returns the weights in the order of their names.
func (w *Weights) fields() [15]weight {
	return [...]weight{
		{"base", w.Base},
		{"custom_label", w.CustomLabel},
		{"custom_label_wildcard", w.CustomLabelWildcard},
		{"git_ops_managed", w.GitOpsManaged},
		{"git_ops_managed_penalty", w.GitOpsManagedPenalty},
		{"git_ops_tool", w.GitOpsTool},
		{"git_ops_tool_penalty", w.GitOpsToolPenalty},
		{"git_ops_tool_wildcard", w.GitOpsToolWildcard},
		{"helm_managed", w.HelmManaged},
		{"hpa_enabled", w.HPAEnabled},
		{"network_isolated", w.NetworkIsolated},
		{"pdb_protected", w.PDBProtected},
		{"service_mesh", w.ServiceMesh},
		{"service_mesh_wildcard", w.ServiceMeshWildcard},
		{"stateful", w.Stateful},
	}
}

// Version is the name of these values: the first 12 hex digits of the SHA-256 of their canonical JSON.
func (w *Weights) Version() string {
	sum := sha256.Sum256(w.appendJSON(nil))
	return hex.EncodeToString(sum[:6])
}

// appendJSON appends the canonical JSON form: fields returns the members in order.
func (w *Weights) appendJSON(b []byte) []byte {
	separator := byte('{')
	for _, f := range w.fields() {
		b = append(b, separator)
		separator = ','
		b = append(append(append(b, '"'), f.name...), '"', ':')
		b = strconv.AppendInt(b, int64(f.value), 10)
	}
	return append(b, '}')
}
