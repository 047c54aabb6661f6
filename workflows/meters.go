package workflows

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"breakglass/store"
)

// meters are the figures the engine shows: how late access ends is the first of them.
type meters struct {
	submitted *prometheus.CounterVec
	refused   *prometheus.CounterVec
	ended     *prometheus.CounterVec
	toAccess  prometheus.Histogram
	lateness  prometheus.Histogram
	stuck     prometheus.Counter
	panics    prometheus.Counter
	faults    prometheus.Counter
	told      *prometheus.CounterVec
	census    prometheus.Gauge
}

func newMeters(reg prometheus.Registerer, db *store.DB, now func() time.Time) meters {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "breakglass_" + name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "breakglass_" + name, Help: help}, labels)
	}
	m := meters{
		submitted: vec("requests_submitted_total", "Requests recorded.", "scenario"),
		refused:   vec("clicks_refused_total", "Clicks that were not counted.", "click", "code"),
		ended:     vec("sessions_ended_total", "Sessions that began to end, by why.", "why"),
		told:      vec("notices_total", "Messages to people, by what came of them.", "kind", "outcome"),
		stuck:     counter("revocations_stuck_total", "Times people were told that a revocation still fails."),
		panics:    counter("step_panics_total", "Steps that panicked and were caught."),
		faults:    counter("store_faults_total", "Times the store did not answer."),
		census:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "breakglass_reconciled_pairs", Help: "Pairs of account and permission set compared in this reconciliation, or the last."}),
		toAccess: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "breakglass_approval_to_access_seconds", Help: "From the last word to verified access.",
			Buckets: []float64{0.5, 1, 2, 5, 10, 20, 30, 60, 300},
		}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "breakglass_revocation_lateness_seconds", Help: "From the end of a session to the deletion on the wire; early ends count as 0.",
			Buckets: []float64{1, 5, 10, 30, 60, 300, 900, 3600},
		}),
	}
	if reg == nil {
		return m
	}
	reg.MustRegister(m.submitted, m.refused, m.ended, m.told, m.stuck, m.panics, m.faults, m.toAccess, m.lateness, m.census)
	reg.MustRegister(stateOf{db, now,
		prometheus.NewDesc("breakglass_requests", "Requests that are not at their end.", []string{"state"}, nil),
		prometheus.NewDesc("breakglass_oldest_due_seconds", "How long the most overdue request has been due.", nil, nil),
	})
	return m
}

// stateOf reads the store when somebody looks.
type stateOf struct {
	db       *store.DB
	now      func() time.Time
	requests *prometheus.Desc
	overdue  *prometheus.Desc
}

func (s stateOf) Describe(ch chan<- *prometheus.Desc) { ch <- s.requests; ch <- s.overdue }

func (s stateOf) Collect(ch chan<- prometheus.Metric) {
	if counts, err := s.db.Tally(); err == nil {
		for _, st := range store.States() {
			if !st.Ended() {
				ch <- prometheus.MustNewConstMetric(s.requests, prometheus.GaugeValue, float64(counts[st]), string(st))
			}
		}
	}
	now := s.now()
	if due, err := s.db.Due(now, 1); err == nil {
		late := 0.0
		if len(due) > 0 {
			late = now.Sub(due[0].Since).Seconds()
		}
		ch <- prometheus.MustNewConstMetric(s.overdue, prometheus.GaugeValue, late)
	}
}
