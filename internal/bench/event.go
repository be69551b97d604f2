package bench

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	// MinEventSize is the least EventOptions.Size, in bytes.
	MinEventSize = 900
	// MaxEventSize is the greatest EventOptions.Size, in bytes.
	MaxEventSize = 200_000

	// templateBytes bounds the memory that the prepared events of one run take.
	templateBytes = 4 << 20
	maxTemplates  = 512
	minTemplates  = 16

	// noiseShare is the part of the free space of an event that is filled with
	// fresh random digits: one digest for every noiseShare digests' length.
	noiseShare = 3
	digestSize = 64
)

// EventOptions says what the generated events look like.
type EventOptions struct {
	// Size is the length of the JSON of every event, in bytes, exactly.
	Size int
	// WithIDs gives every event an event_id (UUIDv7) of its own.
	WithIDs bool
	// HotCorrelation puts all events on one correlation_id.
	HotCorrelation bool
	// PerCorrelation is how many events in a row share a correlation_id when
	// HotCorrelation is off.
	PerCorrelation int
	// Seed makes the content of a run repeatable. Timestamps and event_ids
	// follow the clock in any case.
	Seed uint64
}

// Events holds the prepared events of one run. It is immutable and shared by
// all generators.
type Events struct {
	options   EventOptions
	templates []template
}

// template is one event of the exact size with the places that change.
type template struct {
	body        []byte
	id          int // offset of the event_id, -1 without one
	timestamp   int
	correlation []int
	digests     []int
	duration    int
	eventType   string
}

// NewEvents prepares the events of one run. It refuses sizes outside
// MinEventSize to MaxEventSize.
func NewEvents(options EventOptions) (*Events, error) {
	if options.Size < MinEventSize || options.Size > MaxEventSize {
		return nil, fmt.Errorf("event size %d is not between %d and %d bytes", options.Size, MinEventSize, MaxEventSize)
	}
	if options.PerCorrelation < 1 {
		return nil, fmt.Errorf("events per correlation must be at least 1, not %d", options.PerCorrelation)
	}
	count := min(max(templateBytes/options.Size, minTemplates), maxTemplates)
	rng := rand.New(rand.NewPCG(options.Seed, 0))
	e := &Events{options: options, templates: make([]template, count)}
	for i := range e.templates {
		e.templates[i] = newTemplate(&kinds[i%len(kinds)], options, rng)
	}
	return e, nil
}

// kind is one kind of step that a remediation leaves in the record.
type kind struct {
	eventType, category, action, outcome, actor, resource string
}

var kinds = [...]kind{
	{"gateway.signal.received", "gateway", "received", "success", "gateway", "Deployment"},
	{"signalprocessing.enrichment.completed", "signalprocessing", "enriched", "success", "signalprocessing", "StatefulSet"},
	{"aiagent.llm.request", "analysis", "request", "success", "agent", "Investigation"},
	{"aiagent.llm.tool_call", "analysis", "tool_call", "success", "agent", "Investigation"},
	{"aiagent.llm.response", "analysis", "response", "success", "agent", "Investigation"},
	{"analysis.workflow.selected", "analysis", "selected", "success", "aianalysis", "RemediationWorkflow"},
	{"workflow.execution.started", "workflow", "started", "pending", "workflow-engine", "WorkflowRun"},
	{"execution.action.completed", "execution", "completed", "failure", "action-runner", "Pod"},
	{"notification.message.sent", "notification", "sent", "success", "notifier", "Channel"},
	{"orchestrator.lifecycle.completed", "orchestration", "completed", "success", "remediation-orchestrator", "RemediationRequest"},
}

var (
	namespaces = [...]string{"checkout", "payments", "inventory", "search-index", "identity", "edge-proxy"}
	clusters   = [...]string{"prod-eu-1", "prod-us-2", "stage-eu-1"}
	severities = [...]string{"critical", "high", "medium", "low"}
	signals    = [...]string{"KubePodCrashLooping", "KubePersistentVolumeFillingUp", "KubeNodeNotReady", "TargetDown", "HighErrorRate"}
	words      = strings.Fields(`the pod restarted after its memory limit was reached and the previous revision of the deployment
		did not show this pattern before rollout config map mounted by container differs from the one in git events report
		failed probes on port readiness returned while node pressure is low quota for namespace allows two more replicas
		so scaling would not help because the root cause lies in a leaked cache that grows until eviction selected action
		rolls back to last healthy revision with confidence above threshold and verifies error rate within minutes`)
)

// newTemplate lays out one event. The text at its end takes whatever the
// exact size leaves.
func newTemplate(k *kind, options EventOptions, rng *rand.Rand) template {
	t := template{id: -1, eventType: k.eventType}
	var b strings.Builder
	mark := func(width int) int {
		at := b.Len()
		b.WriteString(strings.Repeat("0", width))
		return at
	}
	namespace := namespaces[rng.IntN(len(namespaces))]
	b.WriteString(`{"version":"1.0",`)
	if options.WithIDs {
		b.WriteString(`"event_id":"`)
		t.id = mark(uuidSize)
		b.WriteString(`",`)
	}
	fmt.Fprintf(&b, `"event_type":%q,"event_timestamp":"`, k.eventType)
	t.timestamp = mark(timestampSize)
	fmt.Fprintf(&b, `","event_category":%q,"event_action":%q,"event_outcome":%q,"correlation_id":"`, k.category, k.action, k.outcome)
	t.correlation = append(t.correlation, mark(correlationSize))
	fmt.Fprintf(&b, `","actor_type":"service","actor_id":%q,"resource_type":%q,"resource_id":"%s/%s-%d","namespace":%q,"cluster_name":%q,"severity":%q,"duration_ms":`,
		k.actor, k.resource, namespace, words[rng.IntN(len(words))], 10+rng.IntN(90), namespace,
		clusters[rng.IntN(len(clusters))], severities[rng.IntN(len(severities))])
	t.duration = mark(durationSize)
	fmt.Fprintf(&b, `,"event_data":{"signal_name":%q,"remediation_request":"`, signals[rng.IntN(len(signals))])
	t.correlation = append(t.correlation, mark(correlationSize))
	fmt.Fprintf(&b, `","attempt":%d,"confidence":0.%02d,"dry_run":%t,"evidence":[`, 1+rng.IntN(5), 10+rng.IntN(90), rng.IntN(2) == 0)
	const tail = `],"analysis":""}}`
	free := options.Size - b.Len() - len(tail)
	for i := range free / (noiseShare * (digestSize + 3)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		t.digests = append(t.digests, mark(digestSize))
		b.WriteByte('"')
	}
	b.WriteString(`],"analysis":"`)
	writeText(&b, options.Size-b.Len()-len(`"}}`), rng)
	b.WriteString(`"}}`)
	t.body = []byte(b.String())
	return t
}

// writeText writes exactly n bytes of words.
func writeText(b *strings.Builder, n int, rng *rand.Rand) {
	end := b.Len() + n
	for b.Len() < end {
		word := words[rng.IntN(len(words))]
		b.WriteString(word[:min(len(word), end-b.Len())])
		if b.Len() < end {
			b.WriteByte(' ')
		}
	}
}

// Widths in bytes of what changes from event to event.
const (
	uuidSize        = 36
	timestampSize   = len("2006-01-02T15:04:05.000000Z")
	correlationSize = len("rr-000000000000-00000000")
	durationSize    = 5
)

// Generator makes the events of one client: each has current time, a place in
// a correlation and random digits of its own. It is not safe for concurrent use.
type Generator struct {
	events      *Events
	rng         *rand.PCG
	next        int
	left        int // events until the correlation changes
	correlation [correlationSize]byte
	second      int64
	stamp       [timestampSize]byte
	eventType   string
}

// Generator returns the generator of one client; stream tells the clients of
// a run apart, and each gets other content.
func (e *Events) Generator(stream int) *Generator {
	g := &Generator{
		events: e,
		rng:    rand.NewPCG(e.options.Seed, uint64(stream)+1),
		next:   stream * 7 % len(e.templates),
		second: -1,
	}
	if e.options.HotCorrelation {
		g.newCorrelation(rand.NewPCG(e.options.Seed, 0))
	}
	return g
}

// Append appends the JSON of the next event, dated at, to dst. It allocates
// only when dst has no room.
func (g *Generator) Append(dst []byte, at time.Time) []byte {
	return g.appendMicros(dst, at.UnixMicro())
}

func (g *Generator) appendMicros(dst []byte, micros int64) []byte {
	t := &g.events.templates[g.next]
	g.next = (g.next + 1) % len(g.events.templates)
	g.eventType = t.eventType
	if !g.events.options.HotCorrelation {
		if g.left == 0 {
			g.newCorrelation(g.rng)
			g.left = g.events.options.PerCorrelation
		}
		g.left--
	}
	start := len(dst)
	dst = append(dst, t.body...)
	body := dst[start:]
	if t.id >= 0 {
		id := g.idAt(micros)
		putUUID(body[t.id:], &id)
	}
	g.putTimestamp(body[t.timestamp:], micros)
	for _, at := range t.correlation {
		copy(body[at:], g.correlation[:])
	}
	putDigits(body[t.duration:t.duration+durationSize], 10_000+g.rng.Uint64()%90_000)
	for _, at := range t.digests {
		putHex(body[at:at+digestSize], g.rng)
	}
	return dst
}

// EventType returns the event_type of the event that Append made last.
func (g *Generator) EventType() string { return g.eventType }

// CorrelationID returns the correlation_id of the event that Append made
// last. The bytes change with the next call.
func (g *Generator) CorrelationID() []byte { return g.correlation[:] }

// ID returns a new UUIDv7 of the time at.
func (g *Generator) ID(at time.Time) [16]byte { return g.idAt(at.UnixMicro()) }

func (g *Generator) idAt(micros int64) [16]byte {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(micros/1000)<<16|0x7000|g.rng.Uint64()&0x0fff)
	binary.BigEndian.PutUint64(id[8:], 1<<63|g.rng.Uint64()>>2)
	return id
}

func (g *Generator) newCorrelation(rng *rand.PCG) {
	copy(g.correlation[:], "rr-")
	putHex(g.correlation[3:15], rng)
	g.correlation[15] = '-'
	putHex(g.correlation[16:], rng)
}

// putTimestamp writes micros (since 1970) as RFC 3339 with six digits.
// The date and second are formatted once a second.
func (g *Generator) putTimestamp(dst []byte, micros int64) {
	if second := micros / 1e6; second != g.second {
		g.second = second
		copy(g.stamp[:], time.Unix(second, 0).UTC().Format("2006-01-02T15:04:05.000000Z"))
	}
	copy(dst, g.stamp[:])
	putDigits(dst[20:26], uint64(micros%1e6))
}

// putDigits fills dst with the decimal digits of v, right-aligned.
func putDigits(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
}

// putHex fills dst with random hexadecimal digits.
func putHex(dst []byte, rng *rand.PCG) {
	const digits = "0123456789abcdef"
	for len(dst) > 0 {
		v := rng.Uint64()
		n := min(len(dst), 16)
		for i := range n {
			dst[i] = digits[v&15]
			v >>= 4
		}
		dst = dst[n:]
	}
}

func putUUID(dst []byte, id *[16]byte) {
	hex.Encode(dst, id[:4])
	dst[8] = '-'
	hex.Encode(dst[9:], id[4:6])
	dst[13] = '-'
	hex.Encode(dst[14:], id[6:8])
	dst[18] = '-'
	hex.Encode(dst[19:], id[8:10])
	dst[23] = '-'
	hex.Encode(dst[24:], id[10:])
}
