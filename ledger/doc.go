// Package ledger is the Merkle log over audit events: entries, tree hashes (RFC 6962), commits, receipts, and the audit
// that verifies a whole log. It knows no database and no HTTP.
package ledger
