package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/report"
	"github.com/datastorage-io/datastorage/internal/telemetry"
)

// reportCommand is what the reports share.
type reportCommand struct {
	*app
	api  *apiFlags
	html string
}

func newReportCommand(a *app) *cobra.Command {
	r := &reportCommand{app: a}
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Report on a remediation, a workflow or a week, from a running server",
		Long: `Reads a running server over its HTTP API and shows what it tells, with small charts: on the
terminal, or with --html as one file that needs nothing else. Every figure says where it comes
from: #N is the log_index of an event, a letter a call of the API.`,
		Example: `  datastorage report correlation rr-8bad34fd18b5-fb652307
  datastorage report workflow crashloop-rollback-v1 --range 30d
  datastorage report week 2026-W19 --html week.html`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	r.api = addAPIFlags(cmd)
	cmd.PersistentFlags().StringVar(&r.html, "html", "", "write one HTML `file` instead; it replaces one that is there")
	if err := cmd.MarkPersistentFlagFilename("html", "html"); err != nil {
		panic(err)
	}
	cmd.AddCommand(r.correlationCommand(), r.workflowCommand(), r.weekCommand())
	return cmd
}

func (r *reportCommand) correlationCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "correlation ID",
		Short:   "Report on one remediation: what happened, why, and whether it helped",
		Example: `  datastorage report correlation rr-8bad34fd18b5-fb652307 --html remediation.html`,
		Args:    oneArgument("the correlation_id of a remediation"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.write(cmd.Context(), func(ctx context.Context, api report.API) (*report.Document, error) {
				return report.Correlation(ctx, api, args[0])
			})
		},
	}
}

func (r *reportCommand) workflowCommand() *cobra.Command {
	var span string
	cmd := &cobra.Command{
		Use:   "workflow ID_OR_NAME",
		Short: "Report on a workflow: what it was chosen for, and what has come of it",
		Example: `  datastorage report workflow crashloop-rollback-v1
  datastorage report workflow 1e935d49-8675-5c68-8d90-4de411d360f7 --range 90d --html workflow.html`,
		Args: oneArgument("the workflow_id or the workflow_name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			back := report.Range(span)
			if err := back.Check(); err != nil {
				return usagef("%s", err)
			}
			return r.write(cmd.Context(), func(ctx context.Context, api report.API) (*report.Document, error) {
				return report.OfWorkflow(ctx, api, args[0], back, time.Now())
			})
		},
	}
	cmd.Flags().StringVar(&span, "range", "30d", "how far back to look: digits and h or d")
	return cmd
}

func (r *reportCommand) weekCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "week [YYYY-Www]",
		Short: "Report on the remediations of a week: how many, how they ended, what needs a look",
		Long: `Reports on a week of the ISO 8601 calendar in UTC, the present one unless another is named.
It stands on the first 10 000 events of each kind.`,
		Example: `  datastorage report week
  datastorage report week 2026-W19 --html week.html`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			week := report.WeekOf(time.Now())
			if len(args) > 0 {
				var err error
				if week, err = report.ParseWeek(args[0]); err != nil {
					return usagef("%s", err)
				}
			}
			return r.write(cmd.Context(), func(ctx context.Context, api report.API) (*report.Document, error) {
				return report.OfWeek(ctx, api, week)
			})
		},
	}
}

// oneArgument is for commands with one argument, and says what it is.
func oneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" {
			return fmt.Errorf("%q takes one argument, %s", cmd.CommandPath(), what)
		}
		return nil
	}
}

// write makes a report and shows it.
func (r *reportCommand) write(ctx context.Context, make func(context.Context, report.API) (*report.Document, error)) error {
	client, err := r.client(r.api)
	if err != nil {
		return err
	}
	d, err := make(ctx, reportAPI{client})
	if err != nil {
		return err
	}
	d.Server, d.Made = client.base, time.Now()
	if r.html == "" {
		return report.WriteText(r.stdout, d, r.screen())
	}
	var page bytes.Buffer
	if err := report.WriteHTML(&page, d); err != nil {
		return err
	}
	if err := os.WriteFile(r.html, page.Bytes(), 0o600); err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	fmt.Fprintf(r.stderr, "wrote %s\n", r.html)
	return nil
}

// plainWidth is the width of a report that no terminal shows.
const plainWidth = 80

// screen says what is known of where standard output goes.
func (r *reportCommand) screen() report.Screen {
	s := report.Screen{Width: plainWidth}
	f, ok := r.stdout.(*os.File)
	if !ok || !telemetry.IsTerminal(r.stdout) {
		return s
	}
	s.Colour = true
	for _, entry := range r.environ {
		if value, ok := strings.CutPrefix(entry, "NO_COLOR="); ok && value != "" || entry == "TERM=dumb" {
			s.Colour = false
		}
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		s.Width = width
	}
	return s
}

// reportAPI is the API as reports read it.
type reportAPI struct{ client *apiClient }

// Get implements report.API.
func (r reportAPI) Get(ctx context.Context, path string) ([]byte, error) {
	body, err := r.client.call(ctx, http.MethodGet, "/api/v1"+path, nil)
	if refused, ok := errors.AsType[*refusal](err); ok && refused.status == http.StatusNotFound {
		return nil, &datastorage.Error{Code: datastorage.CodeNotFound, Detail: err.Error(), Cause: err}
	}
	return body, err
}
