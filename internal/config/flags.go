package config

import "github.com/spf13/pflag"

// configFlag names the YAML file; it is the one flag that is no setting.
const configFlag = "config"

// AddStoreFlags adds --config, --data-dir, --database-url, --log-level and --log-format: what every command that touches
// a store takes. Their values are read by Load, not through the flag set's getters.
func AddStoreFlags(flags *pflag.FlagSet) {
	flags.Var(&textFlag{placeholder: "file"}, configFlag, `YAML file with settings; "datastorage config --help" lists them`)
	addText(flags, "data_dir", "directory", "directory of the embedded database and the dead-letter queue")
	addText(flags, "database.url", "url", "PostgreSQL to use instead of the embedded database, as postgres://user@host/database")
	addText(flags, "log.level", "level", "least severe level that is written: "+known().byKey["log.level"].alternatives())
	addText(flags, "log.format", "format", "form of a log line: "+known().byKey["log.format"].alternatives())
}

// AddServerFlags adds --listen and --demo, which the server takes beside the store's flags.
func AddServerFlags(flags *pflag.FlagSet) {
	addText(flags, "listen", "host:port", "address and port to serve on; port 0 takes any free port")
	flags.Bool(known().byKey["demo"].flag, false, "load the sample runs and workflows, with their times moved so that they end now")
}

// addText adds the flag of a setting.
func addText(flags *pflag.FlagSet, key, placeholder, usage string) {
	s := known().byKey[key]
	flags.Var(&textFlag{text: s.def, placeholder: placeholder}, s.flag, usage)
}

// textFlag is the value of a flag that Load decodes. The help text shows its placeholder.
type textFlag struct{ text, placeholder string }

// String implements pflag.Value.
func (f *textFlag) String() string { return f.text }

// Type implements pflag.Value: what stands for the value in the help text.
func (f *textFlag) Type() string { return f.placeholder }

// Set implements pflag.Value.
func (f *textFlag) Set(text string) error {
	f.text = text
	return nil
}
