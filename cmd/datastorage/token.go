package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage/internal/auth"
)

func newTokenCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make a bearer token for a client",
		Long: `Makes a random token and prints it once, with the entry for it in the file that
auth.tokens_file names. The file holds the token's SHA-256 alone: whoever reads it cannot
call the API. A running server reads the file again within two seconds of a change, so
that a token is added, replaced or withdrawn without a restart; to replace one without a
gap, keep both entries under one name until the client has the new one.

  write  store events and notifications
  read   read events, notifications and dead letters
  admin  everything, replaying and discarding dead letters included`,
		Example: `  datastorage token --name gateway --role write
  datastorage token --name console --role read,admin
  datastorage token --name gateway --role write --json | jq -r .entry >> tokens.yaml`,
		Args: noArguments,
	}
	name := cmd.Flags().String("name", "", "`name` of the client, in log lines and audit events")
	roles := cmd.Flags().StringSlice("role", nil, "`roles` of the client: write, read, admin")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object with token and entry")
	if err := cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"write", "read", "admin"}, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		if *name == "" || len(*roles) == 0 {
			return usagef("--name and --role are needed")
		}
		list := make([]auth.Role, len(*roles))
		for i, r := range *roles {
			list[i] = auth.Role(r)
		}
		token, hash := auth.NewToken()
		entry, err := auth.Line(*name, list, hash)
		if err != nil {
			return usagef("%w", err)
		}
		if *asJSON {
			return json.NewEncoder(a.stdout).Encode(map[string]string{"token": token, "entry": entry})
		}
		_, err = fmt.Fprintf(a.stdout, "token for the client, shown only now:\n%s\n\nentry for auth.tokens_file:\n%s\n", token, entry)
		return err
	}
	return cmd
}
