//! Harder columns of an evaluation: a scenario's scenes changed in one named way.
//!
//! The bundled model's training scenes are those of [`SceneDistribution::default`]; each variation
//! leaves them in one respect, so that a table over variations says what the model generalises to.

use foresight_sim::SceneDistribution;
use serde::{Deserialize, Serialize};

use crate::scenario::Scenario;

/// One way to change a scenario's scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variation {
    /// As the scenario says.
    Plain,
    /// Only boxes.
    Boxes,
    /// Only cups.
    Cups,
    /// The hand starts anywhere over the workspace.
    WideStart,
    /// Objects of hues from green over cyan to blue: training has seen violet, red and yellow.
    UnseenColours,
    /// Objects narrower and lower than any in training.
    SmallerObjects,
    /// Objects wider and higher than any in training.
    LargerObjects,
    /// The camera turned by 5° around the workspace.
    #[serde(rename = "camera_5deg")]
    Camera5Deg,
    /// The camera turned by 10° around the workspace.
    #[serde(rename = "camera_10deg")]
    Camera10Deg,
    /// The object moved by 2 cm in a random direction after the goal images were taken.
    #[serde(rename = "displaced_2cm")]
    Displaced2Cm,
    /// The object moved by 4 cm in a random direction after the goal images were taken.
    #[serde(rename = "displaced_4cm")]
    Displaced4Cm,
    /// The hand parked at one place in every goal image: only the object tells goals apart.
    SameArmGoal,
}

/// Where the hand is parked for [`Variation::SameArmGoal`], base frame, m: in the picture, above
/// what stands on the table.
const PARKED_M: [f64; 3] = [0.50, 0.0, 0.26];

impl Variation {
    /// Every variation, in the order of tables.
    pub const ALL: [Variation; 12] = [
        Variation::Plain,
        Variation::Boxes,
        Variation::Cups,
        Variation::WideStart,
        Variation::UnseenColours,
        Variation::SmallerObjects,
        Variation::LargerObjects,
        Variation::Camera5Deg,
        Variation::Camera10Deg,
        Variation::Displaced2Cm,
        Variation::Displaced4Cm,
        Variation::SameArmGoal,
    ];

    /// The name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Variation::Plain => "plain",
            Variation::Boxes => "boxes",
            Variation::Cups => "cups",
            Variation::WideStart => "wide_start",
            Variation::UnseenColours => "unseen_colours",
            Variation::SmallerObjects => "smaller_objects",
            Variation::LargerObjects => "larger_objects",
            Variation::Camera5Deg => "camera_5deg",
            Variation::Camera10Deg => "camera_10deg",
            Variation::Displaced2Cm => "displaced_2cm",
            Variation::Displaced4Cm => "displaced_4cm",
            Variation::SameArmGoal => "same_arm_goal",
        }
    }

    /// The variation of that name.
    ///
    /// # Errors
    /// A sentence that lists the names there are.
    pub fn parse(name: &str) -> Result<Self, String> {
        let found = Variation::ALL.into_iter().find(|v| v.name() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = Variation::ALL.iter().map(|v| v.name()).collect();
            format!("{name:?} is no variation; there are {}", names.join(", "))
        })
    }

    /// Changes a scenario's scenes.
    pub fn apply(self, scenario: &mut Scenario) {
        use foresight_sim::ObjectKind;
        let scene = &mut scenario.scene;
        match self {
            Variation::Plain => {}
            Variation::Boxes => scene.object_kinds = vec![ObjectKind::Box],
            Variation::Cups => scene.object_kinds = vec![ObjectKind::Cup],
            Variation::WideStart => {
                let wide = SceneDistribution::wide_start();
                scene.start_relative_to_object = wide.start_relative_to_object;
                scene.start_x_m = wide.start_x_m;
                scene.start_y_m = wide.start_y_m;
                scene.start_z_m = wide.start_z_m;
            }
            Variation::UnseenColours => scene.object_hue = [0.27, 0.60],
            Variation::SmallerObjects => {
                scene.box_width_m = [0.030, 0.038];
                scene.box_height_m = [0.032, 0.038];
                scene.cup_diameter_m = [0.040, 0.048];
                scene.cup_height_m = [0.048, 0.058];
            }
            Variation::LargerObjects => {
                scene.box_width_m = [0.054, 0.060];
                scene.box_height_m = [0.062, 0.075];
                scene.cup_diameter_m = [0.064, 0.068];
                scene.cup_height_m = [0.077, 0.090];
            }
            Variation::Camera5Deg => turn_camera(scene, 5.0),
            Variation::Camera10Deg => turn_camera(scene, 10.0),
            Variation::Displaced2Cm => scenario.displaced_after_goals_m = 0.02,
            Variation::Displaced4Cm => scenario.displaced_after_goals_m = 0.04,
            Variation::SameArmGoal => scenario.goals_with_hand_at_m = Some(PARKED_M),
        }
    }
}

/// Turns every camera about the vertical through the point it looks at.
fn turn_camera(scene: &mut SceneDistribution, degrees: f64) {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let turn = |eye_m: &mut [f64; 3], [cx, cy, _]: [f64; 3]| {
        let (dx, dy) = (eye_m[0] - cx, eye_m[1] - cy);
        eye_m[0] = cx + cos * dx - sin * dy;
        eye_m[1] = cy + sin * dx + cos * dy;
    };
    turn(&mut scene.camera_eye_m, scene.camera_look_at_m);
    for camera in &mut scene.other_cameras {
        turn(&mut camera.eye_m, camera.look_at_m);
    }
}
