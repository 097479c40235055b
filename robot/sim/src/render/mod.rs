//! The renderer: a software rasteriser for one fixed kind of scene.
//!
//! A frame is the empty table by ray casting, then every mesh by depth-buffered triangles with
//! smooth shading, then the shadow of every mesh projected along the light onto the table. One
//! frame is drawn by one thread; whoever needs many frames draws several at once.

mod background;
mod camera;
mod mesh;
mod raster;
mod robot;
mod shapes;

use std::sync::Arc;

use foresight_kinematics::LinkPoses;
use image::{Rgb, RgbImage};
use nalgebra::{Isometry3, UnitQuaternion, Vector3};

use crate::scene::{Camera, Object, Scene};
use background::LightSource;
use camera::{PinholeCamera, NEAR_M};
pub(crate) use mesh::Mesh;
use raster::{facing, Canvas};
use robot::RobotMeshes;
pub(crate) use shapes::object_mesh;

/// The robot's meshes, thinned for small pictures.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn robot_meshes() -> Result<&'static RobotMeshes, &'static str> {
    Ok(&robot::levels()?.coarse)
}

/// What stays the same from frame to frame of one scene.
#[derive(Clone)]
pub(crate) struct Props {
    levels: &'static robot::Levels,
    object: Arc<Mesh>,
    others: Vec<Arc<Mesh>>,
}

impl Props {
    /// # Errors
    /// What is wrong with the robot's meshes.
    pub(crate) fn new(scene: &Scene) -> Result<Self, &'static str> {
        Ok(Props {
            levels: robot::levels()?,
            object: Arc::new(object_mesh(&scene.object)),
            others: scene
                .others
                .iter()
                .map(|o| Arc::new(object_mesh(o)))
                .collect(),
        })
    }

    /// Shows another object in place of the first.
    pub(crate) fn swap(&mut self, object: &Object) {
        self.object = Arc::new(object_mesh(object));
    }

    /// Shows another object too.
    pub(crate) fn add(&mut self, object: &Object) {
        self.others.push(Arc::new(object_mesh(object)));
    }
}

/// Everything a picture shows, posed.
pub(crate) struct Picture<'a> {
    pub scene: &'a Scene,
    pub props: &'a Props,
    pub arm: LinkPoses,
    pub fingers: [Isometry3<f64>; 2],
    pub object: Option<Isometry3<f64>>,
    pub others: &'a [Isometry3<f64>],
}

/// Pictures up to this many rows show the coarse meshes.
const COARSE_ROWS: usize = 200;

/// Draws a frame from `factor`² samples a pixel: what every camera sees, side by side, each as wide
/// as the frame has room for.
pub(crate) fn render(picture: &Picture<'_>, width: u32, height: u32, factor: u32) -> RgbImage {
    let scene = picture.scene;
    if scene.other_cameras.is_empty() {
        return view(picture, &scene.camera, width, height, factor);
    }
    let part = (width / (1 + scene.other_cameras.len() as u32)).max(1);
    let mut frame = RgbImage::new(width, height);
    for (number, camera) in scene.cameras().enumerate() {
        let seen = view(picture, camera, part, height, factor);
        let left = number as i64 * i64::from(part);
        image::imageops::replace(&mut frame, &seen, left, 0);
    }
    frame
}

/// Draws what one camera sees.
pub(crate) fn view(
    picture: &Picture<'_>,
    camera: &Camera,
    width: u32,
    height: u32,
    factor: u32,
) -> RgbImage {
    let samples = [width, height].map(|n| (n * factor) as usize);
    let mut canvas = Canvas::new(samples[0], samples[1]);
    let camera = PinholeCamera::new(camera, samples[0], samples[1]);
    let light = LightSource::of(picture.scene);
    background::paint(&mut canvas, &camera, picture.scene, &light);

    let levels = picture.props.levels;
    let fine = samples[1] > COARSE_ROWS;
    let mut scratch = Vec::new();
    for (mesh, pose) in parts(picture, if fine { &levels.fine } else { &levels.coarse }) {
        draw_mesh(&mut canvas, &camera, &light, mesh, &pose, &mut scratch);
    }
    for (mesh, pose) in parts(picture, &levels.coarse) {
        draw_shadow(&mut canvas, &camera, &light, mesh, &pose, &mut scratch);
    }
    background::cast_shadows(&mut canvas, &light);
    finish(&canvas, width, height, factor as usize)
}

fn parts<'a>(
    picture: &'a Picture<'a>,
    robot: &'a RobotMeshes,
) -> impl Iterator<Item = (&'a Mesh, Isometry3<f64>)> {
    let turned = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), std::f64::consts::PI);
    let fingers = [picture.fingers[0], picture.fingers[1] * turned];
    let links = robot.links.iter().zip(picture.arm.links);
    links
        .chain([(&robot.hand, picture.arm.hand)])
        .chain(fingers.map(|pose| (&robot.finger, pose)))
        .chain(
            picture
                .object
                .map(|pose| (picture.props.object.as_ref(), pose)),
        )
        .chain(
            picture
                .props
                .others
                .iter()
                .map(Arc::as_ref)
                .zip(picture.others.iter().copied()),
        )
}

fn draw_mesh(
    canvas: &mut Canvas,
    camera: &PinholeCamera,
    light: &LightSource,
    mesh: &Mesh,
    pose: &Isometry3<f64>,
    scratch: &mut Vec<[f32; 3]>,
) {
    let to_camera = camera.to_camera(pose);
    if !camera.sees(&to_camera.point(&mesh.centre), mesh.radius) {
        return;
    }
    project_all(camera, mesh, scratch, |vertex| to_camera.point(vertex));
    let local = pose.rotation.inverse().cast::<f32>();
    let (towards, up) = (local * light.towards, local * Vector3::z());
    for triangle in &mesh.triangles {
        let corners = triangle.corners.map(|i| scratch[i as usize]);
        if corners.iter().any(|c| c[2] <= 0.0) || facing(&corners) <= 0.0 {
            continue;
        }
        let light = triangle
            .normals
            .map(|n| light.on(n.dot(&towards), n.dot(&up)));
        canvas.triangle(&corners, light, &mesh.colours[triangle.colour as usize]);
    }
}

fn draw_shadow(
    canvas: &mut Canvas,
    camera: &PinholeCamera,
    light: &LightSource,
    mesh: &Mesh,
    pose: &Isometry3<f64>,
    scratch: &mut Vec<[f32; 3]>,
) {
    let light = light.towards;
    let rotation = pose
        .rotation
        .to_rotation_matrix()
        .into_inner()
        .cast::<f32>();
    let translation: Vector3<f32> = pose.translation.vector.cast();
    let on_table = |p: &Vector3<f32>| {
        let world = rotation * p + translation;
        let flat = world - light * (world.z.max(0.0) / light.z.max(1e-3));
        camera.rotation * (flat - camera.eye)
    };
    let spread = mesh.radius / light.z.max(0.1);
    if !camera.sees(&on_table(&mesh.centre), spread) {
        return;
    }
    project_all(camera, mesh, scratch, on_table);
    for triangle in &mesh.triangles {
        let corners = triangle.corners.map(|i| scratch[i as usize]);
        // Of a closed body one side casts the whole shadow: the one that keeps its winding.
        if corners.iter().all(|c| c[2] > 0.0) && facing(&corners) > 0.0 {
            canvas.shadow_triangle(&corners);
        }
    }
}

/// The mesh's vertices in the picture; those behind the camera get a 1/z of 0.
fn project_all(
    camera: &PinholeCamera,
    mesh: &Mesh,
    scratch: &mut Vec<[f32; 3]>,
    to_camera: impl Fn(&Vector3<f32>) -> Vector3<f32>,
) {
    scratch.clear();
    scratch.extend(mesh.vertices.iter().map(|vertex| {
        let p = to_camera(vertex);
        if p.z < NEAR_M {
            [0.0; 3]
        } else {
            camera.project(&p)
        }
    }));
}

/// Averages the samples and encodes them as sRGB.
fn finish(canvas: &Canvas, width: u32, height: u32, factor: usize) -> RgbImage {
    let table = srgb_table();
    let last = table.len() as f32 - 1.0;
    let share = 1.0 / (factor * factor) as f32;
    RgbImage::from_fn(width, height, |column, row| {
        let (column, row) = (column as usize, row as usize);
        let mut sum = [0.0_f32; 3];
        for y in row * factor..(row + 1) * factor {
            let start = y * canvas.width + column * factor;
            for sample in &canvas.colour[start..start + factor] {
                // Clipped before averaging, or bright samples would leave jagged edges.
                (0..3).for_each(|i| sum[i] += sample[i].min(1.0));
            }
        }
        Rgb(sum.map(|c| table[(c * share * last + 0.5) as usize]))
    })
}

/// Linear light in 4096 steps to 8-bit sRGB.
fn srgb_table() -> &'static [u8; 4096] {
    static TABLE: std::sync::OnceLock<[u8; 4096]> = std::sync::OnceLock::new();
    TABLE.get_or_init(|| {
        std::array::from_fn(|i| {
            let linear = i as f64 / 4095.0;
            let encoded = if linear <= 0.003_130_8 {
                12.92 * linear
            } else {
                1.055 * linear.powf(1.0 / 2.4) - 0.055
            };
            (encoded * 255.0).round() as u8
        })
    })
}
