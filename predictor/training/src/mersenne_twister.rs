//! PyTorch's generator on the CPU (MT19937): the official masks depend on its numbers.

const N: usize = 624;
const M: usize = 397;

/// The generator.
#[derive(Debug, Clone)]
pub struct MersenneTwister {
    state: [u32; N],
    at: usize,
}

impl MersenneTwister {
    /// As `torch.Generator().manual_seed(seed)`.
    pub fn new(seed: u32) -> Self {
        let mut state = [0u32; N];
        state[0] = seed;
        for i in 1..N {
            let before = state[i - 1];
            state[i] = (before ^ (before >> 30))
                .wrapping_mul(1_812_433_253)
                .wrapping_add(i as u32);
        }
        MersenneTwister { state, at: N }
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.at == N {
            self.twist();
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// From [0, 1) with 24 bits, as `torch.rand(1)` gives it.
    pub fn uniform(&mut self) -> f64 {
        f64::from(self.next_u32() & 0xff_ffff) / f64::from(1u32 << 24)
    }

    /// From 0 to `n` − 1, as `torch.randint(0, n, (1,))` gives it; 0 where there is no choice.
    pub fn below(&mut self, n: usize) -> usize {
        self.next_u32() as usize % n.max(1)
    }

    fn twist(&mut self) {
        for i in 0..N {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ odd;
        }
        self.at = 0;
    }
}

#[cfg(test)]
#[path = "../tests/unit/mersenne_twister.rs"]
mod tests;
