//! f32 on AVX2: four rows by two vectors, eight sums in registers, twice per panel.

use std::arch::x86_64::{
    __m256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

super::f32_on::f32_on!(
    "avx2,fma", lanes 8, rows 4, unrolled 1, burning 12, __m256, _mm256_setzero_ps,
    _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps
);
