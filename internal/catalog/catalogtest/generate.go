// Package catalogtest makes workflows and searches that resemble real ones, for tests and measurements. The same seed
// makes the same ones.
package catalogtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

var (
	kinds = []string{
		"v1/Pod", "apps/v1/Deployment", "apps/v1/StatefulSet", "apps/v1/DaemonSet", "batch/v1/Job", "v1/Node", "v1/ConfigMap",
		"v1/PersistentVolumeClaim", "v1/Service", "v1/Secret", "networking.k8s.io/v1/Ingress", "networking.k8s.io/v1/NetworkPolicy",
		"autoscaling/v2/HorizontalPodAutoscaler", "policy/v1/PodDisruptionBudget", "cert-manager.io/v1/Certificate",
		"kubevirt.io/v1/VirtualMachine", "route.openshift.io/v1/Route", "argoproj.io/v1alpha1/Application", "helm.sh/v3/Release",
		"etcd.database.coreos.com/v1beta2/EtcdCluster",
	}
	symptoms = []string{
		"CrashLooping", "OOMKilled", "NotReady", "ImagePullBackOff", "HighLatency", "HighErrorRate", "DiskPressure", "MemoryPressure",
		"CPUThrottling", "QuotaExceeded", "CertificateExpiring", "RolloutStuck", "ReplicasMismatch", "DNSFailure", "VolumeFull",
	}
	subjects     = []string{"Kube", "Node", "Ingress", "Database", "Queue", "Mesh", "Storage", "Build"}
	actions      = []string{"Restart", "Rollback", "ScaleReplicas", "IncreaseMemoryLimits", "PatchConfiguration", "GitRevertCommit", "HelmRollback", "CordonDrainNode", "ExpandPVC", "FixCertificate", "RelaxPDB", "PatchHPA"}
	environments = []string{"production", "staging", "development", "test"}
	teams        = []string{"payments", "checkout", "search", "platform", "identity", "data", "mobile", "ads"}
	words        = strings.Fields(`restart the affected workload when its pods fail after a change of configuration and the
		previous revision was healthy roll back deployment memory limit exceeded node drain cordon volume claim expand certificate
		renew network policy blocks traffic between namespaces probe readiness timeout replica quorum operator subscription secret
		image pull registry credential budget disruption autoscaler threshold latency saturation gateway route target stale cache
		leader election lease database connection pool exhausted migration lock retry backoff queue consumer lag partition`)
)

// Workflows returns n workflows with 4 KB of text each, one version in five a later one of the workflow before it. All
// labels of a search occur: arrays, wildcards, detected and custom labels.
func Workflows(seed uint64, n int) []*datastorage.Workflow {
	r := rand.New(rand.NewPCG(seed, 0))
	all := make([]*datastorage.Workflow, n)
	minor := 0
	for i := range all {
		w := Workflow(r, i)
		if minor++; i == 0 || i%5 != 0 {
			minor = 0
		}
		if minor > 0 {
			w.Name, w.Version = all[i-1].Name, fmt.Sprintf("1.%d.0", minor)
		}
		all[i] = w
	}
	return all
}

// Workflow returns the i-th workflow of a catalogue.
func Workflow(r *rand.Rand, i int) *datastorage.Workflow {
	content := text(r, 2800)
	w := &datastorage.Workflow{
		ID: newID(r, i), Name: fmt.Sprintf("%s-%s-%05d", pick(r, words), pick(r, words), i), Version: "1.0.0", Title: text(r, 40),
		Description: text(r, 500), Content: content, ContentHash: datastorage.HashContent(content), Engine: "tekton",
		Labels: datastorage.Labels{
			SignalType: label(r, pick(r, subjects)+pick(r, symptoms), 10), Component: values(r, kinds, 2, 10),
			Environment: values(r, environments, 2, 5), Severity: values(r, datastorage.Severities, 3, 5), Priority: values(r, datastorage.Priorities, 2, 3),
		},
		CustomLabels: custom(r), Detected: detected(r), ActionType: pick(r, actions),
		ContainerImage: "registry.example/remediation/" + pick(r, words), Owner: pick(r, teams),
		Guidance:  &datastorage.Guidance{What: text(r, 100), WhenToUse: text(r, 250), WhenNotToUse: text(r, 150), Preconditions: text(r, 100)},
		CreatedAt: time.UnixMicro(1_700_000_000_000_000 + int64(i)*60_000_000).UTC(),
	}
	w.Status, w.UpdatedAt = datastorage.StatusActive, w.CreatedAt
	if r.IntN(20) == 0 {
		w.Status = datastorage.StatusDeprecated
	}
	return w
}

// Search returns a search for an incident that some workflows of a large catalogue are for, with all kinds of labels.
func Search(r *rand.Rand) *datastorage.WorkflowSearch {
	yes := true
	return &datastorage.WorkflowSearch{
		SignalType: pick(r, subjects) + pick(r, symptoms), Component: pick(r, kinds), Environment: pick(r, environments),
		Severity: pick(r, datastorage.Severities), Priority: pick(r, datastorage.Priorities),
		CustomLabels: map[string][]string{"team": {pick(r, teams)}, "risk_tolerance": {"low", "medium"}},
		Detected: datastorage.DetectedLabels{
			GitOpsManaged: &yes, GitOpsTool: "argocd", PDBProtected: &yes, ServiceMesh: "istio", HelmManaged: &yes, NetworkIsolated: &yes,
			Stateful: &yes, HPAEnabled: &yes,
		},
		Statuses: []string{datastorage.StatusActive}, TopK: datastorage.DefaultTopK,
	}
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// label returns one value, or Wildcard once in oneIn times.
func label(r *rand.Rand, value string, oneIn int) []string {
	if r.IntN(oneIn) == 0 {
		value = datastorage.Wildcard
	}
	return []string{value}
}

// values returns up to n different values, or Wildcard once in oneIn times.
func values(r *rand.Rand, from []string, n, oneIn int) []string {
	if r.IntN(oneIn) == 0 {
		return []string{datastorage.Wildcard}
	}
	var chosen []string
	for _, i := range r.Perm(len(from))[:1+r.IntN(n)] {
		chosen = append(chosen, from[i])
	}
	return chosen
}

func custom(r *rand.Rand) map[string][]string {
	labels := map[string][]string{}
	if r.IntN(2) == 0 {
		labels["team"] = values(r, teams, 2, 5)
	}
	if r.IntN(3) == 0 {
		labels["risk_tolerance"] = values(r, []string{"low", "medium", "high"}, 1, 10)
	}
	if len(labels) == 0 {
		return nil
	}
	return labels
}

func detected(r *rand.Rand) datastorage.DetectedLabels {
	flag := func() *bool {
		if r.IntN(2) == 0 {
			return nil
		}
		b := r.IntN(3) > 0
		return &b
	}
	return datastorage.DetectedLabels{
		GitOpsManaged: flag(), PDBProtected: flag(), HPAEnabled: flag(), Stateful: flag(), HelmManaged: flag(), NetworkIsolated: flag(),
		GitOpsTool: pick(r, []string{"", "", "argocd", "flux", "*"}), ServiceMesh: pick(r, []string{"", "", "istio", "linkerd", "*"}),
	}
}

// text returns about size bytes of words.
func text(r *rand.Rand, size int) string {
	var b strings.Builder
	b.Grow(size + 16)
	for b.Len() < size {
		b.WriteString(pick(r, words))
		b.WriteByte(' ')
	}
	return strings.TrimSpace(b.String())
}

// newID returns a UUIDv7 of the i-th minute.
func newID(r *rand.Rand, i int) uuid.UUID {
	var id uuid.UUID
	for b := range id {
		id[b] = byte(r.Uint32())
	}
	ms := 1_700_000_000_000 + uint64(i)*60_000
	for b := range 6 {
		id[b] = byte(ms >> (40 - 8*b))
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id
}
