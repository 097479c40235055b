//! Unit tests of `src/colour.rs`.

use super::*;

#[test]
fn a_named_colour_is_called_by_its_name() {
    for name in ColourName::ALL {
        for (saturation, value) in [(0.75, 0.55), (1.0, 0.95), (0.6, 0.3)] {
            assert_eq!(ColourName::nearest(name.rgb(saturation, value)), name);
        }
    }
}
