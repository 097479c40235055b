//! The arm's, the hand's and the object's shapes as triangles, for viewers outside this crate.

use crate::render::{object_mesh, robot_meshes, Mesh};
use crate::scene::Object;
use crate::simulator::SimError;

/// Names of the arm's links, base first.
pub const LINKS: [&str; 8] = [
    "link0", "link1", "link2", "link3", "link4", "link5", "link6", "link7",
];
/// Name of the hand.
pub const HAND: &str = "hand";
/// Names of the fingers, the left one first.
pub const FINGERS: [&str; 2] = ["left_finger", "right_finger"];
/// Name of a scene's object.
pub const OBJECT: &str = "object";

/// A rigid part, in its own frame.
#[derive(Debug, Clone)]
pub struct VisualMesh {
    /// Its name.
    pub name: &'static str,
    /// Corners, m.
    pub points_m: Vec<[f32; 3]>,
    /// Three corners a triangle, counter-clockwise seen from outside.
    pub triangles: Vec<[u32; 3]>,
    /// Linear RGB of each corner, 0 to 1.
    pub colours: Vec<[f32; 3]>,
}

/// The arm's links, the hand and both fingers, thinned to about a centimetre.
///
/// # Errors
/// [`SimError`] when the meshes that are built in can't be read.
pub fn arm_and_hand() -> Result<Vec<VisualMesh>, SimError> {
    let meshes = robot_meshes().map_err(SimError::Meshes)?;
    let links = LINKS.into_iter().zip(&meshes.links);
    let hand = [(HAND, &meshes.hand)];
    let fingers = FINGERS.map(|name| (name, &meshes.finger));
    let all = links.chain(hand).chain(fingers);
    Ok(all.map(|(name, mesh)| part(name, mesh)).collect())
}

/// An object, its frame in the middle of its extent.
pub fn object(object: &Object) -> VisualMesh {
    part(OBJECT, &object_mesh(object))
}

/// A corner between differently coloured triangles becomes several.
fn part(name: &'static str, mesh: &Mesh) -> VisualMesh {
    let mut corners = std::collections::BTreeMap::<(u32, u16), u32>::new();
    let mut part = VisualMesh {
        name,
        points_m: Vec::new(),
        triangles: Vec::new(),
        colours: Vec::new(),
    };
    for triangle in &mesh.triangles {
        let corner = |vertex: u32| {
            *corners.entry((vertex, triangle.colour)).or_insert_with(|| {
                part.points_m.push(mesh.vertices[vertex as usize].into());
                part.colours
                    .push(mesh.colours[usize::from(triangle.colour)]);
                part.points_m.len() as u32 - 1
            })
        };
        let triangle = triangle.corners.map(corner);
        part.triangles.push(triangle);
    }
    part
}
