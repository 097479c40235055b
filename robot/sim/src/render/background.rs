//! What lies behind everything: table, target disc, floor; found by casting a ray a pixel.

use nalgebra::Vector3;

use super::camera::PinholeCamera;
use super::raster::Canvas;
use crate::physics::TABLE_EXTENT_M;
use crate::scene::{Scene, TargetDisc};

/// How much a shadow takes of the light.
const SHADOW_DEPTH: f32 = 0.85;

/// The light as shading uses it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LightSource {
    /// Towards the light, unit length.
    pub towards: Vector3<f32>,
    pub intensity: f32,
    pub ambient: f32,
}

impl LightSource {
    pub(super) fn of(scene: &Scene) -> Self {
        let towards = Vector3::from(scene.light.towards).cast::<f32>();
        LightSource {
            towards: towards.try_normalize(1e-9).unwrap_or(Vector3::z()),
            intensity: scene.light.intensity as f32,
            ambient: scene.light.ambient as f32,
        }
    }

    /// Brightness of a surface, given its normal's cosines to the light and to straight up.
    pub(super) fn on(&self, towards_lamp: f32, up: f32) -> f32 {
        self.ambient * (0.75 + 0.25 * up) + self.intensity * towards_lamp.max(0.0)
    }

    /// Brightness of the table in full light.
    pub(super) fn on_table(&self) -> f32 {
        self.on(self.towards.z, 1.0)
    }

    /// What a shadowed table's brightness is multiplied by.
    pub(super) fn shadow_factor(&self) -> f32 {
        let light = self.intensity * self.towards.z.max(0.0);
        1.0 - SHADOW_DEPTH * light / (light + self.ambient).max(1e-6)
    }
}

/// A disc on the table, lit.
struct Disc {
    centre: [f32; 2],
    radius: f32,
    colour: [f32; 3],
}

impl Disc {
    fn of(target: &TargetDisc, light: &LightSource) -> Self {
        Disc {
            centre: target.position_m.map(|c| c as f32),
            radius: target.radius_m as f32,
            colour: target.colour.map(|c| c as f32 * light.on_table()),
        }
    }
}

/// Fills the canvas with what would be seen of an empty table.
pub(crate) fn paint(
    canvas: &mut Canvas,
    camera: &PinholeCamera,
    scene: &Scene,
    light: &LightSource,
) {
    let table = scene.table.colour.map(|c| c as f32 * light.on_table());
    let background = scene.table.background.map(|c| c as f32);
    let discs: Vec<Disc> = scene.targets().map(|t| Disc::of(t, light)).collect();
    let [[x0, x1], [y0, y1]] = TABLE_EXTENT_M.map(|range| range.map(|v| v as f32));
    for row in 0..canvas.height {
        for column in 0..canvas.width {
            let index = row * canvas.width + column;
            let ray = camera.ray(column, row);
            canvas.colour[index] = background;
            if ray.z >= -1e-4 {
                continue;
            }
            // The ray's camera z is 1, so this is also the depth.
            let depth = -camera.eye.z / ray.z;
            let (x, y) = (camera.eye.x + depth * ray.x, camera.eye.y + depth * ray.y);
            if x < x0 || x > x1 || y < y0 || y > y1 || depth <= 0.0 {
                continue;
            }
            canvas.table[index] = true;
            canvas.inverse_depth[index] = 1.0 / depth;
            // The disc's edge fades over a pixel's width on the table.
            let pixel = depth / camera.focal;
            let mut colour = table;
            for disc in &discs {
                let outside = (x - disc.centre[0]).hypot(y - disc.centre[1]) - disc.radius;
                let share = (0.5 - outside / pixel).clamp(0.0, 1.0);
                colour = std::array::from_fn(|i| colour[i] + share * (disc.colour[i] - colour[i]));
            }
            canvas.colour[index] = colour;
        }
    }
}

/// Darkens the table where the shadow's mask says so, its edge softened by a pixel.
pub(crate) fn cast_shadows(canvas: &mut Canvas, light: &LightSource) {
    let factor = light.shadow_factor();
    let (width, height) = (canvas.width, canvas.height);
    for row in 0..height {
        let rows = row.saturating_sub(1)..(row + 2).min(height);
        for column in 0..width {
            let index = row * width + column;
            if !canvas.table[index] {
                continue;
            }
            let columns = column.saturating_sub(1)..(column + 2).min(width);
            let mut dark = 0_u32;
            for y in rows.clone() {
                for x in columns.clone() {
                    dark += u32::from(canvas.shadow[y * width + x]);
                }
            }
            if dark > 0 {
                let share = dark as f32 / (rows.len() * columns.len()) as f32;
                let keep = 1.0 - share * (1.0 - factor);
                for channel in &mut canvas.colour[index] {
                    *channel *= keep;
                }
            }
        }
    }
}
