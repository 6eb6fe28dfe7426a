//! Families of metrics, and the samples in them.

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::session::Distribution;

/// Names and values of labels.
pub type Labels<'a> = [(&'static str, &'a str)];

/// A family of counters; their values never fall.
pub fn counters(name: impl Into<String>, help: &str, samples: impl IntoIterator<Item = Metric>) -> MetricFamily {
    family(name.into(), help, MetricType::COUNTER, samples)
}

/// A family of gauges.
pub fn gauges(name: impl Into<String>, help: &str, samples: impl IntoIterator<Item = Metric>) -> MetricFamily {
    family(name.into(), help, MetricType::GAUGE, samples)
}

/// A family of histograms.
pub fn histograms(name: impl Into<String>, help: &str, samples: impl IntoIterator<Item = Metric>) -> MetricFamily {
    family(name.into(), help, MetricType::HISTOGRAM, samples)
}

/// A counter's sample.
pub fn counter(labels: &Labels, value: f64) -> Metric {
    let (mut metric, mut counter) = (labelled(labels), Counter::default());
    counter.set_value(value);
    metric.set_counter(counter);
    metric
}

/// A gauge's sample.
pub fn gauge(labels: &Labels, value: f64) -> Metric {
    let (mut metric, mut gauge) = (labelled(labels), Gauge::default());
    gauge.set_value(value);
    metric.set_gauge(gauge);
    metric
}

/// A histogram's sample. The bucket without a bound follows from the count.
pub fn histogram(labels: &Labels, distribution: &Distribution) -> Metric {
    let bucket = |(bound, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(count);
        bucket
    };
    let (mut metric, mut histogram) = (labelled(labels), Histogram::default());
    histogram.set_bucket(distribution.cumulative().map(bucket).collect());
    histogram.set_sample_count(distribution.count());
    histogram.set_sample_sum(distribution.sum());
    metric.set_histogram(histogram);
    metric
}

fn labelled(labels: &Labels) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

fn family(name: String, help: &str, kind: MetricType, samples: impl IntoIterator<Item = Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name);
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(samples.into_iter().collect());
    family
}
