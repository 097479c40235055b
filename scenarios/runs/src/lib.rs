//! What a run leaves behind: the run folder, written and read; replay; and what the model that
//! planned makes of it afterwards.

pub mod analysis;
pub mod analysis_record;
pub mod folder;
pub mod nearest_neighbour;
pub mod read;
pub mod record;
pub mod replay;
pub mod trace;
pub mod trajectory_csv;
pub mod utc;
