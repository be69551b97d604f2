// Package catalog holds the workflow catalogue in memory and finds the workflows that fit an incident. A Snapshot is the
// catalogue at one version, immutable and safe for any number of readers; the next version is made from it with Apply.
// It knows no database and no HTTP.
//
// A Keeper holds the present Snapshot of a server: it makes changes, one transaction at a time, as the first of all
// servers or after what another has changed, and follows the others.
package catalog
