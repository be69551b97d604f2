package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// configFlag names the YAML file; it is the one flag that is no setting.
const configFlag = "config"

// AddStoreFlags adds --config, --data-dir, --database-url, --log-level and --log-format: what every command that touches
// a store takes.
func AddStoreFlags(flags *pflag.FlagSet) {
	flags.String(configFlag, "", "YAML `file` with settings; see \"datastorage config --help\"")
	addSetting(flags, "data_dir", "directory")
	addSetting(flags, "database.url", "url")
	addSetting(flags, "log.level", "level")
	addSetting(flags, "log.format", "format")
}

// AddServerFlags adds --listen and --demo, which the server takes beside the store's flags.
func AddServerFlags(flags *pflag.FlagSet) {
	addSetting(flags, "listen", "host:port")
	addSetting(flags, "demo", "")
}

// addSetting adds the flag of a setting. Its usage is the first sentence of the manual.
func addSetting(flags *pflag.FlagSet, key, placeholder string) {
	s := known().byKey[key]
	sentence, _, _ := strings.Cut(manual[key], ". ")
	usage := strings.ToLower(sentence[:1]) + strings.TrimSuffix(sentence[1:], ".")
	if strings.HasPrefix(sentence, "PostgreSQL") {
		usage = sentence
	}
	if len(s.oneOf) > 0 {
		usage += ": " + s.alternatives()
	}
	if placeholder == "" {
		flags.Bool(s.flag, s.def == "true", usage)
		return
	}
	flags.String(s.flag, s.def, usage)
	if f := flags.Lookup(s.flag); !strings.Contains(f.Usage, "`") {
		f.Usage += " (`" + placeholder + "`)"
	}
}
