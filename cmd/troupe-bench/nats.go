package main

import (
	"context"
	"errors"

	"github.com/nats-io/nats-server/v2/server"
)

// natsMain is nats-server as it comes, on a port of its own.
func natsMain(ctx context.Context, _ []string) (string, error) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		return "", err
	}
	go s.Start()
	if !s.ReadyForConnections(startTimeout / 2) {
		s.Shutdown()
		return "", errors.New("nats-server does not listen")
	}
	context.AfterFunc(ctx, s.Shutdown)
	return s.Addr().String(), nil
}
