package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
)

// checker holds the rules that a single value's type and limits do not say. A setting that is already at fault is left
// alone, so that no fault is reported twice.
type checker struct {
	*Effective
	bad    map[string]bool
	faults Faults
}

// validate returns the faults beyond those in earlier.
func (e *Effective) validate(earlier Faults) Faults {
	c := &checker{Effective: e, bad: map[string]bool{}}
	for _, f := range earlier {
		c.bad[f.Key] = true
	}
	c.listen()
	c.database()
	c.redis()
	c.categories()
	c.origins()
	c.queue()
	c.weights()
	if c.HTTP.ReadTimeout < c.HTTP.ReadHeaderTimeout {
		c.pair("http.read_timeout", "http.read_header_timeout", "must be at least http.read_header_timeout, which is "+FormatDuration(c.HTTP.ReadHeaderTimeout))
	}
	return c.faults
}

// fault reports that a setting breaks a rule.
func (c *checker) fault(key, rule string) {
	if !c.bad[key] {
		c.faults = append(c.faults, Fault{Key: key, Origin: c.Origin(key), Rule: rule})
	}
}

// pair reports that a setting breaks a rule together with another one. Of the two, the fault is laid to the one that was
// set, when the other is a default.
func (c *checker) pair(key, other, rule string) {
	if c.bad[key] || c.bad[other] {
		return
	}
	f := Fault{Key: key, Origin: c.Origin(key), Rule: rule}
	if f.Origin.Kind == FromDefault {
		f.Origin = c.Origin(other)
	}
	c.faults = append(c.faults, f)
}

func (c *checker) listen() {
	_, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		c.fault("listen", fmt.Sprintf("%q is not host:port, such as 127.0.0.1:8080 or :8080", c.Listen))
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		c.fault("listen", fmt.Sprintf("the port must be a number from 0 to 65535, not %q", port))
	}
	if strings.TrimSpace(c.DataDir) == "" {
		c.fault("data_dir", "must not be empty")
	}
}

// weights reports each fault of the weights under the one that its sentence begins with.
func (c *checker) weights() {
	const section = "catalog.weights."
	set := Origin{Kind: FromDefault}
	for _, key := range known().keys() {
		if !strings.HasPrefix(key, section) {
			continue
		}
		if c.bad[key] {
			return
		}
		if set.Kind == FromDefault {
			set = c.Origin(key)
		}
	}
	w := catalog.Weights(c.Catalog.Weights)
	joined, ok := w.Validate().(interface{ Unwrap() []error })
	if !ok {
		return
	}
	for _, err := range joined.Unwrap() {
		name, rule, _ := strings.Cut(err.Error(), " ")
		f := Fault{Key: section + name, Origin: c.Origin(section + name), Rule: strings.TrimSuffix(rule, ".")}
		if f.Origin.Kind == FromDefault {
			f.Origin = set // the defaults alone have no fault
		}
		c.faults = append(c.faults, f)
	}
}

func (c *checker) database() {
	text := c.Database.URL.Reveal()
	if text == "" {
		return
	}
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		c.fault("database.url", "must be empty or begin with postgres://")
	} else if _, err := url.Parse(text); err != nil {
		c.fault("database.url", noURL)
	}
}

const noURL = "is not a URL; characters such as / @ : # % and spaces in a user name or password are written as %2F %40 %3A %23 %25 %20"

func (c *checker) redis() {
	const key = "dead_letters.redis.url"
	text := c.DeadLetters.Redis.URL.Reveal()
	switch {
	case text == "":
		// Check reads no file of a secret.
		if c.DeadLetters.Backend == "redis" && c.DeadLetters.Redis.URLFile == "" {
			c.pair(key, "dead_letters.backend", "must be set for the backend redis")
		}
	case !strings.HasPrefix(text, "redis://") && !strings.HasPrefix(text, "rediss://"):
		c.fault(key, "must be empty or begin with redis:// or rediss://")
	default:
		if _, err := url.Parse(text); err != nil {
			c.fault(key, noURL)
		}
	}
	// A write that finds Redis silent must still reach the store in time.
	if most := c.Ingest.WriteTimeout / 3; c.DeadLetters.Backend == "redis" && c.DeadLetters.Redis.Timeout > most {
		c.pair("dead_letters.redis.timeout", "ingest.write_timeout", "must be at most a third of ingest.write_timeout, which is "+FormatDuration(c.Ingest.WriteTimeout))
	}
}

var categoryPattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,49}$`)

func (c *checker) categories() {
	for _, name := range c.Ingest.ExtraCategories {
		if !categoryPattern.MatchString(name) {
			c.fault("ingest.extra_categories", fmt.Sprintf("%q is not a lower-case letter followed by at most 49 lower-case letters, digits, _ or -", name))
		}
	}
	categories := slices.Concat(datastorage.Categories, c.Ingest.ExtraCategories)
	for _, name := range slices.Sorted(maps.Keys(c.Retention.ByCategory)) {
		if !slices.Contains(categories, name) && !c.bad["ingest.extra_categories"] {
			c.fault("retention.by_category", fmt.Sprintf("%q is neither a built-in category nor one of ingest.extra_categories", name)+didYouMean(name, categories))
		}
	}
}

func (c *checker) origins() {
	for _, origin := range c.HTTP.AllowedOrigins {
		if origin == "*" {
			continue
		}
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.Scheme+"://"+u.Host != origin {
			c.fault("http.allowed_origins", fmt.Sprintf("%q is not an origin such as https://ui.example.org, without a path, or *", origin))
		}
	}
}

// queue checks that whatever is accepted can wait, and that whatever waits can be committed.
func (c *checker) queue() {
	if c.Ingest.MaxQueueEvents < c.Ingest.MaxBatchEvents {
		c.pair("ingest.max_queue_events", "ingest.max_batch_events", fmt.Sprintf("must be at least ingest.max_batch_events, which is %d", c.Ingest.MaxBatchEvents))
	}
	if c.Ingest.MaxQueueBytes < c.Ingest.MaxCommitBytes {
		c.pair("ingest.max_queue_bytes", "ingest.max_commit_bytes", "must be at least ingest.max_commit_bytes, which is "+c.Ingest.MaxCommitBytes.String())
	}
}
