//! Episodes on disk: recorder, DROID-raw layout, index, clip sampling.
