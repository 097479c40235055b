//! Which of an episode's cameras is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One camera of an episode, by its role or its name, and of a stereo camera one half.
///
/// Written as text: `left`, `right`, `wrist` (also as the official configuration has them,
/// `left_mp4_path` …) or a camera's own name or serial number; followed by `:stereo-left` or
/// `:stereo-right` for a half of the side-by-side video `<serial>-stereo.mp4`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct View {
    /// Which camera.
    pub role: Role,
    /// Which half of its stereo video; `None` for its plain one.
    pub half: Option<Half>,
}

/// A camera by its role or name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Role {
    /// The left exterior camera: what the official training uses.
    Left,
    /// The right exterior camera.
    Right,
    /// The camera on the wrist.
    Wrist,
    /// A camera's name or serial number.
    Named(String),
}

/// A half of a side-by-side stereo video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Half {
    /// The left lens.
    Left,
    /// The right lens.
    Right,
}

impl Default for View {
    fn default() -> Self {
        View {
            role: Role::Left,
            half: None,
        }
    }
}

impl Role {
    /// The role's name in an index; `None` for a camera's own name.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Role::Left => Some("left"),
            Role::Right => Some("right"),
            Role::Wrist => Some("wrist"),
            Role::Named(_) => None,
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.role {
            Role::Named(name) => f.write_str(name)?,
            role => f.write_str(role.key().unwrap_or_default())?,
        }
        match self.half {
            None => Ok(()),
            Some(Half::Left) => f.write_str(":stereo-left"),
            Some(Half::Right) => f.write_str(":stereo-right"),
        }
    }
}

impl FromStr for View {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, half) = match text.rsplit_once(':') {
            None => (text, None),
            Some((name, "stereo-left")) => (name, Some(Half::Left)),
            Some((name, "stereo-right")) => (name, Some(Half::Right)),
            Some((_, other)) => {
                return Err(format!(
                    "`{text}` names no half of a stereo video: write stereo-left or \
                     stereo-right instead of `{other}`"
                ))
            }
        };
        let role = match name {
            "" => {
                return Err("a camera's name is empty: write left, right, wrist or its name".into())
            }
            "left" | "left_mp4_path" => Role::Left,
            "right" | "right_mp4_path" => Role::Right,
            "wrist" | "wrist_mp4_path" => Role::Wrist,
            other => Role::Named(other.to_owned()),
        };
        Ok(View { role, half })
    }
}

impl TryFrom<String> for View {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<View> for String {
    fn from(view: View) -> String {
        view.to_string()
    }
}

#[cfg(test)]
#[path = "../tests/unit/view.rs"]
mod tests;
