//! One tile of a matrix product on whatever vector unit this machine has.
//!
//! A tile is up to [`ROWS`] × [`COLUMNS`] outputs: rows of activations times one *panel* of
//! packed weights. Everything above (packing, blocking, what happens to the result) is shared;
//! one file here per unit holds the inner loop and nothing else; that of f32 is the same for
//! vectors of any width (`f32_on.rs`).
//!
//! | unit | numbers | why it is or isn't chosen |
//! |---|---|---|
//! | [`Unit::Amx`] | bf16 | Intel's tile unit: 16 times the rate of f32 vectors |
//! | [`Unit::Avx512Bf16`] | bf16 | twice the rate of f32 on AMD; on Intel *half* of it, so not chosen there |
//! | [`Unit::Avx512`], [`Unit::Avx2`] | f32 | vectors with fused multiply-add |
//! | [`Unit::Avx2`] | bf16 | widened on the way, no faster than f32: only to see what rounding does |
//! | [`Unit::Portable`] | both | plain loops, for every other machine and as a test's reference |
//!
//! Products of bf16 are exact in f32 and are added up in f32 by all units, in an order that
//! depends on the unit alone: not on the number of rows, nor of threads.

use std::fmt;

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_bf16;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_bf16;
#[cfg(target_arch = "x86_64")]
mod f32_on;
mod portable;

#[cfg(target_arch = "x86_64")]
pub use amx::Tiles;
use half::bf16;

/// Most rows of a tile. Left operands are readable up to a multiple of this.
pub const ROWS: usize = 32;
/// Columns of a tile, hence of a panel.
pub const COLUMNS: usize = 32;

/// The outputs of one tile, row-major.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub struct Tile(pub [f32; ROWS * COLUMNS]);

impl Tile {
    /// All zeros.
    pub fn zeros() -> Self {
        Tile([0.0; ROWS * COLUMNS])
    }
}

/// What a tile's sums start from. Sums that go on where others ended are the same sums, bit for
/// bit: a long inner dimension can be cut into pieces that fit the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Nothing.
    Zero,
    /// The sums that the tile holds.
    Tile,
}

/// In which numbers the networks' matrix products are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Precision {
    /// 32 bits throughout, as the official code by default.
    #[default]
    F32,
    /// Operands of matrix products rounded to bf16, sums and everything between in f32: as the
    /// official code under autocast. f32 on machines that are no faster in bf16.
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        })
    }
}

/// What multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// AMX tiles.
    Amx,
    /// AVX-512 with `vdpbf16ps`.
    Avx512Bf16,
    /// AVX-512.
    Avx512,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// Plain loops.
    Portable,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unit::Amx => "AMX",
            Unit::Avx512Bf16 => "AVX-512 bf16",
            Unit::Avx512 => "AVX-512",
            Unit::Avx2 => "AVX2",
            Unit::Portable => "portable",
        })
    }
}

impl std::str::FromStr for Unit {
    type Err = String;

    /// Reads `amx`, `avx512-bf16`, `avx512`, `avx2` or `portable`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "amx" => Ok(Unit::Amx),
            "avx512-bf16" => Ok(Unit::Avx512Bf16),
            "avx512" => Ok(Unit::Avx512),
            "avx2" => Ok(Unit::Avx2),
            "portable" => Ok(Unit::Portable),
            _ => Err(format!(
                "{text:?} is no unit; give amx, avx512-bf16, avx512, avx2 or portable"
            )),
        }
    }
}

impl Unit {
    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            Unit::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Unit::Amx => amx::is_available(),
            #[cfg(target_arch = "x86_64")]
            Unit::Avx512Bf16 => {
                is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512f")
            }
            #[cfg(target_arch = "x86_64")]
            Unit::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Unit::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Whether this machine multiplies such numbers with it.
    pub fn multiplies(self, precision: Precision) -> bool {
        let units = match precision {
            Precision::F32 => f32::units(),
            Precision::Bf16 => bf16::units(),
        };
        units.contains(&self) && self.is_available()
    }

    /// The fastest for f32 on this machine.
    pub fn for_f32() -> Unit {
        let fastest_first = [Unit::Avx512, Unit::Avx2];
        let found = fastest_first.into_iter().find(|u| u.is_available());
        found.unwrap_or(Unit::Portable)
    }

    /// What multiplies such numbers here, however slowly: to find out what they change.
    pub fn for_any(precision: Precision) -> Unit {
        match precision {
            Precision::F32 => Unit::for_f32(),
            Precision::Bf16 => {
                let found = bf16::units().iter().find(|u| u.is_available());
                found.copied().unwrap_or(Unit::Portable)
            }
        }
    }

    /// The fastest for bf16, where this machine is faster in it than in f32.
    pub fn for_bf16() -> Option<Unit> {
        if Unit::Amx.is_available() {
            return Some(Unit::Amx);
        }
        // Intel's cores start one `vdpbf16ps` every other cycle and two f32 multiply-adds every
        // cycle: measured, 69 against 143 GFLOP/s. AMD's start two of each.
        (Unit::Avx512Bf16.is_available() && is_amd()).then_some(Unit::Avx512Bf16)
    }
}

#[cfg(target_arch = "x86_64")]
fn is_amd() -> bool {
    let id = std::arch::x86_64::__cpuid(0);
    let name = [id.ebx, id.edx, id.ecx].map(u32::to_le_bytes).concat();
    name == b"AuthenticAMD"
}

#[cfg(not(target_arch = "x86_64"))]
fn is_amd() -> bool {
    false
}

/// A number that operands of matrix products are made of: f32 or bf16.
pub trait Element: Copy + Send + Sync + fmt::Debug + 'static {
    /// Zero.
    const ZERO: Self;
    /// Consecutive elements along the inner dimension that lie together in a panel.
    const GROUP: usize;
    /// The inner dimension is padded with zeros to a multiple of this.
    const INNER: usize;

    /// Rounded to nearest even.
    fn round(value: f32) -> Self;

    /// Exact.
    fn widen(self) -> f32;

    /// GELU, with an error well below this number's own rounding.
    fn gelu(x: f32) -> f32;

    /// Units that multiply this number, for tests of each.
    fn units() -> &'static [Unit];

    /// `out = a · panel` for `rows` rows of `a`, `stride` apart, and `inner` columns; or that
    /// added to what `out` holds, as `start` says.
    ///
    /// # Safety
    /// `unit` is available and one of [`Element::units`]; `inner` is a multiple of
    /// [`Element::INNER`]; `a` is readable for [`ROWS`] rows of `inner` elements, `stride` apart,
    /// and `panel` for `inner` × [`COLUMNS`] elements; `rows` is in `1..=ROWS`; for
    /// [`Unit::Amx`] the thread is inside [`Scope`].
    #[allow(clippy::too_many_arguments)] // two operands, their extents, and where sums go
    unsafe fn tile(
        unit: Unit,
        a: *const Self,
        stride: usize,
        rows: usize,
        panel: *const Self,
        inner: usize,
        start: Start,
        out: &mut Tile,
    );
}

/// Asks for numbers to be brought nearer, into the second-level cache. Changes nothing else.
#[inline(always)]
pub fn prefetch<E: Element>(numbers: &[E]) {
    #[cfg(target_arch = "x86_64")]
    for line in numbers.chunks(super::aligned::LINE / size_of::<E>()) {
        use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T1};
        // SAFETY: the address is inside a slice; and a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}

/// Multiplies on registers alone `rounds` times; returns the floating-point operations done.
pub fn burn(unit: Unit, rounds: usize) -> f64 {
    assert!(unit.is_available(), "no {unit} here");
    let _scope = Scope::enter(unit);
    // SAFETY: the unit is available (asserted) and set up on this thread.
    unsafe {
        match unit {
            #[cfg(target_arch = "x86_64")]
            Unit::Amx => amx::burn(rounds),
            #[cfg(target_arch = "x86_64")]
            Unit::Avx512Bf16 => avx512_bf16::burn(rounds),
            #[cfg(target_arch = "x86_64")]
            Unit::Avx512 => avx512::burn(rounds),
            #[cfg(target_arch = "x86_64")]
            Unit::Avx2 => avx2::burn(rounds),
            _ => portable::burn(rounds),
        }
    }
}

/// While it lives, this thread may multiply on its unit.
#[derive(Debug)]
pub struct Scope {
    unit: Unit,
    #[cfg(target_arch = "x86_64")]
    _tiles: Option<Tiles>,
}

impl Scope {
    /// Sets the unit up on this thread.
    pub fn enter(unit: Unit) -> Self {
        Scope {
            unit,
            #[cfg(target_arch = "x86_64")]
            _tiles: (unit == Unit::Amx).then(Tiles::configure),
        }
    }

    /// The unit.
    pub fn unit(&self) -> Unit {
        self.unit
    }
}

impl Element for f32 {
    const ZERO: f32 = 0.0;
    const GROUP: usize = 1;
    const INNER: usize = 1;

    #[inline(always)]
    fn round(value: f32) -> f32 {
        value
    }

    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }

    #[inline(always)]
    fn gelu(x: f32) -> f32 {
        super::elementwise::gelu_exact(x)
    }

    fn units() -> &'static [Unit] {
        &[Unit::Avx512, Unit::Avx2, Unit::Portable]
    }

    #[inline]
    unsafe fn tile(
        unit: Unit,
        a: *const f32,
        stride: usize,
        rows: usize,
        panel: *const f32,
        inner: usize,
        start: Start,
        out: &mut Tile,
    ) {
        // SAFETY: the caller keeps this function's contract, which is each unit's too.
        unsafe {
            match unit {
                #[cfg(target_arch = "x86_64")]
                Unit::Avx512 => avx512::tile(a, stride, rows, panel, inner, start, out),
                #[cfg(target_arch = "x86_64")]
                Unit::Avx2 => avx2::tile(a, stride, rows, panel, inner, start, out),
                _ => portable::tile(a, stride, rows, panel, inner, start, out),
            }
        }
    }
}

impl Element for bf16 {
    const ZERO: bf16 = bf16::ZERO;
    const GROUP: usize = 2;
    const INNER: usize = 32;

    #[inline(always)]
    fn round(value: f32) -> bf16 {
        // As bf16::from_f32 for everything but NaN (which stays NaN here unless its payload
        // overflows), without its branch, so that loops vectorise.
        let bits = value.to_bits();
        bf16::from_bits(((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16)
    }

    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[inline(always)]
    fn gelu(x: f32) -> f32 {
        super::elementwise::gelu_for_bf16(x)
    }

    fn units() -> &'static [Unit] {
        &[Unit::Amx, Unit::Avx512Bf16, Unit::Avx2, Unit::Portable]
    }

    #[inline]
    unsafe fn tile(
        unit: Unit,
        a: *const bf16,
        stride: usize,
        rows: usize,
        panel: *const bf16,
        inner: usize,
        start: Start,
        out: &mut Tile,
    ) {
        // SAFETY: the caller keeps this function's contract, which is each unit's too.
        unsafe {
            match unit {
                #[cfg(target_arch = "x86_64")]
                Unit::Amx => amx::tile(a, stride, rows, panel, inner, start, out),
                #[cfg(target_arch = "x86_64")]
                Unit::Avx512Bf16 => avx512_bf16::tile(a, stride, rows, panel, inner, start, out),
                #[cfg(target_arch = "x86_64")]
                Unit::Avx2 => avx2_bf16::tile(a, stride, rows, panel, inner, start, out),
                _ => portable::tile(a, stride, rows, panel, inner, start, out),
            }
        }
    }
}
