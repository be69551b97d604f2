package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage/internal/config"
)

func newConfigCommand(a *app) *cobra.Command {
	var manual strings.Builder
	if err := config.WriteManual(&manual); err != nil {
		panic(err)
	}
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration and where each value comes from",
		Long: `Print the effective configuration as YAML, with the source of each value as a
comment. Secrets are masked. Nothing is started or opened.

A setting comes from its flag, else its environment variable, else the YAML file
that --config or DATASTORAGE_CONFIG names, else its default.

Settings:
` + strings.TrimRight(manual.String(), "\n"),
		Example: `  datastorage config
  datastorage config --config server.yaml
  datastorage config --check server.yaml
  DATASTORAGE_INGEST_WINDOW_PAST=30d datastorage config`,
		Args: noArguments,
	}
	addStoreFlags(cmd)
	addServerFlags(cmd)
	check := cmd.Flags().String("check", "", "check this `file` alone, without the environment")
	if err := cmd.MarkFlagFilename("check", "yaml", "yml"); err != nil {
		panic(err)
	}
	for _, other := range []string{"config", "data-dir", "database-url", "log-level", "log-format", "listen", "demo"} {
		cmd.MarkFlagsMutuallyExclusive("check", other)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("check") {
			return a.checkConfig(*check)
		}
		effective, err := a.loadConfig(cmd)
		if err != nil {
			return err
		}
		return effective.WriteYAML(a.stdout)
	}
	return cmd
}

// checkConfig says that a configuration file is right, or returns what is wrong with it.
func (a *app) checkConfig(name string) error {
	if err := config.Check(name); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "%s: ok\n", name)
	return err
}
