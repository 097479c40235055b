//! What a run leaves behind: the run folder, written and read; replay; and what the model that
//! planned makes of it afterwards.
//!
//! ```
//! use foresight_runs::trajectory_csv::PoseTable;
//!
//! let text = "x_m,y_m,z_m,rx_rad,ry_rad,rz_rad\n0.5,0,0.3,3.1,0,0\n0.5,0.1,0.3,3.1,0,0\n";
//! let table = PoseTable::parse(text).map_err(|(line, what)| format!("line {line}: {what}"))?;
//! assert_eq!(table.poses[1].position_m, [0.5, 0.1, 0.3]);
//! # Ok::<(), String>(())
//! ```

pub mod analysis;
pub mod analysis_record;
mod csv_rows;
pub mod episodes;
pub mod folder;
pub mod monitoring;
pub mod nearest_neighbour;
pub mod read;
pub mod record;
pub mod replay;
pub mod said;
pub mod trace;
pub mod trajectory_csv;
pub mod utc;
mod waypoints;
