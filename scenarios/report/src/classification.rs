//! What a probe that names films is worth, as a page.

use foresight_scenarios::evaluate::wilson;
use image::RgbImage;
use serde::Serialize;

use crate::page::{figure, picture, Page};
use crate::svg::{escape, Axis, Chart};

/// A probe judged on films that were held out.
#[derive(Debug, Clone, Serialize)]
pub struct Classification {
    /// The encoder's model folder.
    pub model: String,
    /// What clips are, in words.
    pub clips: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Films it was fitted on, by class.
    pub fitted: Vec<usize>,
    /// Films that decided when to stop.
    pub stopping: usize,
    /// Held-out films of each class (row) by what they were named (column).
    pub confusion: Vec<Vec<u64>>,
    /// The learning rate that was best, and the epoch it stopped after.
    pub best: (f64, usize),
    /// Every epoch of every learning rate: rate, epoch, loss while fitting, loss and accuracy of the
    /// films for early stopping.
    pub epochs: Vec<[f64; 5]>,
    /// Decides the split, the initial weights and the order of clips.
    pub seed: u64,
}

/// A held-out film that was named wrongly.
#[derive(Debug, Clone)]
pub struct Mistake {
    /// Its middle frame.
    pub picture: RgbImage,
    /// Where it is.
    pub path: String,
    /// What it is, what it was named, and with which probability.
    pub truth: String,
    /// What it was named.
    pub named: String,
    /// The probability of that.
    pub probability: f32,
}

/// A share with Wilson's 95% interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// Of how many.
    pub count: u64,
    /// How many.
    pub right: u64,
    /// `right / count`.
    pub value: f64,
    /// Wilson's 95% interval.
    pub ci95: [f64; 2],
}

impl Share {
    fn of(right: u64, count: u64) -> Self {
        Share {
            count,
            right,
            value: right as f64 / count.max(1) as f64,
            ci95: wilson(right, count),
        }
    }

    /// In per cent, with its interval.
    pub fn text(&self) -> String {
        let [low, high] = self.ci95.map(|v| 100.0 * v);
        format!("{:.1} % [{low:.1}, {high:.1}]", 100.0 * self.value)
    }
}

impl Classification {
    /// Held-out films named rightly.
    pub fn accuracy(&self) -> Share {
        let right = (0..self.classes.len()).map(|c| self.confusion[c][c]).sum();
        Share::of(right, self.confusion.iter().flatten().sum())
    }

    /// Held-out films named rightly by whoever always names the class most films were fitted on.
    pub fn majority(&self) -> Share {
        let numbered = self.fitted.iter().enumerate();
        // The first of equals.
        let most = numbered.rev().max_by_key(|(_, count)| **count);
        let of_class = most.map_or(0, |(class, _)| self.confusion[class].iter().sum());
        Share::of(of_class, self.confusion.iter().flatten().sum())
    }

    /// Films of a class named rightly.
    pub fn recall(&self, class: usize) -> Share {
        Share::of(
            self.confusion[class][class],
            self.confusion[class].iter().sum(),
        )
    }

    /// Mean of the classes' recalls: what accuracy would be with as many films of each.
    pub fn balanced(&self) -> f64 {
        let seen: Vec<Share> = (0..self.classes.len())
            .map(|class| self.recall(class))
            .filter(|share| share.count > 0)
            .collect();
        seen.iter().map(|share| share.value).sum::<f64>() / seen.len().max(1) as f64
    }

    /// The page.
    pub fn html(&self, mistakes: &[Mistake]) -> String {
        let mut page = Page::new(&format!("Classes by {}", self.model));
        page.push(&self.header());
        page.section(
            "classes",
            "What was named as what",
            "Rows: what held-out films show. Columns: what they were named.",
            &self.matrix(),
        );
        page.section(
            "fitting",
            "Fitting",
            "Cross-entropy after each pass over the clips. \
             <span class=\"key a\">films for early stopping</span><span class=\"key c\">films fitted on</span>",
            &self.curves(),
        );
        let mut shown: String = mistakes.iter().map(mistake).collect();
        if !shown.is_empty() {
            shown = format!("<div class=film>{shown}</div>");
        }
        page.section(
            "mistakes",
            "Named wrongly",
            "Held-out films, their middle frame; the most certain mistakes first.",
            &shown,
        );
        page.html()
    }

    fn header(&self) -> String {
        let films: usize = self.fitted.iter().sum();
        let tiles = [
            ("Accuracy", self.accuracy().text()),
            ("Always the commonest", self.majority().text()),
            (
                "Mean of the classes",
                format!("{:.1} %", 100.0 * self.balanced()),
            ),
            ("Held-out films", self.accuracy().count.to_string()),
        ];
        let tiles = tiles
            .iter()
            .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>"));
        format!(
            "<header><span class=verdict>Foresight</span><h1>{}</h1>\
             <p class=meta>An attentive probe on frozen features · {} · fitted on {films} films, stopped by {} \
             others · learning rate {:.0e}, {} epochs · seed {} · 95% intervals by Wilson · foresight {}</p>\
             <dl class=tiles>{}</dl></header>",
            escape(&self.model),
            escape(&self.clips),
            self.stopping,
            self.best.0,
            self.best.1,
            self.seed,
            env!("CARGO_PKG_VERSION"),
            tiles.collect::<String>(),
        )
    }

    fn matrix(&self) -> String {
        let heads: String = self
            .classes
            .iter()
            .map(|name| format!("<th>{}", escape(name)))
            .collect();
        let rows: String = (0..self.classes.len())
            .map(|class| {
                let cells: String = self.confusion[class]
                    .iter()
                    .enumerate()
                    .map(|(named, count)| match named == class {
                        true => format!("<td><b>{count}</b>"),
                        false => format!("<td>{count}"),
                    })
                    .collect();
                format!(
                    "<tr><td>{}{cells}<td>{}<td>{}</tr>",
                    escape(&self.classes[class]),
                    self.recall(class).text(),
                    self.fitted[class],
                )
            })
            .collect();
        format!(
            "<div class=scroll><table><thead><tr><th>truly{heads}<th>rightly<th>fitted on</tr></thead>\
             <tbody>{rows}</tbody></table></div>"
        )
    }

    fn curves(&self) -> String {
        let mut rates: Vec<f64> = self.epochs.iter().map(|e| e[0]).collect();
        rates.dedup();
        let losses = self.epochs.iter().flat_map(|e| [e[2], e[3]]);
        let most = losses.clone().fold(0.0, f64::max);
        let mut charts = String::new();
        for rate in rates {
            let of_rate: Vec<&[f64; 5]> = self.epochs.iter().filter(|e| e[0] == rate).collect();
            let loss = Axis::from_zero([0.0, most].into_iter(), "cross-entropy");
            let epochs = Axis {
                name: "epoch",
                ..Axis::steps(1, of_rate.len().max(2))
            };
            let title = format!("learning rate {rate:.0e}");
            let mut chart = Chart::new(360.0, 200.0, &title, epochs, loss);
            chart.line("c", of_rate.iter().map(|e| (e[1], e[2])));
            chart.line("a", of_rate.iter().map(|e| (e[1], e[3])));
            charts += &figure("", &chart.svg(), &title);
        }
        format!("<div class=charts>{charts}</div>")
    }
}

fn mistake(mistake: &Mistake) -> String {
    let caption = format!(
        "{}: named {} ({:.0} %), shows {}",
        escape(&mistake.path),
        escape(&mistake.named),
        100.0 * mistake.probability,
        escape(&mistake.truth)
    );
    figure("", &picture(&mistake.picture, &mistake.truth), &caption)
}
