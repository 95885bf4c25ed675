import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from gapkit.ensemble import fit_weights
from gapkit.ensemble._fitting.stack import Stacker, fit_stacker
from gapkit.metrics import gap
from gapkit.predictions import Labels, Predictions


def sample(seed=0, num=3_000, num_classes=5):
    """Labels whose log odds are each scaled and moved by numbers of their own."""
    rng = np.random.default_rng(seed)
    label_N = rng.integers(num_classes, size=num)
    z_N = rng.normal(-1, 1.5, num)
    shift_C = np.linspace(-2, 2, num_classes)
    hit_N = rng.random(num) < 1 / (1 + np.exp(-(z_N + shift_C[label_N])))
    return label_N, 1 / (1 + np.exp(-z_N)), hit_N, shift_C


def loss(label_N, z_N, hit_N, scale_C, bias_C, common, shrinkage):
    z_N = scale_C[label_N] * z_N + bias_C[label_N]
    penalty = ((scale_C - common[0]) ** 2 + (bias_C - common[1]) ** 2).sum() * shrinkage / 2
    return np.logaddexp(0, z_N).sum() - z_N[hit_N].sum() + penalty


@pytest.mark.parametrize("shrinkage", [0.5, 10.0, 200.0])
def test_no_step_lowers_the_penalised_loss(shrinkage):
    label_N, confidence_N, hit_N, _ = sample()
    z_N = np.log(confidence_N / (1 - confidence_N))
    stacker = fit_stacker(label_N, confidence_N, hit_N, 5, shrinkage=shrinkage)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(z_N[:, None], hit_N)
    common = oracle.coef_[0, 0], oracle.intercept_[0]
    best = loss(label_N, z_N, hit_N, stacker.scales, stacker.biases, common, shrinkage)
    rng = np.random.default_rng(1)
    for _ in range(50):
        step = rng.normal(size=(2, 5)) * 0.02
        moved = stacker.scales + step[0], stacker.biases + step[1]
        assert loss(label_N, z_N, hit_N, *moved, common, shrinkage) > best - 1e-6


def test_shrinkage_leads_from_each_label_to_all():
    label_N, confidence_N, hit_N, shift_C = sample(num=40_000)
    free = fit_stacker(label_N, confidence_N, hit_N, 7, shrinkage=1e-3)
    assert free.biases[:5] == pytest.approx(shift_C, abs=0.2)
    assert free.scales[:5] == pytest.approx(1, abs=0.15)
    held = fit_stacker(label_N, confidence_N, hit_N, 7, shrinkage=1e9)
    assert np.ptp(held.biases) < 1e-3
    assert free.biases[5] == free.biases[6] == pytest.approx(held.biases[0], abs=1e-3)


def test_a_stacker_lifts_a_label_into_the_cut_and_keeps_0():
    averaged = Predictions(["v", "w"], [[0, 1, 2], [2, 0, 1]], [[0.6, 0.5, 0.4], [0.5, 0.0, 0.0]])
    stacker = Stacker(scales=np.ones(3), biases=np.array([0.0, 0.0, 1.0]))
    result = stacker.apply(averaged, 2)
    lifted = 1 / (1 + np.exp(-(np.log(0.4 / 0.6) + 1)))
    assert result.labels.tolist() == [[2, 0], [2, 0]]
    assert result.confidences[0] == pytest.approx([lifted, 0.6], abs=1e-6)
    assert result.confidences[1, 1] == 0


def test_labels_beyond_the_fitted_ones_are_mapped_too():
    averaged = Predictions(["v"], [[9, 0]], [[0.5, 0.25]])
    stacker = Stacker(scales=np.ones(2), biases=np.zeros(2))
    assert stacker.apply(averaged, 2).confidences[0] == pytest.approx([0.5, 0.25])


def test_the_stacker_gains_where_labels_are_off_by_a_shift_of_their_own():
    rng = np.random.default_rng(0)
    z = rng.normal(-2, 1.5, (2_000, 12))
    truth = rng.random(z.shape) < 1 / (1 + np.exp(-(z + np.linspace(-2, 2, 12))))
    ids = [f"v{n}" for n in range(len(z))]
    members = [
        Predictions.from_dense(1 / (1 + np.exp(-(z + rng.normal(0, 0.3, z.shape)))), ids, top_k=6)
        for _ in range(2)
    ]
    labels = Labels.from_dense(truth, ids)
    fitted = fit_weights(members, labels, method="stack", top_k=5, num_resamples=200)
    assert fitted.better_than_uniform
    assert fitted.versus_uniform.difference > 0.05
    assert gap(fitted.apply(members), labels, top_k=5) == fitted.gap
    assert fitted.apply(members).top_k == 5
