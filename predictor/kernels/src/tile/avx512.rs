//! f32 on AVX-512: eight rows by two vectors, sixteen sums in registers.

use std::arch::x86_64::{
    __m512, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

super::f32_on::f32_on!(
    "avx512f", lanes 16, rows 8, unrolled 4, burning 24, __m512, _mm512_setzero_ps,
    _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps
);
