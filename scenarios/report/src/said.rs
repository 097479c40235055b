//! What was said, as the report shows it.

use std::path::Path;

use foresight_runs::said::read;

use crate::svg::escape;

/// What the section explains.
pub(crate) const EXPLANATION: &str =
    "A goal head made each stage's goal latent of the sentence and of what was seen when the stage began. \
     Such a goal has no picture: the film shows the frame of this run whose latent is nearest to it.";

/// The sentences and their stages; empty where nothing was said.
pub(crate) fn section(run: &Path) -> String {
    let stages = read(run);
    let mut html = String::new();
    let mut sentence = None;
    for stage in &stages {
        let said = &stage.said;
        if sentence != Some(&said.sentence) {
            if sentence.is_some() {
                html += "</table>";
            }
            sentence = Some(&said.sentence);
            let name = |part: &Option<String>| part.clone().unwrap_or("nothing by name".into());
            html += &format!(
                "<p>“{}”: object <b>{}</b> ({:.0} % sure that it is in view), place <b>{}</b> ({:.0} %)</p>\
                 <table><tr><th>stage</th><th>hand should be at, m</th><th>nearest frame</th>\
                 <th>L1 to it</th></tr>",
                escape(&said.sentence),
                escape(&name(&said.object)),
                100.0 * said.fit[0],
                escape(&name(&said.target)),
                100.0 * said.fit[1],
            );
        }
        let [x, y, z] = said.place_m;
        html += &format!(
            "<tr><td>{}</td><td>{x:.3}, {y:.3}, {z:.3}</td><td>{}</td><td>{:.3}</td></tr>",
            escape(&said.stage),
            stage.nearest_frame,
            stage.distance
        );
    }
    if sentence.is_some() {
        html += "</table>";
    }
    html
}
