package catalog

import (
	"slices"

	"github.com/datastorage-io/datastorage"
)

// signature is all that the detected labels of a workflow say to a score: a bit for each boolean that is true, above two
// bits for the GitOps tool and two for the service mesh.
type signature uint16

const (
	meshBits   = 2
	valueBits  = 4 // tool and mesh
	numFlags   = 6
	valueMask  = 1<<valueBits - 1
	anyValue   = 3 // Wildcard as a tool or mesh
	noValue    = 0 // an absent tool or mesh
	numValues  = 4
	numFlagSet = 1 << numFlags
)

var (
	gitOpsTools   = [numValues]string{noValue: "", "argocd", "flux", anyValue: datastorage.Wildcard}
	serviceMeshes = [numValues]string{noValue: "", "istio", "linkerd", anyValue: datastorage.Wildcard}
)

// The booleans, by their bit. gitOpsManaged is the one with a penalty.
const flagGitOpsManaged = 0

var flagNames = [numFlags]string{"gitOpsManaged", "pdbProtected", "networkIsolated", "helmManaged", "stateful", "hpaEnabled"}

const (
	nameGitOpsTool  = "gitOpsTool"
	nameServiceMesh = "serviceMesh"
)

func flags(d *datastorage.DetectedLabels) [numFlags]*bool {
	return [numFlags]*bool{d.GitOpsManaged, d.PDBProtected, d.NetworkIsolated, d.HelmManaged, d.Stateful, d.HPAEnabled}
}

func flagWeights(w *Weights) [numFlags]int {
	return [numFlags]int{w.GitOpsManaged, w.PDBProtected, w.NetworkIsolated, w.HelmManaged, w.Stateful, w.HPAEnabled}
}

// signatureOf returns the signature of a workflow's labels, or with skipFailed of a search's, whose failed detections say
// nothing.
func signatureOf(d *datastorage.DetectedLabels, skipFailed bool) signature {
	counts := func(name string) bool { return !skipFailed || !slices.Contains(d.Failed, name) }
	var s signature
	for i, flag := range flags(d) {
		if flag != nil && *flag && counts(flagNames[i]) {
			s |= 1 << (valueBits + i)
		}
	}
	if counts(nameGitOpsTool) {
		s |= signature(max(noValue, slices.Index(gitOpsTools[:], d.GitOpsTool))) << meshBits
	}
	if counts(nameServiceMesh) {
		s |= signature(max(noValue, slices.Index(serviceMeshes[:], d.ServiceMesh)))
	}
	return s
}

func (s signature) flags() int      { return int(s >> valueBits) }
func (s signature) flag(i int) bool { return s>>(valueBits+i)&1 != 0 }
func (s signature) values() int     { return int(s & valueMask) }
func (s signature) tool() int       { return int(s&valueMask) >> meshBits }
func (s signature) mesh() int       { return int(s) & (numValues - 1) }

// flagTerm returns what one boolean of a workflow adds to a score, or takes away, when the search says true.
func flagTerm(w *Weights, flag int, says bool) int {
	switch {
	case says:
		return flagWeights(w)[flag]
	case flag == flagGitOpsManaged:
		return -w.GitOpsManagedPenalty
	}
	return 0
}

// toolTerm returns what the GitOps tool adds or takes away.
func toolTerm(w *Weights, asked, says int) int {
	switch {
	case asked == noValue:
		return 0
	case asked == anyValue:
		return presence(says, w.GitOpsToolWildcard)
	case says == asked:
		return w.GitOpsTool
	case says == anyValue:
		return w.GitOpsToolWildcard
	}
	return -w.GitOpsToolPenalty
}

// meshTerm returns what the service mesh adds.
func meshTerm(w *Weights, asked, says int) int {
	switch {
	case asked == noValue:
		return 0
	case asked == anyValue:
		return presence(says, w.ServiceMeshWildcard)
	case says == asked:
		return w.ServiceMesh
	case says == anyValue:
		return w.ServiceMeshWildcard
	}
	return 0
}

func presence(says, weight int) int {
	if says == noValue {
		return 0
	}
	return weight
}
