//! Prometheus's text format: families of samples, each with its help and kind even while it has no sample.

use std::fmt::Write;

use crate::queue::metrics::Histogram;

/// A page of metrics that grows family by family.
#[derive(Default)]
pub(super) struct Page(String);

/// One family, to which samples are added.
pub(super) struct Family<'p> {
    page: &'p mut String,
    name: &'static str,
}

impl Page {
    /// A family of what only grows.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// A family of what goes up and down.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// A family of numbers in ranges.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        add(&mut self.0, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { page: &mut self.0, name }
    }

    /// The page as it is served.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// Adds a sample.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.line("", labels, value);
        self
    }

    /// Adds all samples of a histogram.
    pub(super) fn ranges(&mut self, labels: &[(&str, &str)], histogram: &Histogram) -> &mut Self {
        for (bound, count) in histogram.cumulative() {
            self.line("_bucket", &[labels, &[("le", bound.to_string().as_str())]].concat(), count as f64);
        }
        self.line("_bucket", &[labels, &[("le", "+Inf")]].concat(), histogram.count() as f64);
        self.line("_sum", labels, histogram.sum());
        self.line("_count", labels, histogram.count() as f64);
        self
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        add(self.page, format_args!("{}{suffix}{labels} {value}\n", self.name));
    }
}

fn add(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a string takes every text");
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_its_kind_and_its_samples_with_escaped_labels() {
        let mut page = Page::default();
        page.gauge("fgd_a", "What a is.").sample(&[("fabric", "a \"b\"\\\n")], 1.5).sample(&[], 0.0);
        page.counter("fgd_b_total", "What b is.");

        assert_eq!(
            page.into_text(),
            "# HELP fgd_a What a is.\n# TYPE fgd_a gauge\nfgd_a{fabric=\"a \\\"b\\\"\\\\\\n\"} 1.5\nfgd_a 0\n\
             # HELP fgd_b_total What b is.\n# TYPE fgd_b_total counter\n"
        );
    }

    #[test]
    fn a_histogram_ends_with_everything() {
        let mut histogram = Histogram::new(&[0.5, 2.0]);
        histogram.observe(1.0);
        histogram.observe(9.0);
        let mut page = Page::default();
        page.histogram("fgd_c", "What c is.").ranges(&[("x", "y")], &histogram);

        let text = page.into_text();
        let samples: Vec<&str> = text.lines().skip(2).collect();

        assert_eq!(
            samples,
            [
                "fgd_c_bucket{x=\"y\",le=\"0.5\"} 0",
                "fgd_c_bucket{x=\"y\",le=\"2\"} 1",
                "fgd_c_bucket{x=\"y\",le=\"+Inf\"} 2",
                "fgd_c_sum{x=\"y\"} 10",
                "fgd_c_count{x=\"y\"} 2",
            ]
        );
    }
}
