//! The meshes of the things a scene can hold.

use nalgebra::Vector3;

use super::mesh::{Mesh, TriangleSoup};
use crate::objects::CUP_WALL_M;
use crate::scene::{Object, ObjectKind};

/// Pieces a cup's round is drawn with.
const ROUND: usize = 28;
/// A cup's inside is this much darker than its outside: less light gets in.
const INSIDE: f32 = 0.6;

pub(crate) fn object_mesh(object: &Object) -> Mesh {
    let [x, y, z] = object.size_m.map(|s| s as f32 / 2.0);
    let colour = object.colour.map(|c| c as f32);
    match object.kind {
        ObjectKind::Box => box_mesh([x, y, z], colour),
        ObjectKind::Cup => cup_mesh(x, z, colour),
    }
}

fn box_mesh([x, y, z]: [f32; 3], colour: [f32; 3]) -> Mesh {
    let mut soup = TriangleSoup {
        colours: vec![colour],
        ..TriangleSoup::default()
    };
    let v = Vector3::new;
    for s in [1.0, -1.0] {
        // For the face on the negative side one axis is mirrored, which keeps the winding.
        soup.polygon(
            &[
                v(s * x, -s * y, -z),
                v(s * x, s * y, -z),
                v(s * x, s * y, z),
                v(s * x, -s * y, z),
            ],
            0,
        );
        soup.polygon(
            &[
                v(s * x, s * y, -z),
                v(-s * x, s * y, -z),
                v(-s * x, s * y, z),
                v(s * x, s * y, z),
            ],
            0,
        );
        soup.polygon(
            &[
                v(-x, -s * y, s * z),
                v(x, -s * y, s * z),
                v(x, s * y, s * z),
                v(-x, s * y, s * z),
            ],
            0,
        );
    }
    soup.mesh()
}

fn cup_mesh(radius: f32, half_height: f32, colour: [f32; 3]) -> Mesh {
    let mut soup = TriangleSoup {
        colours: vec![colour, colour.map(|c| c * INSIDE)],
        ..TriangleSoup::default()
    };
    let wall = CUP_WALL_M as f32;
    let (inner, floor) = (radius - wall, -half_height + wall);
    let ring: Vec<(f32, f32)> = (0..ROUND)
        .map(|i| (i as f32 * std::f32::consts::TAU / ROUND as f32).sin_cos())
        .collect();
    let at = |i: usize, r: f32, z: f32| {
        let (sin, cos) = ring[i % ROUND];
        Vector3::new(r * cos, r * sin, z)
    };
    let top = half_height;
    for i in 0..ROUND {
        let j = i + 1;
        soup.polygon(
            &[
                at(i, radius, -top),
                at(j, radius, -top),
                at(j, radius, top),
                at(i, radius, top),
            ],
            0,
        );
        soup.polygon(
            &[
                at(j, inner, floor),
                at(i, inner, floor),
                at(i, inner, top),
                at(j, inner, top),
            ],
            1,
        );
        soup.polygon(
            &[
                at(i, radius, top),
                at(j, radius, top),
                at(j, inner, top),
                at(i, inner, top),
            ],
            0,
        );
    }
    let disc = |r: f32, z: f32| (0..ROUND).map(|i| at(i, r, z)).collect::<Vec<_>>();
    soup.polygon(&disc(inner, floor), 1);
    let mut below = disc(radius, -top);
    below.reverse();
    soup.polygon(&below, 0);
    soup.mesh()
}
