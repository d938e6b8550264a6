from __future__ import annotations

from pathlib import Path

import networks
import pytest

from fmnist_jax.errors import ConfigError
from fmnist_jax.models.summary import model_table, size_of

PAGE = Path(__file__).parent.parent / "docs/models.md"


def test_model1_by_hand():
    # Convolutions of 26x26 and 11x11 outputs, 3x3 taps; 5x5 pooled pixels into ten logits.
    flops = 2 * (26 * 26 * 9 * 32 + 11 * 11 * 9 * 32 * 64 + 5 * 5 * 64 * 10)
    assert size_of("model1") == (34_826, flops)


def test_resnet20_has_the_published_size():
    # On CIFAR 0.27 million parameters and 41 million multiply-adds (He et al. 2016).
    parameters, flops = size_of("resnet20", description=networks.CIFAR)
    assert parameters == pytest.approx(0.27e6, rel=0.02)
    assert flops / 2 == pytest.approx(41e6, rel=0.02)


def test_options_count():
    narrow, wide = (size_of("speednet", {"widths": (width,)}) for width in (8, 16))
    assert narrow[0] == 9 * (8 + 64) + 2 * 8 + 90
    assert wide[1] - narrow[1] == 2 * (9 * 28 * 28 * 8 + 9 * 14 * 14 * (256 - 64) + 80)
    with pytest.raises(ConfigError, match=r"config\.model\.options\.depth is not an option of 'speednet'"):
        size_of("speednet", {"depth": 3})


def test_the_page_has_the_table_of_all_built_in_networks():
    assert model_table() in PAGE.read_text(), "python scripts/models.py prints it"
