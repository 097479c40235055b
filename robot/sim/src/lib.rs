//! A simulated FR3 tabletop: rigid-body physics, grasping by contact, and a software renderer.
