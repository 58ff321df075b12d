// A service that Elastic's agent for Go watches: `/buy` is traced by apmhttp. It calls itself once and prints what the agent
// reported, a JSON object a line; what the agent logs goes to standard error. The agent is configured by its environment.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"go.elastic.co/apm/module/apmhttp/v2"
	"go.elastic.co/apm/v2"
)

// complaints is the agent's logger.
type complaints struct{}

func (complaints) Debugf(string, ...any)   {}
func (complaints) Warningf(string, ...any) {}
func (complaints) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "agent: "+format+"\n", args...)
}

func tell(trace apm.TraceContext, name string) {
	line, err := json.Marshal(map[string]string{"trace_id": trace.Trace.String(), "span_id": trace.Span.String(), "name": name})
	check(err)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func buy(w http.ResponseWriter, r *http.Request) {
	transaction := apm.TransactionFromContext(r.Context())
	transaction.Context.SetLabel("order", "o7")
	span, ctx := apm.StartSpanOptions(r.Context(), "SELECT", "db.postgresql.query", apm.SpanOptions{ExitSpan: true})
	span.Context.SetDatabase(apm.DatabaseSpanContext{Statement: "select 1", Type: "sql"})
	apm.CaptureError(ctx, errors.New("no stock")).Send()
	tell(span.TraceContext(), "SELECT")
	span.Outcome = "failure"
	span.End()
	tell(transaction.TraceContext(), "GET /buy")
	fmt.Fprintln(w, "bought")
}

func main() {
	tracer := apm.DefaultTracer()
	tracer.SetLogger(complaints{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	mux := http.NewServeMux()
	mux.HandleFunc("/buy", buy)
	go func() { check(http.Serve(listener, apmhttp.Wrap(mux))) }()
	answer, err := http.Get("http://" + listener.Addr().String() + "/buy")
	check(err)
	_, err = io.Copy(io.Discard, answer.Body)
	check(errors.Join(err, answer.Body.Close()))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	// Gives up by itself after a request that failed: the agent does not send the same again.
	tracer.Flush(ctx.Done())
	tracer.Close()
}
