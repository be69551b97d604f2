package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func (d *deadLetters) queuesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "queues",
		Short: "List the servers whose disks hold acknowledged events",
		Long: `Lists the dead-letter queues of all servers on the same store that hold something, as each
last told. Look here before you delete a volume or a server: what waits in its queue was
acknowledged and is nowhere else. A report that is older than some ten seconds comes from a
server that does not run, or cannot reach the store; start it, and its queue empties by
itself. A queue that filled while the store was away is listed when the store is back.`,
		Example: `  datastorage dead-letters queues
  datastorage dead-letters queues --json | jq -r '.data[].host'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := d.callAPI(cmd.Context(), http.MethodGet, "/api/v1/dead-letter-queues", nil)
			if err != nil || d.json {
				return d.printJSON(answer, err)
			}
			return d.printQueues(answer)
		},
	}
}

// queueReport is what one server tells of its queue, as the API describes it.
type queueReport struct {
	Replica     string    `json:"replica"`
	Host        string    `json:"host"`
	DataDir     string    `json:"data_dir"`
	Depth       int64     `json:"depth"`
	Quarantined int64     `json:"quarantined"`
	Oldest      time.Time `json:"oldest_queued_at"`
	Age         float64   `json:"age_seconds"`
}

func (d *deadLetters) printQueues(answer []byte) error {
	var list struct {
		Data []queueReport `json:"data"`
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	if len(list.Data) == 0 {
		fmt.Fprintln(d.stderr, "no server tells of events that wait in its dead-letter queue")
		return nil
	}
	var rows [][]string
	for _, q := range list.Data {
		oldest := "-"
		if !q.Oldest.IsZero() {
			oldest = q.Oldest.Format(time.RFC3339)
		}
		rows = append(rows, []string{
			printable(q.Host), printable(q.DataDir), strconv.FormatInt(q.Depth, 10), strconv.FormatInt(q.Quarantined, 10), oldest,
			time.Duration(q.Age*float64(time.Second)).Round(time.Second).String() + " ago", printable(q.Replica),
		})
	}
	return printRows(d.stdout, []string{"host", "directory", "waiting", "quarantined", "oldest", "told", "replica"}, rows)
}
