package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/telemetry"
)

// app is what every command gets: its streams, its environment, and the way to configuration and logger.
type app struct {
	environ []string // as os.Environ returns it
	stdin   io.Reader
	stdout  io.Writer // for what was asked for
	stderr  io.Writer // for logs, progress and errors

	// started is set when a command's own code begins: an error before that is one of usage.
	started bool
}

// The groups of commands in the help text.
const (
	groupServe = "Serve"
	groupData  = "Data"
	groupAudit = "Audit"
	groupTools = "Tools"
)

// commands lists every command with its group; groups stand in the help text in the order of this list. A constructor sets Use, Short, Long,
// Example, Args and RunE; one that touches a store calls addStoreFlags and, in RunE, loadConfig.
func (a *app) commands() []grouped {
	return []grouped{
		{groupServe, newServeCommand},
		{groupServe, newMigrateCommand},
		{groupData, newImportCommand},
		{groupData, newCatalogCommand},
		{groupData, newEventTypesCommand},
		{groupData, newProjectionsCommand},
		{groupData, newDeadLettersCommand},
		{groupAudit, newReportCommand},
		{groupAudit, newVerifyCommand},
		{groupTools, newBenchCommand},
		{groupTools, newConfigCommand},
		{groupTools, newTokenCommand},
		{groupTools, newVersionCommand},
	}
}

type grouped struct {
	group string
	build func(*app) *cobra.Command
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "datastorage",
		Short: "A server that keeps audit events and proves that nothing was changed",
		Long: `DataStorage keeps the audit events of automated remediation: exact, durable, in a
ledger that proves that nothing was changed or lost.

"datastorage serve" with no argument is a complete server on an embedded database.`,
		Example: `  datastorage serve --demo
  datastorage serve --database-url postgres://user@db.example.org/audit
  datastorage verify --data-dir ./datastorage-data`,
		Args:                  unknownCommand,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:         true,
		SilenceUsage:          true,
		DisableFlagsInUseLine: true,

		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommandGroupID(groupTools)
	root.SetCompletionCommandGroupID(groupTools)
	for _, c := range a.commands() {
		if !root.ContainsGroup(c.group) {
			root.AddGroup(&cobra.Group{ID: c.group, Title: c.group + ":"})
		}
		cmd := c.build(a)
		cmd.GroupID = c.group
		root.AddCommand(cmd)
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	a.markStarts(root)
	return root
}

// markStarts makes every command below cmd, and cmd itself, note when its own code begins.
func (a *app) markStarts(cmd *cobra.Command) {
	if inner := cmd.RunE; inner != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			a.started = true
			return inner(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		a.markStarts(sub)
	}
}

// addStoreFlags adds --config, --data-dir, --database-url, --log-level and --log-format to a command.
func addStoreFlags(cmd *cobra.Command) {
	config.AddStoreFlags(cmd.Flags())
	completeFlags(cmd)
}

// addServerFlags adds --listen and --demo to a command.
func addServerFlags(cmd *cobra.Command) { config.AddServerFlags(cmd.Flags()) }

// completeFlags tells the shell what the flags of addStoreFlags take.
func completeFlags(cmd *cobra.Command) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	must(cmd.MarkFlagFilename("config", "yaml", "yml"))
	must(cmd.MarkFlagDirname("data-dir"))
	must(cmd.RegisterFlagCompletionFunc("database-url", cobra.NoFileCompletions))
	must(cmd.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions([]string{"auto", "json", "text"}, cobra.ShellCompDirectiveNoFileComp)))
}

// loadConfig returns the effective configuration of a command that called addStoreFlags. The error is the user's to mend.
func (a *app) loadConfig(cmd *cobra.Command) (*config.Effective, error) {
	return config.Load(config.Sources{Flags: cmd.Flags(), Environ: a.environ})
}

// logger returns a logger on standard error.
func (a *app) logger(cfg config.Log) *slog.Logger { return telemetry.NewLogger(a.stderr, cfg) }

// unknownCommand checks the arguments of a command that only has others below it: each is meant as one of these.
func unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	message := fmt.Sprintf("unknown command %q", args[0])
	if names := root.SuggestionsFor(args[0]); len(names) > 0 {
		message += "; did you mean " + strings.Join(names, " or ") + "?"
	}
	help := root.CommandPath() + " --help"
	if !root.HasParent() {
		help = "datastorage help"
	}
	return fmt.Errorf("%s (%q lists the commands)", message, help)
}

// noArguments is for commands that take flags alone. It does not repeat the argument, which may be a secret gone astray.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q takes no argument, only flags (\"%s --help\" lists them)", cmd.CommandPath(), cmd.CommandPath())
	}
	return nil
}

// flagError says which flag may have been meant when one does not exist.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	message := err.Error()
	if errors.As(err, &unknown) {
		name := unknown.GetSpecifiedName()
		message = "unknown flag --" + name
		if unknown.GetSpecifiedShortnames() != "" {
			message = "unknown flag -" + name
		}
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := config.Closest(name, names); near != "" {
			message += "; did you mean --" + near + "?"
		}
	}
	return fmt.Errorf("%s (\"%s --help\" lists the flags)", message, cmd.CommandPath())
}
