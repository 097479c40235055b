//! V-JEPA 2 encoder and action-conditioned predictor on candle: inference, checkpoints, training.
