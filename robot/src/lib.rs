//! The arm and the camera over zenoh: client, target streamer, safety envelope, and the simulator behind the same keys.
