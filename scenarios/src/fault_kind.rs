//! What may go wrong on purpose, by name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What can go wrong.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The object stands 6 to 10 cm elsewhere, out of the hand if it was there.
    KnockedAway,
    /// The held object slips out of the hand.
    Slip,
    /// The object is moved out from between the fingers as they close.
    MissedGrasp,
    /// The object is gone.
    Removed,
    /// The object is another one.
    Swapped,
    /// Another object stands beside the hand.
    SecondObject,
    /// The camera is turned by 3°.
    #[serde(rename = "camera_3deg")]
    Camera3Deg,
    /// The camera is turned by 10°.
    #[serde(rename = "camera_10deg")]
    Camera10Deg,
    /// The lens is covered.
    LensCovered,
    /// The fingers don't move when they should.
    GripperBlocked,
    /// The lamp goes out; what light is left comes from everywhere.
    LightSwitched,
}

impl FaultKind {
    /// Every kind, in the order of tables.
    pub const ALL: [FaultKind; 11] = [
        FaultKind::KnockedAway,
        FaultKind::Slip,
        FaultKind::MissedGrasp,
        FaultKind::Removed,
        FaultKind::Swapped,
        FaultKind::SecondObject,
        FaultKind::Camera3Deg,
        FaultKind::Camera10Deg,
        FaultKind::LensCovered,
        FaultKind::GripperBlocked,
        FaultKind::LightSwitched,
    ];

    /// The kind of that name.
    ///
    /// # Errors
    /// A sentence that lists the names there are.
    pub fn parse(name: &str) -> Result<Self, String> {
        let found = FaultKind::ALL.into_iter().find(|k| k.name() == name);
        found.ok_or_else(|| {
            let names = FaultKind::ALL.map(FaultKind::name).join(", ");
            format!("{name:?} is no fault; there are {names}")
        })
    }

    /// Its name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::KnockedAway => "knocked_away",
            FaultKind::Slip => "slip",
            FaultKind::MissedGrasp => "missed_grasp",
            FaultKind::Removed => "removed",
            FaultKind::Swapped => "swapped",
            FaultKind::SecondObject => "second_object",
            FaultKind::Camera3Deg => "camera_3deg",
            FaultKind::Camera10Deg => "camera_10deg",
            FaultKind::LensCovered => "lens_covered",
            FaultKind::GripperBlocked => "gripper_blocked",
            FaultKind::LightSwitched => "light_switched",
        }
    }
}

/// Which faults a simulated episode has: one, at a time drawn from the seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// The kinds, which take turns from seed to seed.
    pub kinds: Vec<FaultKind>,
}
