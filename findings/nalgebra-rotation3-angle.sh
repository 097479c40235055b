#!/usr/bin/env bash
# nalgebra 0.35.0 (crates.io): Rotation3's angles near nothing and near half a turn.
#
# One would guess: the angle between a rotation and itself is 0, and a rotation by exactly half a
# turn has an axis, as UnitQuaternion answers for the same rotations.
#
# What happens: `Rotation3::angle_to` takes the arc cosine of (trace - 1) / 2 without limiting it to
# [-1, 1], so for a few per cent of gripper-down orientations the angle to the very same rotation is
# NaN; and `Rotation3::axis` of exactly half a turn about x gives none, since it reads the axis off the antisymmetric
# part, which is zero there. A check like `angle < tolerance` then says no for a pose that is met
# exactly. UnitQuaternion's `angle_to` and `axis` are right in both.
#
# Seen (x86_64, Rust 1.95): see the expected lines below.
#
# Fails when any of this changes. Needs cargo and the crates.io registry; takes a minute.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
nalgebra = { version = "=0.35.0", default-features = false, features = ["std"] }
[workspace]
TOML
cat > "$folder/src/main.rs" <<'RUST'
use nalgebra::{Rotation3, UnitQuaternion, Vector3};

fn main() {
    // Hands that point down, turned about the vertical in steps of a tenth of a degree.
    let poses: Vec<Rotation3<f64>> = (0..3600)
        .map(|i| Rotation3::from_euler_angles(std::f64::consts::PI, 0.01, f64::from(i) * 0.1_f64.to_radians()))
        .collect();
    let nan = poses.iter().filter(|r| r.angle_to(r).is_nan()).count();
    let quaternions = poses.iter().map(UnitQuaternion::from_rotation_matrix);
    let wrong = quaternions.filter(|q| !(q.angle_to(q) < 1e-7)).count();
    println!("Rotation3: some angles to itself are NaN: {}", nan > 0);
    eprintln!("({nan} of {} are)", poses.len());
    println!("UnitQuaternion: angles to itself that are not 0: {wrong}");
    let half = Rotation3::from_matrix_unchecked(nalgebra::Matrix3::from_diagonal(&Vector3::new(1.0, -1.0, -1.0)));
    println!("Rotation3: axis of half a turn about x: {:?}", half.axis().map(|a| a.into_inner().data.0[0]));
    let q = UnitQuaternion::from_rotation_matrix(&half);
    println!("UnitQuaternion: axis of half a turn about x: {:?}", q.axis().map(|a| a.into_inner().data.0[0]));
}
RUST
seen=$(cd "$folder" && CARGO_TARGET_DIR="$folder/target" cargo run --quiet --release)
expected='Rotation3: some angles to itself are NaN: true
UnitQuaternion: angles to itself that are not 0: 0
Rotation3: axis of half a turn about x: None
UnitQuaternion: axis of half a turn about x: Some([1.0, 0.0, 0.0])'
if [ "$seen" != "$expected" ]; then
    printf 'it has changed; now:\n%s\n' "$seen"
    exit 1
fi
echo "as described"
