//! Every metric of the server, with what it tells.

use monitor::sample::{Sample, Value};
use serde_json::{Map, Value as Json, json};

use super::{Asking, Failed, Tool};

impl Asking {
    /// Tells every metric. Of times: how many there were, and how long they took together.
    pub(super) fn counters(&self, tool: &mut Tool) -> Result<u64, Failed> {
        let mut count = 0;
        let mut say = |sample: &Sample, name: String, value: Json| {
            let pairs = sample.metric.labels.iter().zip(&sample.labels);
            let labels = pairs.map(|(label, value)| ((*label).to_owned(), json!(value)));
            let (labels, help): (Map<String, Json>, _) = (labels.collect(), sample.help());
            count += 1;
            tool.say(&json!({ "name": name, "labels": labels, "value": value, "help": help }))
        };
        for sample in self.measured.samples() {
            let name = sample.metric.sample_name();
            match &sample.value {
                Value::Count(count) => say(&sample, name, json!(count))?,
                Value::Float(number) => say(&sample, name, json!(number))?,
                Value::Times(times) => {
                    say(&sample, format!("{name}_count"), json!(times.count()))?;
                    let sum_s = times.sum_ns as f64 / 1e9;
                    say(&sample, format!("{name}_sum"), json!(sum_s))?;
                }
            }
        }
        Ok(count)
    }
}
