//! Small charts as inline SVG. Colours come from the page's style sheet, so that they follow
//! light and dark; sizes are those of a phone's width, so that labels stay legible there.

use std::fmt::Write as _;

/// Text with the characters that mean something in HTML replaced.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            c => out.push(c),
        }
    }
    out
}

/// One axis: its range, in data units, and its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis<'a> {
    /// Lower end.
    pub(crate) low: f64,
    /// Upper end.
    pub(crate) high: f64,
    /// Name with unit.
    pub(crate) name: &'a str,
    /// Whether ticks are whole numbers.
    pub(crate) whole: bool,
}

impl<'a> Axis<'a> {
    /// An axis around all finite values, widened a little; `[0, 1]` without any.
    pub(crate) fn around(values: impl Iterator<Item = f64>, name: &'a str) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|v| v.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let margin = 0.06 * (high - low).max(1e-6 * high.abs()).max(1e-9);
        Axis {
            low: low - margin,
            high: high + margin,
            name,
            whole: false,
        }
    }

    /// The same, reaching down to zero.
    pub(crate) fn from_zero(values: impl Iterator<Item = f64>, name: &'a str) -> Self {
        let mut axis = Axis::around(values, name);
        axis.low = axis.low.min(0.0);
        if axis.low > -1e-12 || axis.low < 0.0 {
            axis.low = 0.0;
        }
        axis
    }

    /// Steps of an episode: `first ..= last`.
    pub(crate) fn steps(first: usize, last: usize) -> Self {
        Axis {
            low: first as f64 - 0.5,
            high: last as f64 + 0.5,
            name: "step",
            whole: true,
        }
    }

    fn ticks(&self, about: usize) -> Vec<f64> {
        let raw = (self.high - self.low) / about as f64;
        if !(raw > 0.0 && raw.is_finite()) {
            return Vec::new();
        }
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|m| m * power)
            .find(|s| *s >= raw)
            .unwrap_or(10.0 * power);
        let step = if self.whole {
            step.max(1.0).round()
        } else {
            step
        };
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|k| k as f64 * step).collect()
    }
}

/// A tick's number without needless digits.
fn label(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.replace('-', "−")
}

/// A chart with two axes.
pub(crate) struct Chart {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: (f64, f64),
    y: (f64, f64),
    body: String,
    title: String,
}

impl Chart {
    /// An empty chart `width` × `height` px with its axes drawn; `title` is read to those who
    /// can't see it.
    pub(crate) fn new(width: f64, height: f64, title: &str, x: Axis<'_>, y: Axis<'_>) -> Self {
        let mut chart = Chart {
            width,
            height,
            left: 46.0,
            right: 10.0,
            top: 10.0,
            bottom: 34.0,
            x: (x.low, x.high),
            y: (y.low, y.high),
            body: String::new(),
            title: title.to_owned(),
        };
        let (right, base) = (width - chart.right, height - chart.bottom);
        for tick in y.ticks(4) {
            let at = chart.at_y(tick);
            let _ = write!(
                chart.body,
                "<path class=grid d=\"M{:.1} {at:.1}H{right:.1}\"/><text x={:.1} y={:.1} class=e>{}</text>",
                chart.left,
                chart.left - 5.0,
                at + 3.5,
                label(tick)
            );
        }
        for tick in x.ticks(if width < 260.0 { 4 } else { 6 }) {
            let at = chart.at_x(tick);
            let _ = write!(
                chart.body,
                "<path class=grid d=\"M{at:.1} {:.1}V{base:.1}\"/><text x={at:.1} y={:.1} class=m>{}</text>",
                chart.top,
                base + 13.0,
                label(tick)
            );
        }
        let _ = write!(
            chart.body,
            "<text x={:.1} y={:.1} class=m>{}</text>",
            (chart.left + right) / 2.0,
            height - 5.0,
            escape(x.name)
        );
        let middle = (chart.top + base) / 2.0;
        let _ = write!(
            chart.body,
            "<text class=m transform=\"translate(10 {middle:.1}) rotate(-90)\">{}</text>",
            escape(y.name)
        );
        chart
    }

    /// The chart's x of a value, px.
    pub(crate) fn at_x(&self, value: f64) -> f64 {
        let share = (value - self.x.0) / (self.x.1 - self.x.0);
        self.left + share.clamp(-0.5, 1.5) * (self.width - self.left - self.right)
    }

    /// The chart's y of a value, px.
    pub(crate) fn at_y(&self, value: f64) -> f64 {
        let share = (value - self.y.0) / (self.y.1 - self.y.0);
        self.height - self.bottom - share.clamp(-0.5, 1.5) * (self.height - self.top - self.bottom)
    }

    fn path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let mut d = String::new();
        let mut pen = 'M';
        for (x, y) in points {
            if !(x.is_finite() && y.is_finite()) {
                pen = 'M';
                continue;
            }
            let _ = write!(d, "{pen}{:.1} {:.1}", self.at_x(x), self.at_y(y));
            pen = 'L';
        }
        d
    }

    /// A line; gaps where a value is not finite.
    pub(crate) fn line(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let d = self.path(points);
        let _ = write!(self.body, "<path class=\"line {class}\" d=\"{d}\"/>");
    }

    /// A line with a dot at every point.
    pub(crate) fn dotted_line(&mut self, class: &str, points: &[(f64, f64)]) {
        self.line(class, points.iter().copied());
        for (x, y) in points.iter().filter(|p| p.0.is_finite() && p.1.is_finite()) {
            self.dot(class, *x, *y, 2.4);
        }
    }

    /// The area between two lines over the same x.
    pub(crate) fn band(&mut self, class: &str, low: &[(f64, f64)], high: &[(f64, f64)]) {
        let around = high.iter().copied().chain(low.iter().rev().copied());
        let d = self.path(around);
        let _ = write!(self.body, "<path class=\"area {class}\" d=\"{d}Z\"/>");
    }

    /// A box between two corners in data units.
    pub(crate) fn block(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let (x, y) = (self.at_x(from.0.min(to.0)), self.at_y(from.1.max(to.1)));
        let width = self.at_x(from.0.max(to.0)) - x;
        let height = self.at_y(from.1.min(to.1)) - y;
        let _ = write!(
            self.body,
            "<rect class=\"area {class}\" x={x:.1} y={y:.1} width={width:.1} height={height:.1} />"
        );
    }

    /// A dot of a radius in px.
    pub(crate) fn dot(&mut self, class: &str, x: f64, y: f64, radius: f64) {
        let (x, y) = (self.at_x(x), self.at_y(y));
        let _ = write!(
            self.body,
            "<circle class=\"dot {class}\" cx={x:.1} cy={y:.1} r={radius:.1} />"
        );
    }

    /// An ellipse with half axes in data units.
    pub(crate) fn ellipse(&mut self, class: &str, (x, y): (f64, f64), (rx, ry): (f64, f64)) {
        let (width, height) = (
            self.at_x(x + rx) - self.at_x(x),
            self.at_y(y) - self.at_y(y + ry),
        );
        let (x, y) = (self.at_x(x), self.at_y(y));
        let _ = write!(
            self.body,
            "<ellipse class=\"line {class}\" cx={x:.1} cy={y:.1} rx={width:.1} ry={height:.1} />"
        );
    }

    /// A cross with a ring around it: the one that matters.
    pub(crate) fn target(&mut self, class: &str, x: f64, y: f64) {
        let (x, y) = (self.at_x(x), self.at_y(y));
        let _ = write!(
            self.body,
            "<g class=\"mark {class}\"><circle cx={x:.1} cy={y:.1} r=6.5 />\
             <path d=\"M{:.1} {y:.1}h20M{x:.1} {:.1}v20\"/></g>",
            x - 10.0,
            y - 10.0
        );
    }

    /// A picture over a box in data units.
    pub(crate) fn image(&mut self, url: &str, from: (f64, f64), to: (f64, f64)) {
        let (x, y) = (self.at_x(from.0), self.at_y(to.1));
        let (width, height) = (self.at_x(to.0) - x, self.at_y(from.1) - y);
        let _ = write!(
            self.body,
            "<image href=\"{url}\" x={x:.1} y={y:.1} width={width:.1} height={height:.1} preserveAspectRatio=none />"
        );
    }

    /// Words at a place in data units.
    pub(crate) fn words(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let (x, y) = (self.at_x(x), self.at_y(y));
        let _ = write!(
            self.body,
            "<text class=\"{class}\" x={x:.1} y={y:.1}>{}</text>",
            escape(text)
        );
    }

    /// The finished SVG element.
    pub(crate) fn svg(self) -> String {
        format!(
            "<svg viewBox=\"0 0 {:.0} {:.0}\" role=img aria-label=\"{}\">{}</svg>",
            self.width,
            self.height,
            escape(&self.title),
            self.body
        )
    }
}

#[cfg(test)]
#[path = "../tests/unit/svg.rs"]
mod tests;
