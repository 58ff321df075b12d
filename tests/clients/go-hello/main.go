// A service as OpenTelemetry's tutorials have it: spans and a counter over OTLP, a handler `/hello` that is traced by otelhttp.
// It calls itself a few times, reports, and prints what it reported, a JSON object a line.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const service = "go-hello"

// A job of another trace that each request points to.
var queued = trace.NewSpanContext(trace.SpanContextConfig{
	TraceID: trace.TraceID{0x11, 15: 0x88}, SpanID: trace.SpanID{0x11, 7: 0x44}, TraceFlags: trace.FlagsSampled, Remote: true,
})

type object map[string]any

func tell(record object) {
	line, err := json.Marshal(record)
	check(err)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// keeper remembers the spans that have ended.
type keeper struct{ ended []sdktrace.ReadOnlySpan }

func (k *keeper) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (k *keeper) OnEnd(span sdktrace.ReadOnlySpan)                { k.ended = append(k.ended, span) }
func (k *keeper) Shutdown(context.Context) error                  { return nil }
func (k *keeper) ForceFlush(context.Context) error                { return nil }

func attributes(pairs []attribute.KeyValue) object {
	out := object{}
	for _, pair := range pairs {
		out[string(pair.Key)] = pair.Value.AsInterface()
	}
	return out
}

func tellSpan(span sdktrace.ReadOnlySpan) {
	events, links := []object{}, []object{}
	for _, event := range span.Events() {
		time := strconv.FormatInt(event.Time.UnixNano(), 10)
		events = append(events, object{"name": event.Name, "time": time, "attributes": attributes(event.Attributes)})
	}
	for _, link := range span.Links() {
		links = append(links, object{
			"trace_id": link.SpanContext.TraceID().String(), "span_id": link.SpanContext.SpanID().String(),
			"attributes": attributes(link.Attributes),
		})
	}
	var parent any
	if span.Parent().IsValid() {
		parent = span.Parent().SpanID().String()
	}
	code := map[codes.Code]string{codes.Unset: "unset", codes.Ok: "ok", codes.Error: "error"}[span.Status().Code]
	tell(object{
		"signal": "span", "trace_id": span.SpanContext().TraceID().String(), "span_id": span.SpanContext().SpanID().String(),
		"parent_span_id": parent, "service": service, "name": span.Name(),
		"kind": span.SpanKind().String(), "status": object{"code": code, "message": span.Status().Description},
		"start":      strconv.FormatInt(span.StartTime().UnixNano(), 10),
		"duration":   strconv.FormatInt(span.EndTime().UnixNano()-span.StartTime().UnixNano(), 10),
		"attributes": attributes(span.Attributes()), "events": events, "links": links,
	})
}

// tellExemplars tells of all exemplars, those of otelhttp's own metrics too.
func tellExemplars(reader sdkmetric.Reader) {
	var all metricdata.ResourceMetrics
	check(reader.Collect(context.Background(), &all))
	for _, scope := range all.ScopeMetrics {
		for _, metric := range scope.Metrics {
			switch data := metric.Data.(type) {
			case metricdata.Sum[int64]:
				for _, point := range data.DataPoints {
					tellEach(metric.Name, point.Exemplars)
				}
			case metricdata.Histogram[int64]:
				for _, point := range data.DataPoints {
					tellEach(metric.Name, point.Exemplars)
				}
			case metricdata.Histogram[float64]:
				for _, point := range data.DataPoints {
					tellEach(metric.Name, point.Exemplars)
				}
			default:
				log.Fatalf("%s is a %T", metric.Name, data)
			}
		}
	}
}

func tellEach[N int64 | float64](metric string, exemplars []metricdata.Exemplar[N]) {
	for _, exemplar := range exemplars {
		tell(object{
			"signal": "exemplar", "trace_id": hex.EncodeToString(exemplar.TraceID), "span_id": hex.EncodeToString(exemplar.SpanID),
			"metric": metric, "value": exemplar.Value,
		})
	}
}

// providers sets the SDK up; what it gives flushes and ends it.
func providers(ctx context.Context, way, endpoint string) (*keeper, func()) {
	var (
		spans   sdktrace.SpanExporter
		metrics sdkmetric.Exporter
		logs    sdklog.Exporter
		err     [3]error
	)
	switch way {
	case "grpc":
		spans, err[0] = otlptracegrpc.New(ctx, otlptracegrpc.WithInsecure(), otlptracegrpc.WithEndpoint(endpoint))
		metrics, err[1] = otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithEndpoint(endpoint))
		logs, err[2] = otlploggrpc.New(ctx, otlploggrpc.WithInsecure(), otlploggrpc.WithEndpoint(endpoint))
	case "http":
		spans, err[0] = otlptracehttp.New(ctx, otlptracehttp.WithInsecure(), otlptracehttp.WithEndpoint(endpoint))
		metrics, err[1] = otlpmetrichttp.New(ctx, otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithEndpoint(endpoint))
		logs, err[2] = otlploghttp.New(ctx, otlploghttp.WithInsecure(), otlploghttp.WithEndpoint(endpoint))
	default:
		log.Fatalf("grpc or http, not %s", way)
	}
	check(errors.Join(err[:]...))
	attributes, wrong := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", service)), resource.WithTelemetrySDK())
	check(wrong)
	kept, own := &keeper{}, sdkmetric.NewManualReader()
	tracers := sdktrace.NewTracerProvider(
		sdktrace.WithResource(attributes), sdktrace.WithSpanProcessor(kept), sdktrace.WithBatcher(spans),
	)
	meters := sdkmetric.NewMeterProvider(
		sdkmetric.WithResource(attributes), sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics)),
		sdkmetric.WithReader(own),
	)
	loggers := sdklog.NewLoggerProvider(
		sdklog.WithResource(attributes), sdklog.WithProcessor(sdklog.NewBatchProcessor(logs)),
	)
	otel.SetTracerProvider(tracers)
	otel.SetMeterProvider(meters)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	slogger := otelslog.NewLogger(service, otelslog.WithLoggerProvider(loggers))
	handle(slogger.InfoContext, slogger.ErrorContext)
	return kept, func() {
		tellExemplars(own)
		ctx, cancel := context.WithTimeout(ctx, 50*time.Second)
		defer cancel()
		check(errors.Join(tracers.Shutdown(ctx), meters.Shutdown(ctx), loggers.Shutdown(ctx)))
	}
}

// handle puts `/hello` in place.
func handle(info, fail func(context.Context, string, ...any)) {
	tracer := otel.Tracer(service)
	hellos, err := otel.Meter(service).Int64Counter("hello.requests", metric.WithUnit("{request}"))
	check(err)
	say := func(ctx context.Context, log func(context.Context, string, ...any), severity, line string) {
		log(ctx, line, "page", "hello")
		in := trace.SpanContextFromContext(ctx)
		tell(object{
			"signal": "log", "trace_id": in.TraceID().String(), "span_id": in.SpanID().String(), "service": service,
			"line": line, "severity": severity,
		})
	}
	http.Handle("/hello", otelhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		say(r.Context(), info, "info", "somebody says hello")
		ctx, span := tracer.Start(r.Context(), "greet", trace.WithAttributes(
			attribute.String("name", "Zoë"), attribute.Int("times", 3), attribute.StringSlice("words", []string{"a", "b"}),
		), trace.WithLinks(trace.Link{SpanContext: queued, Attributes: []attribute.KeyValue{attribute.Bool("late", true)}}))
		defer span.End()
		hellos.Add(ctx, 1, metric.WithAttributes(attribute.String("name", "Zoë")))
		span.AddEvent("thought", trace.WithAttributes(attribute.Float64("seconds", 0.25)))
		span.RecordError(errors.New("no voice"))
		span.SetStatus(codes.Error, "no voice")
		say(ctx, fail, "error", "cannot speak")
		fmt.Fprintln(w, "hello")
	}), "GET /hello"))
}

func main() {
	ctx := context.Background()
	way, endpoint := os.Args[1], os.Args[2]
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Println("otel:", err) }))
	kept, shutdown := providers(ctx, way, endpoint)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() { check(http.Serve(listener, nil)) }()
	client := http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}
	ctx, root := otel.Tracer(service).Start(ctx, "visit")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String()+"/hello", nil)
	check(err)
	answer, err := client.Do(request)
	check(err)
	_, err = io.Copy(io.Discard, answer.Body)
	check(errors.Join(err, answer.Body.Close()))
	root.End()
	shutdown()
	for _, span := range kept.ended {
		tellSpan(span)
	}
}
