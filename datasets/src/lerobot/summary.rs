//! `meta/stats.json`: least, most, mean and deviation of every feature.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

/// Running sums of one feature's components.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sums {
    count: u64,
    least: Vec<f64>,
    most: Vec<f64>,
    sum: Vec<f64>,
    squares: Vec<f64>,
}

impl Sums {
    /// Adds a row.
    pub(super) fn add(&mut self, row: &[f64]) {
        if self.count == 0 {
            self.least = row.to_vec();
            self.most = row.to_vec();
            self.sum = vec![0.0; row.len()];
            self.squares = vec![0.0; row.len()];
        }
        self.count += 1;
        for (i, value) in row.iter().enumerate().take(self.sum.len()) {
            self.least[i] = self.least[i].min(*value);
            self.most[i] = self.most[i].max(*value);
            self.sum[i] += value;
            self.squares[i] += value * value;
        }
    }

    fn json(&self, shape: impl Fn(&[f64]) -> Value) -> Value {
        let n = self.count.max(1) as f64;
        let mean: Vec<f64> = self.sum.iter().map(|s| s / n).collect();
        let deviation: Vec<f64> = self
            .squares
            .iter()
            .zip(&mean)
            .map(|(s, m)| (s / n - m * m).max(0.0).sqrt())
            .collect();
        json!({
            "min": shape(&self.least),
            "max": shape(&self.most),
            "mean": shape(&mean),
            "std": shape(&deviation),
            "count": [self.count],
        })
    }
}

/// Statistics of all features.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Summary {
    columns: BTreeMap<String, Sums>,
    cameras: BTreeMap<String, Sums>,
}

impl Summary {
    /// Adds a row of a column.
    pub(super) fn add(&mut self, column: &str, row: &[f64]) {
        if let Some(sums) = self.columns.get_mut(column) {
            sums.add(row);
        } else {
            self.columns.entry(column.to_owned()).or_default().add(row);
        }
    }

    /// Adds a picture's pixels, `[H, W, 3]` u8; counted in colours from 0 to 1.
    pub(super) fn look(&mut self, camera: &str, rgb: &[u8]) {
        let sums = self.cameras.entry(camera.to_owned()).or_default();
        for pixel in rgb.chunks_exact(3) {
            sums.add(&[pixel[0], pixel[1], pixel[2]].map(|v| f64::from(v) / 255.0));
        }
    }

    /// The content of `stats.json`; a camera's values have the shape `[3, 1, 1]`.
    pub(super) fn json(&self) -> Value {
        let columns = self
            .columns
            .iter()
            .map(|(name, sums)| (name.clone(), sums.json(|v| json!(v))));
        let cameras = self.cameras.iter().map(|(name, sums)| {
            let shape = |v: &[f64]| v.iter().map(|x| json!([[x]])).collect();
            (name.clone(), sums.json(shape))
        });
        Value::Object(columns.chain(cameras).collect())
    }
}

#[cfg(test)]
#[path = "../../tests/unit/lerobot_summary.rs"]
mod tests;
