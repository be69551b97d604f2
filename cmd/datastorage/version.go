package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version says which build this is.
type version struct {
	Version  string `json:"version"`            // the module's, or "(devel)"
	Revision string `json:"revision,omitempty"` // the commit's hash
	Modified bool   `json:"modified"`           // whether the tree differed from the commit
	Time     string `json:"time,omitempty"`     // of the commit, RFC 3339
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// buildVersion reads what the linker recorded.
func buildVersion() version {
	v := version{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		case "vcs.time":
			v.Time = s.Value
		}
	}
	return v
}

// String is the version on one line.
func (v version) String() string {
	text := "datastorage " + v.Version
	if v.Revision != "" {
		text += " " + v.Revision[:min(12, len(v.Revision))]
	}
	if v.Modified {
		text += " (modified)"
	}
	return text + " " + v.Go + " " + v.Platform
}

func newVersionCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit, and the Go release that built it",
		Long:  `Print the version, the commit, and the Go release and platform of this build.`,
		Example: `  datastorage version
  datastorage version --json`,
		Args: noArguments,
	}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.RunE = func(*cobra.Command, []string) error {
		if *asJSON {
			encoder := json.NewEncoder(a.stdout)
			encoder.SetIndent("", "  ")
			return encoder.Encode(buildVersion())
		}
		_, err := fmt.Fprintln(a.stdout, buildVersion())
		return err
	}
	return cmd
}
