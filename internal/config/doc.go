// Package config holds the server's settings: one documented struct, and the code that fills it from flags, the
// environment, a YAML file and the defaults, in this order of precedence.
//
// The field comments of Config are the manual. manual.go and docs/configuration.md are made from them; after a change run
//
//	go generate ./internal/config
//
// A fault in a setting never stops the search for more: Load reports all of them at once.
package config

//go:generate go test -run ^TestManual$ -update .
