//! What a replay leaves behind: errors as a table and as JSON, a strip of pictures, an animation and
//! a video.

use std::path::{Path, PathBuf};

use foresight_datasets::DatasetError;
use foresight_runs::folder::fresh;
use foresight_runs::replay::Replay;
use foresight_runs::utc;
use foresight_scenarios::RunError;

use crate::replay_pictures;

/// Writes them into a new folder below `out`; returns it.
///
/// # Errors
/// [`RunError::Write`] when the disk refuses.
pub fn write(out: &Path, replay: &Replay) -> Result<PathBuf, RunError> {
    let folder = fresh(out, &format!("{}-{}", utc::timestamp(), replay.name));
    std::fs::create_dir_all(&folder).map_err(|e| RunError::write(&folder, e))?;
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|e| RunError::write(&path, e))
    };
    put("errors.csv", errors(replay))?;
    let json = serde_json::to_string_pretty(replay).unwrap_or_default();
    put("replay.json", json + "\n")?;
    let Some(strip) = replay_pictures::strip(replay) else {
        return Ok(folder);
    };
    let path = folder.join("strip.png");
    strip.save(&path).map_err(|e| RunError::write(&path, e))?;
    let path = folder.join("replay.gif");
    replay_pictures::write_gif(&path, replay).map_err(|e| RunError::write(&path, e))?;
    let path = folder.join("replay.mp4");
    match replay_pictures::write_mp4(&path, replay) {
        // The animation is there; a video needs a program that is not.
        Err(error @ DatasetError::Decoder(_)) => tracing::warn!("no replay.mp4: {error}"),
        written => {
            written.map_err(|e| RunError::write(&path, e))?;
        }
    }
    Ok(folder)
}

/// A line a pose, as CSV.
fn errors(replay: &Replay) -> String {
    let mut csv = String::from(
        "step,time_s,position_mm,rotation_deg,gripper,identical,x_m,y_m,z_m,rx_rad,ry_rad,rz_rad,closedness\n",
    );
    for step in &replay.steps {
        let time = step.time_s.map_or_else(String::new, |t| t.to_string());
        let identical = step.identical.map_or_else(String::new, |i| i.to_string());
        let pose = step.replayed.map(|v| v.to_string()).join(",");
        let e = &step.error;
        csv += &format!(
            "{},{time},{},{},{},{identical},{pose}\n",
            step.step, e.position_mm, e.rotation_deg, e.gripper
        );
    }
    csv
}
