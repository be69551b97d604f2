package main

import (
	"context"
	"log/slog"
	"net"
	"sync"

	"github.com/datastorage-io/datastorage/internal/auth"
	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/httpapi"
)

// openAccess says who may call a server that listens on the address. It keeps the tokens up to date until stop is called.
func openAccess(ctx context.Context, cfg config.Auth, listener net.Addr, log *slog.Logger) (access httpapi.Access, stop func(), err error) {
	if cfg.TokensFile == "" {
		access.Local = auth.IsLoopback(listener)
		if !access.Local {
			log.Warn("there are no tokens: whoever reaches this address may read and write events, and nobody may replay or discard dead letters; "+
				"set auth.tokens_file", "address", listener.String())
		}
		return access, func() {}, nil
	}
	file, err := auth.Open(cfg.TokensFile, log)
	if err != nil {
		return access, nil, err
	}
	log.Info("requests need a bearer token", "file", cfg.TokensFile, "tokens", file.Len())
	// Tokens can be changed while the server drains, too.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { file.Watch(ctx) })
	return httpapi.Access{Clients: file}, func() { cancel(); watch.Wait() }, nil
}
