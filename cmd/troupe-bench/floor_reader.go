package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// reader is the bare SSE reader: it asks the vendor for so many streams at once
// and counts the lines that begin with "data:", and does nothing else with them.
type reader struct {
	ctx    context.Context
	lines  atomic.Int64
	over   chan error
	client *http.Client
}

func (r *reader) main(ctx context.Context, _ []string) (string, error) {
	r.ctx = ctx
	r.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1 << 16, DisableCompression: true}}
	return "nowhere", nil
}

// answer understands "start <url> <streams> <model>", "count", the lines so far,
// and "end", which waits for all streams.
func (r *reader) answer(line string) string {
	fields := strings.Fields(line)
	switch {
	case len(fields) == 4 && fields[0] == "start" && r.over == nil:
		n, err := strconv.Atoi(fields[2])
		if err != nil {
			return "error " + err.Error()
		}
		r.start(fields[1], n, fields[3])
		return "started"
	case line == "count":
		return strconv.FormatInt(r.lines.Load(), 10)
	case line == "end" && r.over != nil:
		err := <-r.over
		r.over = nil
		if err != nil {
			return "error " + strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		return "done"
	}
	return "error unknown line"
}

func (r *reader) start(url string, streams int, model string) {
	says, err := parseSpeech(model)
	over := make(chan error, 1)
	r.over = over
	if err != nil {
		over <- err
		return
	}
	body := `{"model":` + quoted(model) + `,"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":` + quoted(question) + `}]}`
	began := time.Now()
	go func() {
		over <- each(streams, streams, func(i int) error {
			time.Sleep(time.Until(began.Add(says.start(i, streams))))
			return r.read(url, body, says.Words)
		})
	}()
}

// read takes one stream: its words, the finish, the usage and "[DONE]".
func (r *reader) read(url, body string, words int) error {
	req, err := http.NewRequestWithContext(r.ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("vendor: %s", res.Status)
	}
	n := 0
	for in := bufio.NewReader(res.Body); ; {
		line, err := in.ReadSlice('\n')
		if bytes.HasPrefix(line, []byte("data:")) {
			n++
			r.lines.Add(1)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if n != words+3 {
		return fmt.Errorf("%d events arrived, %d were due", n, words+3)
	}
	return nil
}
