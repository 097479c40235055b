//! FR3 forward kinematics, Jacobian, joint limits and damped-least-squares inverse kinematics.
