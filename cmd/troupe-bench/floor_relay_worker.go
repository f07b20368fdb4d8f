package main

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// relayWorkerMain is the plain relay's one worker: it says words of the question
// back, one message per word, as the model's name asks for. It takes the
// address of NATS.
func relayWorkerMain(ctx context.Context, args []string) (string, error) {
	nc, err := connectNATS(ctx, args)
	if err != nil {
		return "", err
	}
	err = subscribe(nc, relayAsk, func(m *nats.Msg) {
		var q struct {
			Model   string `json:"model"`
			Content string `json:"content"`
		}
		if json.Unmarshal(m.Data, &q) != nil {
			return
		}
		if says, err := parseSpeech(q.Model); err == nil {
			go says.publish(nc, m.Reply, spaced(repeated(q.Content, says.Words)))
		}
	})
	return nc.ConnectedAddr(), err
}

// publish says the pieces at the pace, the first at once, and then the whole
// answer. nats.go gathers what is published quickly into one write by itself.
func (s speech) publish(nc *nats.Conn, reply string, pieces []string) {
	var beat <-chan time.Time
	if s.Pace > 0 {
		t := time.NewTicker(s.Pace)
		defer t.Stop()
		beat = t.C
	}
	whole, message := []byte{relayEnd}, []byte(nil)
	for i, piece := range pieces {
		if beat != nil && i > 0 {
			<-beat
		}
		message = append(message[:0], relayChunk)
		if s.Clock {
			message = strconv.AppendInt(message, time.Now().UnixMicro(), 10)
			if i < len(pieces)-1 {
				message = append(message, ' ')
			}
		} else {
			message = append(message, piece...)
		}
		whole = append(whole, message[1:]...)
		if nc.Publish(reply, message) != nil {
			return
		}
	}
	_ = nc.Publish(reply, whole) // a lost end is a loss that the client finds
}
