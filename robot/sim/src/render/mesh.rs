//! Triangle meshes: read from glTF binaries, thinned out, with normals.

use nalgebra::Vector3;
use serde_json::Value;

/// A triangle with what shading needs, all in the mesh's own frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Triangle {
    /// Indices into [`Mesh::vertices`].
    pub corners: [u32; 3],
    /// The normal at each corner.
    pub normals: [Vector3<f32>; 3],
    /// Index into [`Mesh::colours`].
    pub colour: u16,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Mesh {
    pub vertices: Vec<Vector3<f32>>,
    pub triangles: Vec<Triangle>,
    /// Linear RGB.
    pub colours: Vec<[f32; 3]>,
    /// A sphere around everything.
    pub centre: Vector3<f32>,
    pub radius: f32,
}

/// Faces that meet at less than this angle are shaded as one smooth surface (cosine of 40°).
const SMOOTH_COSINE: f32 = 0.77;

/// Triangles before they have normals: corners by position.
#[derive(Debug, Clone, Default)]
pub(crate) struct TriangleSoup {
    pub vertices: Vec<Vector3<f32>>,
    pub faces: Vec<([u32; 3], u16)>,
    pub colours: Vec<[f32; 3]>,
}

impl TriangleSoup {
    /// Adds a flat polygon, its corners counter-clockwise seen from outside.
    pub(super) fn polygon(&mut self, corners: &[Vector3<f32>], colour: u16) {
        let first = self.vertices.len() as u32;
        self.vertices.extend_from_slice(corners);
        for i in 1..corners.len().saturating_sub(1) as u32 {
            self.faces.push(([first, first + i, first + i + 1], colour));
        }
    }

    /// Reads a glTF binary whose nodes are the identity, as franka-description's are.
    pub(super) fn from_glb(bytes: &[u8]) -> Result<Self, String> {
        let (json, binary) = chunks(bytes).ok_or("not a glTF 2 binary with one buffer")?;
        let json: Value = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let mut soup = TriangleSoup::default();
        for material in json["materials"].as_array().into_iter().flatten() {
            let base = &material["pbrMetallicRoughness"]["baseColorFactor"];
            let channel = |i: usize| base[i].as_f64().unwrap_or(1.0) as f32;
            soup.colours.push([channel(0), channel(1), channel(2)]);
        }
        soup.colours.push([0.8; 3]);
        let plain = soup.colours.len() - 1;
        let primitives = json["meshes"].as_array().into_iter().flatten();
        for primitive in primitives.flat_map(|m| m["primitives"].as_array().into_iter().flatten()) {
            let positions = accessor(&json, binary, &primitive["attributes"]["POSITION"])
                .ok_or("a mesh's positions can't be read")?;
            let indices = accessor(&json, binary, &primitive["indices"])
                .ok_or("a mesh's indices can't be read")?;
            let first = soup.vertices.len() as u32;
            let words = |chunk: &[u8]| [chunk[0], chunk[1], chunk[2], chunk[3]];
            for point in positions.chunks_exact(12) {
                let at = |i: usize| f32::from_le_bytes(words(&point[4 * i..]));
                soup.vertices.push(Vector3::new(at(0), at(1), at(2)));
            }
            let count = soup.vertices.len() as u32;
            let colour = primitive["material"].as_u64().map_or(plain, |m| m as usize);
            for face in indices.chunks_exact(12) {
                let at = |i: usize| first.saturating_add(u32::from_le_bytes(words(&face[4 * i..])));
                let corners = [at(0), at(1), at(2)];
                if corners.iter().any(|&c| c >= count) {
                    return Err("a mesh's index points past its positions".into());
                }
                soup.faces.push((corners, colour.min(plain) as u16));
            }
        }
        Ok(soup)
    }

    /// Merges all vertices in the same cell of a grid, and drops what became flat.
    pub(super) fn thinned(&self, cell_m: f32) -> TriangleSoup {
        let mut cells = std::collections::BTreeMap::<[i32; 3], (u32, Vector3<f32>, f32)>::new();
        let mut moved = Vec::with_capacity(self.vertices.len());
        for vertex in &self.vertices {
            let key = [0, 1, 2].map(|i| (vertex[i] / cell_m).round() as i32);
            let next = cells.len() as u32;
            let entry = cells.entry(key).or_insert((next, Vector3::zeros(), 0.0));
            entry.1 += vertex;
            entry.2 += 1.0;
            moved.push(entry.0);
        }
        let mut vertices = vec![Vector3::zeros(); cells.len()];
        for (index, sum, count) in cells.values() {
            vertices[*index as usize] = sum / *count;
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut faces = Vec::new();
        for (corners, colour) in &self.faces {
            let [a, b, c] = corners.map(|i| moved[i as usize]);
            let mut key = [a, b, c];
            key.sort_unstable();
            if a != b && b != c && c != a && seen.insert((key, *colour)) {
                faces.push(([a, b, c], *colour));
            }
        }
        TriangleSoup {
            vertices,
            faces,
            colours: self.colours.clone(),
        }
    }

    /// The mesh with a normal at every corner: the mean over the faces around the same point
    /// that belong to the same smooth surface.
    pub(super) fn mesh(&self) -> Mesh {
        let bits = |v: &Vector3<f32>| [v.x.to_bits(), v.y.to_bits(), v.z.to_bits()];
        let mut around = std::collections::BTreeMap::<[u32; 3], Vec<usize>>::new();
        // Twice the area times the normal.
        let mut normals = Vec::with_capacity(self.faces.len());
        for (index, (corners, _)) in self.faces.iter().enumerate() {
            let [a, b, c] = corners.map(|i| self.vertices[i as usize]);
            normals.push((b - a).cross(&(c - a)));
            for corner in [a, b, c] {
                around.entry(bits(&corner)).or_default().push(index);
            }
        }
        let unit = |v: Vector3<f32>| v.try_normalize(1e-20).unwrap_or(Vector3::z());
        let mut triangles = Vec::with_capacity(self.faces.len());
        for (index, (corners, colour)) in self.faces.iter().enumerate() {
            if normals[index].norm() < 1e-12 {
                continue;
            }
            let own = unit(normals[index]);
            let smooth = corners.map(|i| {
                let faces = around.get(&bits(&self.vertices[i as usize]));
                let sum = faces
                    .into_iter()
                    .flatten()
                    .map(|&f| normals[f])
                    .filter(|n| unit(*n).dot(&own) > SMOOTH_COSINE)
                    .sum();
                unit(sum)
            });
            triangles.push(Triangle {
                corners: *corners,
                normals: smooth,
                colour: *colour,
            });
        }
        let mut mesh = Mesh {
            vertices: self.vertices.clone(),
            triangles,
            colours: self.colours.clone(),
            centre: Vector3::zeros(),
            radius: 0.0,
        };
        let (mut low, mut high) = (Vector3::repeat(f32::MAX), Vector3::repeat(f32::MIN));
        for vertex in &mesh.vertices {
            low = low.inf(vertex);
            high = high.sup(vertex);
        }
        if !mesh.vertices.is_empty() {
            mesh.centre = (low + high) / 2.0;
        }
        for vertex in &mesh.vertices {
            mesh.radius = mesh.radius.max((vertex - mesh.centre).norm());
        }
        mesh
    }
}

/// The JSON and the binary chunk.
fn chunks(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let word = |at: usize| {
        let b = bytes.get(at..at + 4)?;
        Some(u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)
    };
    if bytes.get(..4)? != b"glTF" || word(4)? != 2 {
        return None;
    }
    let json_len = word(12)?;
    let json = bytes.get(20..20 + json_len)?;
    let binary_len = word(20 + json_len)?;
    let start = 28 + json_len;
    Some((json, bytes.get(start..start + binary_len)?))
}

/// The bytes of an accessor of 4-byte components, tightly packed.
fn accessor<'a>(json: &Value, binary: &'a [u8], index: &Value) -> Option<&'a [u8]> {
    let accessor = &json["accessors"][usize::try_from(index.as_u64()?).ok()?];
    if !matches!(accessor["componentType"].as_u64()?, 5125 | 5126) {
        return None;
    }
    let per_item = match accessor["type"].as_str()? {
        "SCALAR" => 4,
        "VEC3" => 12,
        _ => return None,
    };
    let view = &json["bufferViews"][usize::try_from(accessor["bufferView"].as_u64()?).ok()?];
    let offset =
        view["byteOffset"].as_u64().unwrap_or(0) + accessor["byteOffset"].as_u64().unwrap_or(0);
    let length = accessor["count"].as_u64()? * per_item;
    binary.get(usize::try_from(offset).ok()?..usize::try_from(offset + length).ok()?)
}
