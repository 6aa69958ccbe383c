"""Leave-one-out logistic regression for many labellings of the same points, as a permutation test needs.

The optimisation problem is that of scikit-learn's LogisticRegression with its defaults (L2 penalty with C = 1, an
unpenalised intercept, softmax over three or more classes and one logit for two); tests compare the predictions. In
scikit-learn, n fits for each of 1,000 labellings take hours. Here, Newton's method fits each labelling once, and the n
fits without one point start from that solution and share its Hessian, which a left-out point changes by a low rank.
Fits without a group of points do the same, with one small matrix per group.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

TOLERANCE = 1e-4  # largest entry of a gradient that counts as 0; scikit-learn's is n times that
FULL_STEPS, FOLD_STEPS = 100, 25
UNSEEN = -1  # predicted for the only point of a class, because a fit without it does not know the class


class LeaveOneOut:
    """Predict the class of each point from a fit to all others, for any number of labellings.

    Args:
        values: (n, D) points.

    Raises:
        ValueError: there are fewer than 3 points, or a value is not finite.
    """

    def __init__(self, values: NDArray[np.floating]) -> None:
        values = np.asarray(values, np.float64)
        if len(values) < 3 or not np.isfinite(values).all():
            raise ValueError(f"expected 3 or more points with finite values, got {len(values)} points")
        # Rotations do not change the penalty, and the intercept absorbs shifts, so reduce the points to the dimensions
        # that they span: at most n - 1 for n points.
        left, scale, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
        kept = scale > 1e-10 * max(scale[0], 1e-300)
        self.points = np.column_stack([(left * scale)[:, kept], np.ones(len(values))])  # (n, r), the last: intercepts

    def predict(self, labels: NDArray[np.integer]) -> NDArray[np.int64]:
        """Predict the class of each point from the others.

        Args:
            labels: (n,) classes, any whole numbers from 0; two or more different ones.

        Returns:
            (n,) classes; -1 for a point that is the only one of its class.

        Raises:
            ValueError: there are fewer than two classes, or the number of labels is not n.
        """
        classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        if len(classes) < 2 or len(codes) != len(self.points):
            raise ValueError(
                f"{len(codes)} labels of {len(classes)} classes for {len(self.points)} points; expected one label per "
                "point and two or more classes"
            )
        found = np.full(len(codes), UNSEEN, np.int64)
        folds = np.flatnonzero(counts[codes] > 1)
        if not len(folds):  # every point is the only one of its class
            return found
        targets = np.eye(len(classes))[codes]  # (n, C)
        start = _fit(self.points, targets, np.zeros((len(classes), self.points.shape[1])))
        for fold, weights in zip(folds, self._without_each(targets, start, folds), strict=True):
            found[fold] = classes[np.argmax(weights @ self.points[fold])]
        return found

    def accuracy(self, labels: NDArray[np.integer]) -> float:
        """Return the share of points whose class is predicted correctly; arguments and errors as for `predict`."""
        return float(np.mean(self.predict(labels) == labels))

    def predict_groups(self, labels: NDArray[np.integer], groups: NDArray[np.integer]) -> NDArray[np.int64]:
        """Predict the classes of each group of points from all points outside the group.

        Args:
            labels: (n,) classes, any whole numbers from 0; two or more different ones.
            groups: (n,) group of each point; two or more different ones.

        Returns:
            (n,) classes; a class that only the left-out group has is never predicted.

        Raises:
            ValueError: there are fewer than two classes or groups, or the number of labels is not n.
        """
        classes, codes = np.unique(labels, return_inverse=True)
        if len(classes) < 2 or len(np.unique(groups)) < 2 or not len(codes) == len(groups) == len(self.points):
            raise ValueError(
                f"{len(codes)} labels of {len(classes)} classes in {len(np.unique(groups))} groups for "
                f"{len(self.points)} points; expected one label per point, two or more classes and groups"
            )
        targets = np.eye(len(classes))[codes]  # (n, C)
        start = _fit(self.points, targets, np.zeros((len(classes), self.points.shape[1])))
        factor, spread, solved = self._factorise(start, np.arange(len(codes)))
        found = np.empty(len(codes), np.int64)
        for group in np.unique(groups):
            inside = groups == group
            kept = targets[~inside].any(axis=0)  # classes that the points outside the group have
            if kept.all():
                weights = self._without_group(targets, start, inside, factor, spread[inside], solved[inside])
            elif kept.sum() > 1:
                weights = _fit(self.points[~inside], targets[~inside][:, kept], start[kept])
            else:
                weights = np.zeros((1, self.points.shape[1]))
            found[inside] = classes[kept][np.argmax(weights @ self.points[inside].T, axis=0)]
        return found

    def _without_group(
        self,
        targets: NDArray[np.float64],
        start: NDArray[np.float64],
        inside: NDArray[np.bool_],
        factor: tuple[NDArray[np.float64], bool],
        spread: NDArray[np.float64],
        solved: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the weights (C, r) of the fit without the points in ``inside`` (n,), from the fit to all points.

        ``spread`` (m, C, C) and ``solved`` (m, C, C * r) are those of `_factorise` for the m points inside.
        """
        count, classes, size = len(spread), targets.shape[1], self.points.shape[1]
        sides = solved.reshape(count * classes, classes * size)
        # Woodbury, as for one point, but S is block-diagonal: one block per left-out point
        inner = np.einsum("fdcr,gr->gcfd", solved.reshape(count, classes, classes, size), self.points[inside])
        inner = inner.reshape(count * classes, count * classes)
        blocks = np.einsum("gcd,gf->gcfd", spread, np.eye(count)).reshape(count * classes, count * classes)
        correction = np.linalg.solve(np.eye(count * classes) - blocks @ inner, blocks)
        points, wanted, weights = self.points[~inside], targets[~inside], start
        present = np.ones((1, len(points), 1))
        largest = np.inf
        for _ in range(FOLD_STEPS):
            gradient = _gradient(points, wanted, weights[None], present)[0].ravel()
            if (now := np.abs(gradient).max()) < TOLERANCE:
                return weights
            if not now < largest:
                break
            largest = now
            step = cho_solve(factor, gradient) + sides.T @ (correction @ (sides @ gradient))
            weights = weights - step.reshape(weights.shape)
        return _fit(points, wanted, start)  # the shared Hessian does not converge

    def _factorise(
        self, weights: NDArray[np.float64], folds: NDArray[np.int64]
    ) -> tuple[tuple[NDArray[np.float64], bool], NDArray[np.float64], NDArray[np.float64]]:
        """Return the factorised Hessian of all points at ``weights``, and the parts of its corrections.

        Woodbury: leaving out point i subtracts (x_i x_i') (x) S_i from the Hessian, so its inverse is H^-1 plus a
        correction of rank C, which consists of A_i = H^-1 (x_i (x) I).

        Returns:
            Factor of H; S of the points in ``folds``, (F, C, C); their A, (F, C, C * r).
        """
        classes, size = weights.shape
        hessian, spread = _hessian(self.points, _softmax(weights @ self.points.T))
        factor = cho_factor(hessian)
        sides = np.zeros((classes, size, len(folds), classes))
        for each in range(classes):
            sides[each, :, :, each] = self.points[folds].T
        solved = cho_solve(factor, sides.reshape(classes * size, -1)).reshape(classes * size, len(folds), classes)
        return factor, spread[folds], solved.transpose(1, 2, 0)

    def _without_each(
        self, targets: NDArray[np.float64], start: NDArray[np.float64], folds: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the weights (F, C, r) of the fits without each point in ``folds``; start from the fit to all."""
        points = self.points
        n, size = points.shape
        classes = targets.shape[1]
        factor, spread, solved = self._factorise(start, folds)
        left_out = points[folds]
        inner = np.einsum("fdcr,fr->fdc", solved.reshape(len(folds), classes, classes, size), left_out)
        correction = np.linalg.solve(np.eye(classes) - spread @ inner, spread)  # (F, C, C)

        present = np.ones((len(folds), n, 1))
        present[np.arange(len(folds)), folds] = 0
        weights = np.repeat(start[None], len(folds), axis=0)
        for _ in range(FOLD_STEPS):
            gradient = _gradient(points, targets, weights, present)
            if np.abs(gradient).max() < TOLERANCE:
                return weights
            flat = gradient.reshape(len(folds), -1)
            step = cho_solve(factor, flat.T).T
            step += ((correction @ (solved @ flat[:, :, None])).transpose(0, 2, 1) @ solved)[:, 0]
            weights = weights - step.reshape(weights.shape)
        # refit from scratch where the shared Hessian does not converge, for very influential points
        worst = np.abs(_gradient(points, targets, weights, present)).max(axis=(1, 2))
        for fold in np.flatnonzero(~(worst < TOLERANCE)):
            others = np.arange(n) != folds[fold]
            weights[fold] = _fit(points[others], targets[others], start)
        return weights


def _fit(
    points: NDArray[np.float64], targets: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Minimise the penalised loss by Newton's method with line search; return the weights (C, r)."""
    loss = _loss(points, targets, weights)
    for _ in range(FULL_STEPS):
        gradient = _gradient(points, targets, weights[None], np.ones((1, len(points), 1)))[0]
        if np.abs(gradient).max() < TOLERANCE:
            break
        hessian, _ = _hessian(points, _softmax(weights @ points.T))
        step = cho_solve(cho_factor(hessian), gradient.ravel()).reshape(weights.shape)
        slope, share = float((gradient * step).sum()), 1.0
        while share > 1e-6:
            candidate = weights - share * step
            reached = _loss(points, targets, candidate)
            if reached <= loss - 1e-4 * share * slope:
                break
            share /= 2
        else:
            break  # rounding prevents a further decrease
        weights, loss = candidate, reached
    return weights


def _penalties(size: int, classes: int) -> NDArray[np.float64]:
    """Return the penalty of each entry of a class's weights, (r,); the intercept has none.

    For two classes, scikit-learn has one logit w, and here they are w / 2 and -w / 2: twice the penalty is equivalent.
    """
    return np.append(np.full(size - 1, 2.0 if classes == 2 else 1.0), 0.0)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the softmax over the classes, axis -2 of (..., C, n)."""
    logits = np.exp(logits - logits.max(axis=-2, keepdims=True))
    return logits / logits.sum(axis=-2, keepdims=True)


def _loss(points: NDArray[np.float64], targets: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    logits = weights @ points.T  # (C, n)
    top = logits.max(axis=0)
    entropy = np.log(np.exp(logits - top).sum(axis=0)) + top - (logits * targets.T).sum(axis=0)
    return float(entropy.sum() + 0.5 * (_penalties(points.shape[1], len(weights)) * weights**2).sum())


def _gradient(
    points: NDArray[np.float64],
    targets: NDArray[np.float64],
    weights: NDArray[np.float64],
    present: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the gradients (F, C, r) at ``weights`` (F, C, r), over the points where ``present`` (F, n, 1) is 1."""
    error = _softmax(weights @ points.T) - targets.T  # (F, C, n)
    return (error * present.transpose(0, 2, 1)) @ points + _penalties(points.shape[1], weights.shape[1]) * weights


def _hessian(
    points: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Hessian (C * r, C * r) at probabilities ``shares`` (C, n), and S = diag(p) - p p' of each point.

    Adding the same number to all intercepts has no effect, so the matrix would be singular. A term for the sum of the
    intercepts makes it definite without changing any step.
    """
    size, classes = points.shape[1], len(shares)
    spread = shares.T[:, :, None] * (np.eye(classes) - shares.T[:, None, :])  # (n, C, C)
    hessian = np.empty((classes, size, classes, size))
    for one in range(classes):
        for other in range(one, classes):
            hessian[one, :, other] = points.T @ (spread[:, one, other, None] * points)
            hessian[other, :, one] = hessian[one, :, other]
    flat = hessian.reshape(classes * size, classes * size)
    flat[np.diag_indices_from(flat)] += np.tile(_penalties(size, classes), classes)
    intercepts = np.arange(classes) * size + size - 1
    flat[np.ix_(intercepts, intercepts)] += 1.0
    return flat, spread
