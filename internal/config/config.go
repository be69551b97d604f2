package config

import "time"

// Config is everything that can be set. Each field's comment is its entry in the manual; its tags say the key in the YAML
// file, the flag where there is one, the default, and the limits, both ends included.
type Config struct {
	// Address and port on which the HTTP API is served. Port 0 takes any free port; an empty host listens on all interfaces.
	Listen string `key:"listen" flag:"listen" default:"127.0.0.1:8080"`

	// Directory of the embedded database and of the dead-letter queue. It is created when absent and locked by a running server.
	DataDir string `key:"data_dir" flag:"data-dir" default:"./datastorage-data"`

	// Load the sample remediation runs and workflows at start, with their times moved so that they end now.
	Demo bool `key:"demo" flag:"demo" default:"false"`

	// Where the events are stored.
	Database Database `key:"database"`
	// What the server says about itself, on standard error.
	Log Log `key:"log"`
	// What is accepted, and how much may wait to be written.
	Ingest Ingest `key:"ingest"`
	// Where writes wait while the store cannot take them.
	DeadLetters DeadLetters `key:"dead_letters"`
	// How long events are kept.
	Retention Retention `key:"retention"`
	// The workflow catalogue.
	Catalog Catalog `key:"catalog"`

	// What is derived from the log.
	Projections Projections `key:"projections"`
	// Limits of the HTTP server.
	HTTP HTTP `key:"http"`
	// Who may call the API.
	Auth Auth `key:"auth"`
	// How the server stops.
	Shutdown Shutdown `key:"shutdown"`
}

// Auth says who may call the API.
type Auth struct {
	// YAML file of the clients' bearer tokens, hashed, with their roles; read again when it changes. "datastorage token" makes an entry. Empty: everybody may read and write, and only a server on a loopback address lets anybody replay or discard dead letters.
	TokensFile string `key:"tokens_file" default:""`
}

// Database says where the events are stored.
type Database struct {
	// PostgreSQL to use, as postgres://user:password@host:port/database. Empty: the embedded SQLite database in data_dir. Never printed, since it may hold a password.
	URL Secret `key:"url" flag:"database-url" default:""`

	// File that holds database.url, read once at start; white space around it is ignored. Of database.url and this one, the source of higher precedence counts.
	URLFile string `key:"url_file" default:""`

	// Connections to PostgreSQL, or readers of the embedded database, that serve queries. Writing has connections of its own.
	MaxQueryConnections int `key:"max_query_connections" default:"8" min:"1" max:"1000"`

	// Longest time a query may run before it is given up with a 503.
	QueryTimeout time.Duration `key:"query_timeout" default:"10s" min:"1ms" max:"1h"`
}

// Log says what the server writes to standard error.
type Log struct {
	// Least severe level that is written.
	Level string `key:"level" flag:"log-level" default:"info" oneof:"debug info warn error"`

	// Form of a log line. auto is text on a terminal and json elsewhere.
	Format string `key:"format" flag:"log-format" default:"auto" oneof:"auto json text"`
}

// Ingest bounds what is accepted and what may wait.
type Ingest struct {
	// Oldest event_timestamp that is accepted, counted back from now.
	WindowPast time.Duration `key:"window_past" default:"168h" min:"0s" max:"36500d"`

	// Newest event_timestamp that is accepted, counted forward from now.
	WindowFuture time.Duration `key:"window_future" default:"5m" min:"0s" max:"36500d"`

	// Event categories that are accepted beside the built-in ones. Each is a lower-case letter followed by at most 49 lower-case letters, digits, _ or -.
	ExtraCategories []string `key:"extra_categories" default:""`

	// Events that one batch may hold; more are answered with 413.
	MaxBatchEvents int `key:"max_batch_events" default:"1000" min:"1" max:"10000"`

	// Memory that requests with a body may take at once: what has arrived of the bodies, and 28 KiB for each request whose body is there; beyond it writers get 503 at once. 64 MiB are some 2000 single events under way. At least the largest batch body that the API takes.
	MaxInFlightBytes Size `key:"max_inflight_bytes" default:"64MiB" min:"16MiB" max:"64GiB"`

	// Memory that events waiting to be committed may take; beyond it writers get 503. At least the largest batch body that the API takes.
	MaxQueueBytes Size `key:"max_queue_bytes" default:"64MiB" min:"16MiB" max:"64GiB"`

	// Events that may wait to be committed; beyond it writers get 503. At least ingest.max_batch_events.
	MaxQueueEvents int `key:"max_queue_events" default:"50000" min:"1" max:"10000000"`

	// Events after which one commit takes no further request. A single larger batch is still one commit.
	MaxCommitEvents int `key:"max_commit_events" default:"2000" min:"1" max:"100000"`

	// Bytes after which one commit takes no further request. A single larger batch is still one commit.
	MaxCommitBytes Size `key:"max_commit_bytes" default:"8MiB" min:"64KiB" max:"1GiB"`

	// Time within which a write is answered, stored or not.
	WriteTimeout time.Duration `key:"write_timeout" default:"3s" min:"100ms" max:"1m"`
}

// DeadLetters says where writes wait while the store cannot take them.
type DeadLetters struct {
	// Kind of the queue. disk is a file in data_dir that belongs to this server; redis is shared by all servers that use it; none answers 503 instead.
	Backend string `key:"backend" default:"disk" oneof:"disk redis none"`

	// Bytes that the queue may take, on disk or in Redis; beyond it writers get 503.
	MaxBytes Size `key:"max_bytes" default:"1GiB" min:"1MiB" max:"1TiB"`

	// Bytes that the queue on disk leaves free on its file system; below it writers get 503.
	MinFreeBytes Size `key:"min_free_bytes" default:"256MiB" min:"0" max:"1TiB"`

	// The Redis server of the backend redis.
	Redis Redis `key:"redis"`
}

// Redis says which Redis server holds the dead-letter queue.
type Redis struct {
	// Redis 6.2 or newer, or Valkey, to use, as redis://user:password@host:port/database, or rediss:// for TLS. Never printed, since it may hold a password.
	URL Secret `key:"url" default:""`

	// File that holds dead_letters.redis.url, read once at start; white space around it is ignored. Of dead_letters.redis.url and this one, the source of higher precedence counts.
	URLFile string `key:"url_file" default:""`

	// Longest time one request to Redis may take. At most a third of ingest.write_timeout.
	Timeout time.Duration `key:"timeout" default:"1s" min:"10ms" max:"20s"`

	// Start even when the Redis server may forget what it has acknowledged: it evicts keys, or does not sync its log to disk. Acknowledged events can be lost then.
	AllowUnsafe bool `key:"allow_unsafe" default:"false"`
}

// Retention says how long events are kept.
type Retention struct {
	// Days that an event is kept when neither the event nor its category says otherwise.
	DefaultDays int `key:"default_days" default:"2555" min:"1" max:"36500"`

	// Days that events of a category are kept, by category: a mapping in the file, gateway=30,workflow=365 in the environment.
	ByCategory map[string]int `key:"by_category" default:"" min:"1" max:"36500"`
}

// Projections says who keeps up what is derived from the log.
type Projections struct {
	// Whether this server may do it; of all that may, one does. When none does, what is derived falls behind the log.
	Enabled bool `key:"enabled" default:"true"`
}

// Catalog says how the workflow catalogue is kept and searched.
type Catalog struct {
	// How often the store is asked for changes that other servers made: the longest that such a change stays unseen here.
	PollInterval time.Duration `key:"poll_interval" default:"75ms" min:"5ms" max:"1m"`

	// What the terms of a search's score count, in thousandths of a point; ten points are the score 1.
	Weights Weights `key:"weights"`

	// What outcomes may do to searches that ask for rank=outcomes.
	Outcomes RankOutcomes `key:"outcomes"`
}

// RankOutcomes says how much the success rate of workflows counts in a search that asks for it.
type RankOutcomes struct {
	// The most that a good or bad history adds to or takes from a score, in thousandths of a point; 50 is as much as one
	// custom label.
	MaxShift int `key:"max_shift" default:"50" min:"0" max:"1000"`

	// Executions that a workflow needs before its history counts; with fewer it is treated as new.
	MinExecutions int `key:"min_executions" default:"5" min:"1" max:"1000000"`

	// How far back executions are looked at.
	Range time.Duration `key:"range" default:"2160h" min:"1h" max:"87600h"`
}

// Weights are those of package catalog, field by field.
type Weights struct {
	// What every workflow has whose mandatory labels match.
	Base int `key:"base" default:"5000" min:"0" max:"10000"`

	// What each pair of key and value adds that the workflow has too.
	CustomLabel int `key:"custom_label" default:"50" min:"0" max:"10000"`

	// What each pair adds for a workflow that has * under the key; at most catalog.weights.custom_label.
	CustomLabelWildcard int `key:"custom_label_wildcard" default:"25" min:"0" max:"10000"`

	// What gitOpsManaged adds for a workflow that says true where the search does.
	GitOpsManaged int `key:"git_ops_managed" default:"100" min:"0" max:"10000"`

	// What it takes away from one that says false, or nothing.
	GitOpsManagedPenalty int `key:"git_ops_managed_penalty" default:"100" min:"0" max:"10000"`

	// What gitOpsTool adds for the same tool.
	GitOpsTool int `key:"git_ops_tool" default:"100" min:"0" max:"10000"`

	// What it takes away from a workflow for another tool, or for none.
	GitOpsToolPenalty int `key:"git_ops_tool_penalty" default:"100" min:"0" max:"10000"`

	// What it adds for * on either side; at most catalog.weights.git_ops_tool.
	GitOpsToolWildcard int `key:"git_ops_tool_wildcard" default:"50" min:"0" max:"10000"`

	// What helmManaged adds for true on both sides.
	HelmManaged int `key:"helm_managed" default:"20" min:"0" max:"10000"`

	// What hpaEnabled adds for true on both sides.
	HPAEnabled int `key:"hpa_enabled" default:"20" min:"0" max:"10000"`

	// What networkIsolated adds for true on both sides.
	NetworkIsolated int `key:"network_isolated" default:"30" min:"0" max:"10000"`

	// What pdbProtected adds for true on both sides.
	PDBProtected int `key:"pdb_protected" default:"50" min:"0" max:"10000"`

	// What serviceMesh adds for the same mesh.
	ServiceMesh int `key:"service_mesh" default:"50" min:"0" max:"10000"`

	// What it adds for * on either side; at most catalog.weights.service_mesh.
	ServiceMeshWildcard int `key:"service_mesh_wildcard" default:"25" min:"0" max:"10000"`

	// What stateful adds for true on both sides.
	Stateful int `key:"stateful" default:"20" min:"0" max:"10000"`
}

// HTTP bounds what a client may do to the HTTP server.
type HTTP struct {
	// Origins that browsers may call the API from, such as https://ui.example.org; * is any. None by default.
	AllowedOrigins []string `key:"allowed_origins" default:""`

	// Requests per second that one client may send; beyond it the answer is 429. 0 is no limit.
	RateLimit float64 `key:"rate_limit" default:"0" min:"0" max:"1000000"`

	// Requests that one client may send at once before http.rate_limit holds.
	RateBurst int `key:"rate_burst" default:"100" min:"1" max:"1000000"`

	// Time a client has to send the header of a request.
	ReadHeaderTimeout time.Duration `key:"read_header_timeout" default:"5s" min:"100ms" max:"10m"`

	// Time a client has to send a whole request, body included. At least http.read_header_timeout.
	ReadTimeout time.Duration `key:"read_timeout" default:"30s" min:"100ms" max:"1h"`

	// Time a client has to take an answer, beside what the server may need to make it.
	WriteTimeout time.Duration `key:"write_timeout" default:"1m" min:"100ms" max:"1h"`

	// Time an idle connection is kept for the client's next request; at most a fourth longer.
	IdleTimeout time.Duration `key:"idle_timeout" default:"2m" min:"100ms" max:"1h"`

	// Clients that may follow the log at once with GET /api/v1/audit/events/stream; more are answered 503.
	MaxTailReaders int `key:"max_tail_readers" default:"1000" min:"1" max:"100000"`

	// Largest request header.
	MaxHeaderBytes Size `key:"max_header_bytes" default:"64KiB" min:"4KiB" max:"16MiB"`
}

// Shutdown says how the server stops.
type Shutdown struct {
	// Time that the server goes on serving, not ready, after a signal, so that load balancers notice. 0 stops at once.
	DrainDelay time.Duration `key:"drain_delay" default:"5s" min:"0s" max:"1h"`

	// Time that requests in flight have to finish once the server accepts no more.
	Timeout time.Duration `key:"timeout" default:"30s" min:"1s" max:"1h"`
}
