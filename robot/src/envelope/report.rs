//! What the envelope changed or refused, in words and as data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One change the envelope made to an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Adjustment {
    /// One axis of the translation was too long.
    Axis {
        /// Which axis.
        axis: char,
        /// Asked for, m.
        asked_m: f64,
        /// Sent, m.
        sent_m: f64,
    },
    /// The translation was too long.
    Length {
        /// Asked for, m.
        asked_m: f64,
        /// Sent, m.
        sent_m: f64,
    },
    /// The rotation was too large.
    Rotation {
        /// Asked for, rad.
        asked_rad: f64,
        /// Sent, rad.
        sent_rad: f64,
    },
    /// The gripper's change was too large.
    Gripper {
        /// Asked for.
        asked: f64,
        /// Sent.
        sent: f64,
    },
    /// The goal lay outside the workspace box.
    Workspace {
        /// On which axis.
        axis: char,
        /// Coordinate asked for, m.
        asked_m: f64,
        /// Coordinate sent, m.
        sent_m: f64,
    },
    /// The goal lay too near the table.
    Table {
        /// Height asked for, m.
        asked_m: f64,
        /// Height sent, m.
        sent_m: f64,
    },
    /// The joints can't reach the whole action, only this fraction of it.
    Shortened {
        /// The fraction sent.
        fraction: f64,
        /// Why the rest can't be reached.
        why: String,
    },
}

/// Why the envelope let nothing through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Refusal {
    /// A component is NaN or infinite.
    #[error("{component} is not finite")]
    NotFinite {
        /// Which one.
        component: String,
    },
    /// The arm stands too far outside its box to be led back by actions.
    #[error("the arm stands {outside_m:.3} m outside its workspace box on {axis}; move it into the box first")]
    OutsideBox {
        /// On which axis.
        axis: char,
        /// How far, m.
        outside_m: f64,
    },
    /// Neither the action nor a 32nd of it can be reached with the joint margin kept.
    #[error("no joint configuration reaches it: {why}")]
    Unreachable {
        /// What the inverse kinematics said.
        why: String,
    },
}

impl fmt::Display for Adjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Adjustment::Axis {
                axis,
                asked_m,
                sent_m,
            } => write!(f, "d{axis} {asked_m:.4} m clamped to {sent_m:.4} m"),
            Adjustment::Length { asked_m, sent_m } => {
                write!(f, "translation {asked_m:.4} m shortened to {sent_m:.4} m")
            }
            Adjustment::Rotation {
                asked_rad,
                sent_rad,
            } => write!(
                f,
                "rotation {asked_rad:.3} rad reduced to {sent_rad:.3} rad"
            ),
            Adjustment::Gripper { asked, sent } => {
                write!(f, "gripper change {asked:.3} clamped to {sent:.3}")
            }
            Adjustment::Workspace {
                axis,
                asked_m,
                sent_m,
            } => write!(
                f,
                "{axis} {asked_m:.4} m is outside the workspace box, {sent_m:.4} m sent"
            ),
            Adjustment::Table { asked_m, sent_m } => write!(
                f,
                "z {asked_m:.4} m is too near the table, {sent_m:.4} m sent"
            ),
            Adjustment::Shortened { fraction, why } => {
                write!(f, "only {:.0}% can be reached: {why}", fraction * 100.0)
            }
        }
    }
}
