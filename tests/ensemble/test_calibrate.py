import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from gapkit.ensemble._fitting.calibrate import fit_calibration, fit_logistic, log_odds
from gapkit.ensemble._weights import check_transforms
from gapkit.errors import DataError


def sample(scale, bias, num=20_000, seed=0):
    """Confidences, and hits whose log odds are those scaled and moved."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 2, num)
    hits = rng.random(num) < 1 / (1 + np.exp(-(scale * z + bias)))
    return (1 / (1 + np.exp(-z))).astype(np.float32), hits


def test_the_logistic_fit_equals_sklearn():
    confidences, hits = sample(0.6, 0.5)
    z = log_odds(confidences.astype(np.float64))
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(z[:, None], hits)
    scale, bias = fit_logistic(z, hits)
    assert scale == pytest.approx(oracle.coef_[0, 0], abs=1e-4)
    assert bias == pytest.approx(oracle.intercept_[0], abs=1e-4)


@pytest.mark.parametrize("kind", ["temperature", "isotonic"])
@pytest.mark.parametrize(("scale", "bias"), [(1.0, 0.0), (0.5, 0.0), (2.0, 1.0), (1.5, -2.0)])
def test_a_map_finds_the_true_probabilities(kind, scale, bias):
    confidences, hits = sample(scale, bias, num=200_000)
    knots = np.array(fit_calibration(confidences, hits, kind, "a"))
    x = np.array([0.02, 0.1, 0.3, 0.5, 0.7, 0.9])
    expected = 1 / (1 + np.exp(-(scale * np.log(x / (1 - x)) + bias)))
    assert np.interp(x, *knots.T) == pytest.approx(expected, abs=0.02)


def test_isotonic_steps_equal_sklearn_at_their_centres():
    confidences, hits = sample(0.5, 0.0, num=4_000)
    order = np.argsort(confidences, kind="stable")
    x = confidences[order].astype(np.float64).reshape(-1, 20).mean(axis=1)
    y = hits[order].reshape(-1, 20).mean(axis=1)
    oracle = IsotonicRegression().fit(x, y)
    knots = np.array(fit_calibration(confidences, hits, "isotonic", "a"))[1:-1]
    steps, inverse = np.unique(oracle.predict(x).round(9), return_inverse=True)
    assert knots[:, 1] == pytest.approx(steps)
    centres = np.bincount(inverse, x) / np.bincount(inverse)
    assert knots[:, 0] == pytest.approx(centres)


@pytest.mark.parametrize("kind", ["temperature", "isotonic"])
@pytest.mark.parametrize(
    ("confidences", "hits"),
    [
        ([], []),
        ([0.5], [True]),
        ([0.5], [False]),
        ([0.0, 1.0, 1.0], [False, True, True]),
        ([1.0] * 50, [True, False] * 25),
        ([0.0] * 50, [True, False] * 25),
        ([0.9, 0.1] * 40, [False, True] * 40),
        ([0.25, 0.75] * 40, [False, True] * 40),
    ],
)
def test_maps_of_odd_data_rise_from_0_within_0_and_1(kind, confidences, hits):
    knots = fit_calibration(np.array(confidences, np.float32), np.array(hits, bool), kind, "a")
    (checked,) = check_transforms([knots], 1)
    assert checked[0].tolist() == [0, 0]
    assert checked[-1, 0] == 1
    assert (checked >= 0).all()
    assert (checked <= 1).all()


def test_a_confidence_above_1_is_refused():
    with pytest.raises(
        DataError, match=r"a.csv: a confidence is 1.5. Only confidences from 0 to 1"
    ):
        fit_calibration(
            np.array([0.5, 1.5], np.float32), np.array([True, False]), "isotonic", "a.csv"
        )
