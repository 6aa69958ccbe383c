"""How torch multiplies float32 matrices in this process.

On a CPU, any precision below "highest" makes torch multiply with oneDNN, which is faster for products of whole batches
and slower for the small products inside fused attention. Attention then uses whole products, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias, get_args

MatmulPrecision: TypeAlias = Literal["highest", "high", "medium"]


def set_products(precision: MatmulPrecision, fused_attention: bool) -> None:
    """Set the precision of matrix products, as in ``torch.set_float32_matmul_precision``, for the whole process.

    Args:
        precision: the precision.
        fused_attention: whether torch may compute attention in one fused operation.
    """
    import torch  # here, because the settings of training name precisions without torch

    torch.set_float32_matmul_precision(precision)
    torch.backends.cuda.enable_flash_sdp(fused_attention)  # despite its name, it also acts on CPUs


@contextmanager
def matmul_precision(precision: MatmulPrecision) -> Iterator[None]:
    """Multiply matrices with another precision in a ``with`` block, in all threads of the process.

    "medium" makes predictions on a CPU faster. On processors without matrix units they are the same up to rounding; on
    those with matrix units, such as AMX, "medium" multiplies in bfloat16, with about three exact digits.

    Args:
        precision: "highest" (torch's default), "high" or "medium".

    Raises:
        ValueError: the precision is none of these.
    """
    import torch

    if precision not in get_args(MatmulPrecision):
        raise ValueError(f"precision is {precision!r}; expected one of {', '.join(get_args(MatmulPrecision))}")
    before = torch.get_float32_matmul_precision(), torch.backends.cuda.flash_sdp_enabled()
    set_products(precision, precision == "highest" or torch.accelerator.is_available())
    try:
        yield
    finally:
        set_products(*before)  # type: ignore[arg-type]
