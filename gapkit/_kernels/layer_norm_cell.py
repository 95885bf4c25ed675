"""One step of the layer-normalised cell between its products, and the step back.

The rows of a step are those videos that still have a frame there, the longest videos first, so
that a step's rows are the first ones of the step before. All steps follow each other in P.

Exponentials and tangents are polynomials, which the compiler makes vectors of: without Intel's
SVML, which few installations have, the library's functions are called for one number at a time.

Shape letters: P rows of all steps, B videos (rows of the step), H units, 4 gates i f g o, 5 those
and the state.
"""

import numba
import numpy as np

from gapkit._kernels._compile import (
    float32,
    int64,
    kernel,
    readable,
    writable,
)

EPSILON = 1e-5

_FASTMATH = {"contract", "nsz", "reassoc"}  # no flag that would let NaN be dropped
_EPSILON = np.float32(EPSILON)
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)

# exp(x) = 2**n * exp(r), n the nearest to x / log(2), exp(r) by Cephes' polynomial.
_EXP_LIMIT = np.float32(87.0)  # exp of it and of its negative are normal numbers
_LOG2_E = np.float32(1.44269504088896341)
_LOG_2_HIGH, _LOG_2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_BIAS, _BIAS_AND_HALF = np.int32(127), np.float32(127.5)
_E5, _E4 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3)
_E3, _E2 = np.float32(8.3334519073e-3), np.float32(4.1665795894e-2)
_E1, _E0 = np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)

# tanh(x) near 0 by Cephes' polynomial, and by the exponential elsewhere, where that is exact.
_TANH_SMALL = np.float32(0.625)
_T4, _T3 = np.float32(-5.70498872745e-3), np.float32(2.06390887954e-2)
_T2, _T1 = np.float32(-5.37397155531e-2), np.float32(1.33314422036e-1)
_T0 = np.float32(-3.33332819422e-1)


@numba.njit(nogil=True, fastmath={"contract"}, error_model="numpy")
def _exp(x):
    """exp(x), x cut to +-87."""
    x = _EXP_LIMIT if x > _EXP_LIMIT else x
    x = -_EXP_LIMIT if x < -_EXP_LIMIT else x
    biased = np.int32(x * _LOG2_E + _BIAS_AND_HALF)  # cutting a positive number is its floor
    n = np.float32(biased - _BIAS)
    r = x - n * _LOG_2_HIGH - n * _LOG_2_LOW
    p = ((((_E5 * r + _E4) * r + _E3) * r + _E2) * r + _E1) * r + _E0
    return (p * r * r + r + _ONE) * np.int32(biased << 23).view(np.float32)


@numba.njit(nogil=True, fastmath={"contract"}, error_model="numpy")
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return _ONE / (_ONE + _exp(-x))


@numba.njit(nogil=True, fastmath={"contract"}, error_model="numpy")
def tanh(x):
    """The hyperbolic tangent."""
    s = x * x
    near = ((((_T4 * s + _T3) * s + _T2) * s + _T1) * s + _T0) * s * x + x
    far = _ONE - _TWO / (_exp(_TWO * x) + _ONE)
    return near if abs(x) < _TANH_SMALL else far


@numba.njit(nogil=True, fastmath=_FASTMATH, error_model="numpy")
def _mean_and_scale(x_H):
    """The mean of x_H, and one over its standard deviation."""
    size = np.float32(len(x_H))
    total = _ZERO
    for j in range(len(x_H)):
        total += x_H[j]
    mean = total / size
    squares = _ZERO
    for j in range(len(x_H)):
        distance = x_H[j] - mean
        squares += distance * distance
    return mean, _ONE / np.sqrt(squares / size + _EPSILON)


@kernel(
    (
        writable(float32, 3),
        readable(float32, 3),
        readable(float32, 2),
        readable(float32, 2),
        int64,
        writable(float32, 2),
        writable(float32, 2),
        writable(float32, 2),
        writable(float32, 2),
    )
)
def step_forward(
    gate_P4H, recurrent_B4H, gain_5H, shift_5H, begin, state_BH, cell_PH, scale_P5, h_PH
):
    """Fill a step's rows of h_PH, from the rows' input parts in gate_P4H and the recurrent parts.

    Afterwards gate_P4H and cell_PH hold the normalised gates and states before gain and shift,
    scale_P5 what they were multiplied with, and state_BH the states that are carried on.
    """
    num_units = h_PH.shape[1]
    for b in range(len(recurrent_B4H)):
        p = begin + b
        i_H, f_H, g_H, o_H = gate_P4H[p, 0], gate_P4H[p, 1], gate_P4H[p, 2], gate_P4H[p, 3]
        state_H, cell_H, h_H = state_BH[b], cell_PH[p], h_PH[p]
        gate_X = gate_P4H[p].reshape(4 * num_units)
        recurrent_X = recurrent_B4H[b].reshape(4 * num_units)
        for x in range(4 * num_units):
            gate_X[x] += recurrent_X[x]
        mean_i, scale_i = _mean_and_scale(i_H)
        mean_f, scale_f = _mean_and_scale(f_H)
        mean_g, scale_g = _mean_and_scale(g_H)
        mean_o, scale_o = _mean_and_scale(o_H)
        for j in range(num_units):
            i_H[j] = (i_H[j] - mean_i) * scale_i
            f_H[j] = (f_H[j] - mean_f) * scale_f
            g_H[j] = (g_H[j] - mean_g) * scale_g
            i = sigmoid(i_H[j] * gain_5H[0, j] + shift_5H[0, j])
            f = sigmoid(f_H[j] * gain_5H[1, j] + shift_5H[1, j] + _ONE)
            g = tanh(g_H[j] * gain_5H[2, j] + shift_5H[2, j])
            cell_H[j] = f * state_H[j] + i * g
        mean_c, scale_c = _mean_and_scale(cell_H)
        for j in range(num_units):
            o_H[j] = (o_H[j] - mean_o) * scale_o
            cell_H[j] = (cell_H[j] - mean_c) * scale_c
            o = sigmoid(o_H[j] * gain_5H[3, j] + shift_5H[3, j])
            state_H[j] = cell_H[j] * gain_5H[4, j] + shift_5H[4, j]
            h_H[j] = o * tanh(state_H[j])
        scale_P5[p, 0] = scale_i
        scale_P5[p, 1] = scale_f
        scale_P5[p, 2] = scale_g
        scale_P5[p, 3] = scale_o
        scale_P5[p, 4] = scale_c


@numba.njit(nogil=True, fastmath=_FASTMATH, error_model="numpy")
def _go_back_through_norm(grad_H, normal_H, scale, gain_H, grad_gain_H, grad_shift_H):
    """Turn the gradient of normal_H * gain + shift into that of what was normalised, in place."""
    size = np.float32(len(grad_H))
    total, along = _ZERO, _ZERO
    for j in range(len(grad_H)):
        grad = grad_H[j]
        grad_shift_H[j] += grad
        grad_gain_H[j] += grad * normal_H[j]
        grad *= gain_H[j]
        grad_H[j] = grad
        total += grad
        along += grad * normal_H[j]
    mean, slope = total / size, along / size
    for j in range(len(grad_H)):
        grad_H[j] = (grad_H[j] - mean - normal_H[j] * slope) * scale


@kernel(
    (
        readable(float32, 3),
        readable(float32, 2),
        readable(float32, 2),
        readable(float32, 2),
        readable(float32, 2),
        readable(float32, 2),
        readable(float32, 2),
        int64,
        int64,
        int64,
        writable(float32, 2),
        writable(float32, 3),
        writable(float32, 2),
        writable(float32, 2),
    )
)
def step_backward(
    gate_P4H,
    cell_PH,
    scale_P5,
    gain_5H,
    shift_5H,
    grad_h_PH,
    recurrent_grad_BH,
    begin,
    end,
    previous,
    grad_state_BH,
    grad_gate_P4H,
    grad_gain_5H,
    grad_shift_5H,
):
    """Fill a step's rows of grad_gate_P4H, the gradients of what `step_forward` normalised.

    The gradient of a row's h is its own plus recurrent_grad_BH's, for the rows that have a next
    step; grad_state_BH is that of the state that is carried on and becomes that of the one that
    was carried in. `previous` is where the rows of the step before begin, -1 if there is none.
    """
    num_units = cell_PH.shape[1]
    before_H, grad_h_H = np.zeros(num_units, np.float32), np.empty(num_units, np.float32)
    for b in range(end - begin):
        p = begin + b
        i_H, f_H, g_H, o_H = gate_P4H[p, 0], gate_P4H[p, 1], gate_P4H[p, 2], gate_P4H[p, 3]
        grad_i_H, grad_f_H = grad_gate_P4H[p, 0], grad_gate_P4H[p, 1]
        grad_g_H, grad_o_H = grad_gate_P4H[p, 2], grad_gate_P4H[p, 3]
        cell_H, grad_state_H = cell_PH[p], grad_state_BH[b]
        if previous >= 0:
            for j in range(num_units):
                before_H[j] = cell_PH[previous + b, j] * gain_5H[4, j] + shift_5H[4, j]
        if b < len(recurrent_grad_BH):
            for j in range(num_units):
                grad_h_H[j] = grad_h_PH[p, j] + recurrent_grad_BH[b, j]
        else:
            for j in range(num_units):
                grad_h_H[j] = grad_h_PH[p, j]
        for j in range(num_units):
            o = sigmoid(o_H[j] * gain_5H[3, j] + shift_5H[3, j])
            out = tanh(cell_H[j] * gain_5H[4, j] + shift_5H[4, j])
            grad_o_H[j] = grad_h_H[j] * out * o * (_ONE - o)
            grad_state_H[j] += grad_h_H[j] * o * (_ONE - out * out)
        _go_back_through_norm(
            grad_state_H, cell_H, scale_P5[p, 4], gain_5H[4], grad_gain_5H[4], grad_shift_5H[4]
        )
        for j in range(num_units):
            i = sigmoid(i_H[j] * gain_5H[0, j] + shift_5H[0, j])
            f = sigmoid(f_H[j] * gain_5H[1, j] + shift_5H[1, j] + _ONE)
            g = tanh(g_H[j] * gain_5H[2, j] + shift_5H[2, j])
            grad = grad_state_H[j]
            grad_i_H[j] = grad * g * i * (_ONE - i)
            grad_f_H[j] = grad * before_H[j] * f * (_ONE - f)
            grad_g_H[j] = grad * i * (_ONE - g * g)
            grad_state_H[j] = grad * f
        for k in range(4):
            _go_back_through_norm(
                grad_gate_P4H[p, k],
                gate_P4H[p, k],
                scale_P5[p, k],
                gain_5H[k],
                grad_gain_5H[k],
                grad_shift_5H[k],
            )
