//! Unit tests of `src/ceiling.rs`.

use super::*;

#[test]
fn every_unit_here_has_a_ceiling() {
    for instruction_set in [
        InstructionSet::Amx,
        InstructionSet::Avx512Bf16,
        InstructionSet::Avx512,
        InstructionSet::Avx2,
        InstructionSet::Portable,
    ] {
        if !instruction_set.is_available() {
            println!("skipped: this machine has no {instruction_set}");
            continue;
        }
        let rate = measure(instruction_set, 1, Duration::from_millis(30));
        assert!(rate > 1e8, "{instruction_set}: {rate}");
    }
}
