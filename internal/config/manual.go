// Code generated from the field comments in config.go by go generate; DO NOT EDIT.

package config

// manual is what each setting means, by key.
var manual = map[string]string{
	"listen":                         "Address and port on which the HTTP API is served. Port 0 takes any free port; an empty host listens on all interfaces.",
	"data_dir":                       "Directory of the embedded database and of the dead-letter queue. It is created when absent and locked by a running server.",
	"demo":                           "Load the sample remediation runs and workflows at start, with their times moved so that they end now.",
	"database.url":                   "PostgreSQL to use, as postgres://user:password@host:port/database. Empty: the embedded SQLite database in data_dir. Never printed, since it may hold a password.",
	"database.url_file":              "File that holds database.url, read once at start; white space around it is ignored. Of database.url and this one, the source of higher precedence counts.",
	"database.max_query_connections": "Connections to PostgreSQL, or readers of the embedded database, that serve queries. Writing has connections of its own.",
	"database.query_timeout":         "Longest time a query may run before it is given up with a 503.",
	"log.level":                      "Least severe level that is written.",
	"log.format":                     "Form of a log line. auto is text on a terminal and json elsewhere.",
	"ingest.window_past":             "Oldest event_timestamp that is accepted, counted back from now.",
	"ingest.window_future":           "Newest event_timestamp that is accepted, counted forward from now.",
	"ingest.extra_categories":        "Event categories that are accepted beside the built-in ones. Each is a lower-case letter followed by at most 49 lower-case letters, digits, _ or -.",
	"ingest.max_batch_events":        "Events that one batch may hold; more are answered with 413.",
	"ingest.max_queue_bytes":         "Memory that events waiting to be committed may take; beyond it writers get 503. At least the largest batch body that the API takes.",
	"ingest.max_queue_events":        "Events that may wait to be committed; beyond it writers get 503. At least ingest.max_batch_events.",
	"ingest.max_commit_events":       "Events after which one commit takes no further request. A single larger batch is still one commit.",
	"ingest.max_commit_bytes":        "Bytes after which one commit takes no further request. A single larger batch is still one commit.",
	"ingest.write_timeout":           "Time within which a write is answered, stored or not.",
	"retention.default_days":         "Days that an event is kept when neither the event nor its category says otherwise.",
	"retention.by_category":          "Days that events of a category are kept, by category: a mapping in the file, gateway=30,workflow=365 in the environment.",
	"http.allowed_origins":           "Origins that browsers may call the API from, such as https://ui.example.org; * is any. None by default.",
	"http.rate_limit":                "Requests per second that one client may send; beyond it the answer is 429. 0 is no limit.",
	"http.rate_burst":                "Requests that one client may send at once before http.rate_limit holds.",
	"http.read_header_timeout":       "Time a client has to send the header of a request.",
	"http.read_timeout":              "Time a client has to send a whole request, body included. At least http.read_header_timeout.",
	"http.idle_timeout":              "Time an idle connection is kept for the client's next request.",
	"http.max_header_bytes":          "Largest request header.",
	"auth.tokens_file":               "YAML file of the clients' bearer tokens, hashed, with their roles; read again when it changes. \"datastorage token\" makes an entry. Empty: everybody may read and write, and only a server on a loopback address lets anybody replay or discard dead letters.",
	"shutdown.drain_delay":           "Time that the server goes on serving, not ready, after a signal, so that load balancers notice. 0 stops at once.",
	"shutdown.timeout":               "Time that requests in flight have to finish once the server accepts no more.",
}
