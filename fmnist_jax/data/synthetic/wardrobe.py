"""The ten classes: how each is drawn, and from which ranges its parameters come."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fmnist_jax.data.synthetic.bags import BAG, draw_bag
from fmnist_jax.data.synthetic.footwear import BOOT, SANDAL, SNEAKER, draw_closed_shoe, draw_sandal
from fmnist_jax.data.synthetic.sampling import Parameters, Wardrobe
from fmnist_jax.data.synthetic.shapes import Drawing
from fmnist_jax.data.synthetic.top_ranges import COAT, DRESS, PULLOVER, SHIRT, T_SHIRT
from fmnist_jax.data.synthetic.tops import draw_top
from fmnist_jax.data.synthetic.trousers import TROUSERS, draw_trousers

Draw = Callable[[np.ndarray, np.ndarray, Parameters], Drawing]

# The class's number -> how it is drawn, and from what; the order of `CLASS_NAMES`.
WARDROBES: tuple[tuple[Draw, Wardrobe], ...] = (
    (draw_top, T_SHIRT),
    (draw_trousers, TROUSERS),
    (draw_top, PULLOVER),
    (draw_top, DRESS),
    (draw_top, COAT),
    (draw_sandal, SANDAL),
    (draw_top, SHIRT),
    (draw_closed_shoe, SNEAKER),
    (draw_bag, BAG),
    (draw_closed_shoe, BOOT),
)
