package bot

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	envelopes   *prometheus.CounterVec
	ackSeconds  *prometheus.HistogramVec
	acksLost    prometheus.Counter
	oversize    prometheus.Counter
	panics      prometheus.Counter
	live        prometheus.Gauge
	strangers   prometheus.Gauge
	reconnects  *prometheus.CounterVec
	calls       *prometheus.CounterVec
	callSeconds *prometheus.HistogramVec
}

// newMetrics registers what the bot counts, or takes what an earlier call registered. Like MustRegister it panics on a clash
// with somebody else's metric of the same name, which is a fault of the program.
func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return register(r, prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels))
	}
	gauge := func(name, help string) prometheus.Gauge {
		return register(r, prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + name, Help: help}))
	}
	seconds := func(name, help, label string) *prometheus.HistogramVec {
		return register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + name, Help: help,
			// Close together below the aim of 50 ms, and again towards Slack's 3 s.
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 2.5, 3, 5, 10},
		}, []string{label}))
	}
	return &metrics{
		envelopes:   counter("envelopes_total", "Envelopes from Slack by kind and what came of them.", "kind", "outcome"),
		ackSeconds:  seconds("ack_seconds", "From the arrival of an envelope to its acknowledgement on the wire.", "kind"),
		acksLost:    counter("acks_lost_total", "Acknowledgements that could not be written because their socket was gone.").WithLabelValues(),
		oversize:    counter("acks_oversize_total", "Acknowledgements replaced because Slack drops those of 20 KB and more.").WithLabelValues(),
		panics:      counter("panics_total", "Handlers that panicked.").WithLabelValues(),
		live:        gauge("sockets_live", "Connections to Slack that had their hello and are open."),
		strangers:   gauge("sockets_strange", "Connections Slack counted at the last hello beyond those of this process."),
		reconnects:  counter("reconnects_total", "Connections that were replaced, and attempts that failed, by reason.", "reason"),
		calls:       counter("calls_total", "HTTP requests to Slack by Web API method and outcome.", "method", "outcome"),
		callSeconds: seconds("call_seconds", "Duration of HTTP requests to Slack by Web API method.", "method"),
	}
}

const prefix = "breakglass_slack_"

func register[C prometheus.Collector](r prometheus.Registerer, c C) C {
	err := r.Register(c)
	if again, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if earlier, ok := again.ExistingCollector.(C); ok {
			return earlier
		}
	}
	if err != nil {
		panic(err)
	}
	return c
}
