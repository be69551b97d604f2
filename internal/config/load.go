package config

import (
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Sources is where Load looks.
type Sources struct {
	// Flags of the command, parsed. Of those that AddFlags knows, the ones that were given count, --config among them.
	Flags *pflag.FlagSet
	// Environ is the environment as os.Environ returns it.
	Environ []string
}

// Effective is a configuration together with where each of its values comes from.
type Effective struct {
	Config
	origins map[string]Origin
}

// Origin returns where the value of the setting comes from.
func (e *Effective) Origin(key string) Origin { return e.origins[key] }

// Default returns the configuration that no source has changed.
func Default() Config {
	e := &Effective{}
	if faults := e.apply(defaults()); len(faults) > 0 {
		panic("config: " + faults.Error())
	}
	return e.Config
}

// Load returns the effective configuration, or Faults.
func Load(from Sources) (*Effective, error) {
	environment, faults := readEnvironment(from.Environ)
	flags := readFlags(from.Flags)
	var file map[string]value
	if name := configFile(from); name != "" {
		var fileFaults Faults
		file, fileFaults = readFile(name)
		faults = append(fileFaults, faults...)
	}
	return effective(faults, secretsFromFiles, file, environment, flags)
}

// Check returns the Faults of one file on its own: what flags, the environment and the file of a secret say is left out.
func Check(name string) error {
	values, faults := readFile(name)
	_, err := effective(faults, nil, values)
	return err
}

// effective lays the layers over the defaults, in ascending precedence, and checks the result.
func effective(faults Faults, readSecret func(map[string]value) Faults, layers ...map[string]value) (*Effective, error) {
	merged := defaults()
	for _, layer := range layers {
		for key, v := range layer {
			merged[key] = v
		}
	}
	faults = append(faults, settleURLs(merged)...)
	if readSecret != nil {
		faults = append(faults, readSecret(merged)...)
	}
	e := &Effective{}
	faults = append(faults, e.apply(merged)...)
	if len(faults) > 0 {
		slices.SortStableFunc(faults, byPlace)
		return nil, faults
	}
	return e, nil
}

// byPlace puts the file's faults first, in the order of its lines, and then those of the environment and the flags.
func byPlace(a, b Fault) int {
	if a.Origin.Kind != b.Origin.Kind {
		return int(a.Origin.Kind - b.Origin.Kind)
	}
	return a.Origin.Line - b.Origin.Line
}

// defaults returns the value of every setting that no source has changed.
func defaults() map[string]value {
	values := map[string]value{}
	for _, s := range known().settings {
		values[s.key] = value{text: s.def}
	}
	return values
}

// apply decodes the values into e and checks them against each other.
func (e *Effective) apply(values map[string]value) Faults {
	var faults Faults
	e.origins = map[string]Origin{}
	root := reflect.ValueOf(&e.Config).Elem()
	settings := known().settings
	for i := range settings {
		s, v := &settings[i], values[settings[i].key]
		e.origins[s.key] = v.origin
		decoded, err := s.decode(v)
		if err != nil {
			faults = append(faults, Fault{Key: s.key, Origin: v.origin, Rule: err.Error()})
			continue
		}
		root.FieldByIndex(s.index).Set(decoded)
	}
	return append(faults, e.validate(faults)...)
}

// urls are the settings that hold a URL with a password. Each has another one, with the suffix _file, for a file that
// holds it.
var urls = []string{"database.url", "dead_letters.redis.url"}

// settleURLs leaves, of each URL and its file, the one that the source of higher precedence sets.
func settleURLs(values map[string]value) (faults Faults) {
	for _, key := range urls {
		fileKey := key + "_file"
		url, file := values[key], values[fileKey]
		switch {
		case url.origin.Kind == FromDefault || file.origin.Kind == FromDefault:
		case url.origin.Kind == file.origin.Kind && (url.text == "" || file.text == ""):
		case url.origin.Kind == file.origin.Kind:
			faults = append(faults, Fault{Key: fileKey, Origin: file.origin, Rule: "is set beside " + key + " (" + url.origin.String() + "); keep one of them"})
		case url.origin.Kind > file.origin.Kind:
			values[fileKey] = value{}
		default:
			values[key] = value{}
		}
	}
	return faults
}

// secretsFromFiles puts the content of each URL's file into the URL.
func secretsFromFiles(values map[string]value) (faults Faults) {
	for _, key := range urls {
		fileKey := key + "_file"
		file := values[fileKey]
		if file.text == "" || file.shape != textShape || values[key].text != "" {
			continue
		}
		if strings.Contains(file.text, "://") {
			values[fileKey] = value{origin: file.origin}
			faults = append(faults, Fault{Key: fileKey, Origin: file.origin, Rule: "must be the path of a file that holds the URL, not the URL itself"})
			continue
		}
		text, err := readLimited(file.text)
		if err == nil && strings.TrimSpace(string(text)) == "" {
			err = unreadable(errors.New("it is empty"))
		}
		if err != nil {
			faults = append(faults, Fault{Key: fileKey, Origin: file.origin, Rule: file.text + " " + err.Error()})
			continue
		}
		values[key] = value{text: strings.TrimSpace(string(text)), origin: file.origin}
	}
	return faults
}

// configVariable names the file when --config does not.
const configVariable = envPrefix + "CONFIG"

// TokenVariable holds the bearer token of commands that talk to a running server. It is no setting.
const TokenVariable = envPrefix + "TOKEN"

// foreignVariables are names that begin like ours and belong to a command alone, or to the command line's completion.
var foreignVariables = []string{TokenVariable, envPrefix + "ACTIVE_HELP", envPrefix + "COMPLETION_DESCRIPTIONS"}

// serviceVariable matches what Kubernetes sets in every container for a Service whose name begins with datastorage.
var serviceVariable = regexp.MustCompile(`^DATASTORAGE(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=|` +
	`^DATASTORAGE(_[A-Z0-9_]+)?_PORT=(tcp|udp|sctp)://`)

// readEnvironment returns the values of our variables, and a fault for each that no setting knows. An empty variable is
// the same as none.
func readEnvironment(environ []string) (map[string]value, Faults) {
	byName := map[string]*setting{}
	names := []string{"CONFIG"}
	settings := known().settings
	for i := range settings {
		byName[settings[i].env] = &settings[i]
		names = append(names, strings.TrimPrefix(settings[i].env, envPrefix))
	}
	values := map[string]value{}
	var faults Faults
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || text == "" {
			continue
		}
		origin := Origin{Kind: FromEnvironment, Name: name}
		if s := byName[name]; s != nil {
			values[s.key] = value{text: text, origin: origin}
		} else if name != configVariable && !slices.Contains(foreignVariables, name) && !serviceVariable.MatchString(entry) {
			faults = append(faults, Fault{Origin: origin, Rule: "unknown environment variable" + variableMeant(name, names)})
		}
	}
	slices.SortFunc(faults, func(a, b Fault) int { return strings.Compare(a.Origin.Name, b.Origin.Name) })
	return values, faults
}

// variableMeant is the end of a sentence about an unknown variable, or "". Names are those we know, without the prefix.
func variableMeant(name string, names []string) string {
	if near := Closest(strings.TrimPrefix(name, envPrefix), names); near != "" {
		return "; did you mean " + envPrefix + near + "?"
	}
	return ""
}

// readFlags returns the values of the flags that were given.
func readFlags(flags *pflag.FlagSet) map[string]value {
	values := map[string]value{}
	if flags == nil {
		return values
	}
	for _, s := range known().settings {
		if s.flag != "" && flags.Changed(s.flag) {
			values[s.key] = value{text: flags.Lookup(s.flag).Value.String(), origin: Origin{Kind: FromFlag, Name: "--" + s.flag}}
		}
	}
	return values
}

// configFile returns the name of the file to read, or "".
func configFile(from Sources) string {
	if from.Flags != nil && from.Flags.Changed(configFlag) {
		return from.Flags.Lookup(configFlag).Value.String()
	}
	for _, entry := range from.Environ {
		if name, ok := strings.CutPrefix(entry, configVariable+"="); ok {
			return name
		}
	}
	return ""
}
