"""A predictor that the bundled trainer trains, written against gapkit's public names."""

from gapkit.training import (
    LogisticHead,
    TorchPredictor,
    concatenate_features,
    mean_over_frames,
)


class Linear(TorchPredictor):
    """Logistic regression on the mean of one feature."""

    def __init__(self, num_classes, feature_sizes, config):
        super().__init__(num_classes, feature_sizes, config)
        self.name, size = next(iter(feature_sizes.items()))
        self.head = LogisticHead(size, num_classes)

    def forward(self, features, num_frames):
        frames_BTD = concatenate_features(features, [self.name])
        return self.head(mean_over_frames(frames_BTD, num_frames))
