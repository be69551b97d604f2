package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newMigrateCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Create the schema or bring it up to date",
		Long: `Creates the schema of the store or brings it up to date, and exits. "serve" does the
same at start; this command is for those who give the server's database user no right
to change the schema. Running it again, or from several machines at once, is safe.`,
		Example: `  datastorage migrate --database-url postgres://owner@db.example.org/audit
  datastorage migrate --data-dir /var/lib/datastorage`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig(cmd)
			if err != nil {
				return err
			}
			store, err := openStore(cmd.Context(), &cfg.Config, a.logger(cfg.Log))
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "the schema of %s is up to date\n", store.Name())
			return store.Close()
		},
	}
	addStoreFlags(cmd)
	return cmd
}
