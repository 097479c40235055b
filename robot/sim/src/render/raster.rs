//! Triangles to pixels, with a depth buffer.

/// A picture in the making: linear RGB and 1/depth a pixel, and which pixels of the table lie in
/// shadow.
pub(crate) struct Canvas {
    pub width: usize,
    pub height: usize,
    pub colour: Vec<[f32; 3]>,
    /// 1/z of what is drawn so far; 0 is infinitely far.
    pub inverse_depth: Vec<f32>,
    /// Whether the table is what is seen here.
    pub table: Vec<bool>,
    pub shadow: Vec<u8>,
}

/// A corner in the picture: x, y, 1/z.
pub(crate) type Corner = [f32; 3];

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        let pixels = width * height;
        Canvas {
            width,
            height,
            colour: vec![[0.0; 3]; pixels],
            inverse_depth: vec![0.0; pixels],
            table: vec![false; pixels],
            shadow: vec![0; pixels],
        }
    }

    /// Draws a triangle whose corners run clockwise in the picture (y down), lit by a brightness
    /// at each corner.
    pub(super) fn triangle(&mut self, corners: &[Corner; 3], light: [f32; 3], colour: &[f32; 3]) {
        let Some(span) = Span::of(corners, self.width, self.height) else {
            return;
        };
        let depth = span.plane(corners.map(|c| c[2]));
        let light = span.plane(light);
        span.each(self.width, |index, x, y| {
            let here = depth.at(x, y);
            if here > self.inverse_depth[index] {
                self.inverse_depth[index] = here;
                self.table[index] = false;
                let brightness = light.at(x, y);
                self.colour[index] = colour.map(|c| c * brightness);
            }
        });
    }

    /// Marks the pixels of a shadow's triangle.
    pub(super) fn shadow_triangle(&mut self, corners: &[Corner; 3]) {
        if let Some(span) = Span::of(corners, self.width, self.height) {
            span.each(self.width, |index, _, _| self.shadow[index] = 1);
        }
    }
}

/// Twice the signed area in the picture: positive for a face that looks at the camera.
pub(crate) fn facing([a, b, c]: &[Corner; 3]) -> f32 {
    (c[0] - a[0]) * (b[1] - a[1]) - (b[0] - a[0]) * (c[1] - a[1])
}

/// The pixels of one triangle.
struct Span {
    columns: [usize; 2],
    rows: [usize; 2],
    /// Edge `i` is opposite corner `i`; `a x + b y + c` is its barycentric coordinate.
    edges: [Plane; 3],
}

#[derive(Clone, Copy)]
struct Plane {
    a: f32,
    b: f32,
    c: f32,
}

impl Plane {
    fn at(&self, x: f32, y: f32) -> f32 {
        self.a * x + self.b * y + self.c
    }
}

impl Span {
    fn of(corners: &[Corner; 3], width: usize, height: usize) -> Option<Self> {
        let range = |axis: usize, size: usize| {
            let [a, b, c] = corners.map(|k| k[axis]);
            // The first and last pixel whose middle can lie inside.
            let low = (a.min(b).min(c) - 0.5).ceil().max(0.0);
            let high = (a.max(b).max(c) - 0.5).floor().min(size as f32 - 1.0);
            (low <= high).then_some([low as usize, high as usize])
        };
        let columns = range(0, width)?;
        let rows = range(1, height)?;
        let area = -facing(corners);
        if area.abs() < 1e-9 {
            return None;
        }
        let scale = 1.0 / area;
        let edges = [0, 1, 2].map(|i| {
            let (p, q) = (&corners[(i + 1) % 3], &corners[(i + 2) % 3]);
            let (a, b) = ((p[1] - q[1]) * scale, (q[0] - p[0]) * scale);
            Plane {
                a,
                b,
                c: -(a * p[0] + b * p[1]),
            }
        });
        Some(Span {
            columns,
            rows,
            edges,
        })
    }

    /// The plane through a value at each corner.
    fn plane(&self, values: [f32; 3]) -> Plane {
        let mix = |part: fn(&Plane) -> f32| {
            (0..3)
                .map(|i| values[i] * part(&self.edges[i]))
                .sum::<f32>()
        };
        Plane {
            a: mix(|e| e.a),
            b: mix(|e| e.b),
            c: mix(|e| e.c),
        }
    }

    fn each(&self, width: usize, mut pixel: impl FnMut(usize, f32, f32)) {
        for row in self.rows[0]..=self.rows[1] {
            let y = row as f32 + 0.5;
            let start = self.edges.map(|e| e.b * y + e.c);
            for column in self.columns[0]..=self.columns[1] {
                let x = column as f32 + 0.5;
                if (0..3).all(|i| self.edges[i].a * x + start[i] >= 0.0) {
                    pixel(row * width + column, x, y);
                }
            }
        }
    }
}
