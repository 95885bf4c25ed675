"""The setting `features`, which every bundled predictor has."""

from collections.abc import Mapping

from gapkit.errors import UsageError


def choose_features(setting: str, feature_sizes: Mapping[str, int]) -> list[str]:
    """The features that a setting names: 'all', or names separated by '+'."""
    names = list(feature_sizes) if setting == "all" else setting.split("+")
    unknown = [name for name in names if name not in feature_sizes]
    if unknown:
        raise UsageError(
            f"features={setting}: the data has no {unknown[0]!r}, but {', '.join(feature_sizes)}."
        )
    return names
