"""What the ten classes look like: for each, how it is drawn and from which ranges its parameters come.

The difficulty is made here. T-shirt, pullover, coat and shirt share one drawing and differ only in their ranges, which
overlap as those garments do: a shirt's buttons may not show, a coat may be thin and a T-shirt have long sleeves. The
same holds, less, for dress and T-shirt, and for sneaker, ankle boot and sandal. Lengths are in pixels, angles in
radians, brightness in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fmnist_jax.data.synthetic.bags import draw_bag
from fmnist_jax.data.synthetic.footwear import draw_closed_shoe, draw_sandal
from fmnist_jax.data.synthetic.sampling import Parameters, Wardrobe, maybe, mix, span
from fmnist_jax.data.synthetic.tops import draw_top, draw_trousers

Draw = Callable[[np.ndarray, np.ndarray, Parameters], tuple[np.ndarray, np.ndarray]]

POSE: Wardrobe = {
    "axis": span(0.0, 0.0),
    "shift_x": span(-0.8, 0.8),
    "shift_y": span(-0.6, 0.6),
    "scale_x": span(0.92, 1.05),
    "scale_y": span(0.96, 1.04),
    "turn": span(-0.04, 0.04),
    "shear": span(-0.04, 0.04),
}

CLOTH: Wardrobe = {
    "brightness": mix((0.6, 0.6, 0.92), (0.25, 0.35, 0.6), (0.15, 0.12, 0.35)),
    "light_u": span(-0.1, 0.1),
    "light_v": span(-0.15, 0.1),
    "grain": span(0.01, 0.08),
    "stripes": maybe(0.12, 0.06, 0.2),
    "pinstripes": maybe(0.08, 0.06, 0.25),
    "stripe_step": span(3.0, 7.0),
    "sharpness": span(1.0, 4.0),
    "phase": span(0.0, 1.0),
    "speckle": maybe(0.2, 0.08, 0.35),
    "print": span(0.0, 0.0),
    "print_at": span(8.0, 14.0),
    "print_width": span(2.0, 4.5),
    "print_height": span(0.8, 3.5),
    "round_print": span(0.0, 1.0),
    "block": maybe(0.08, -0.3, 0.3),
    "block_at": span(7.0, 20.0),
}

TOP: Wardrobe = (
    POSE
    | CLOTH
    | {
        "rise": span(0.2, 1.2),
        "shoulder": span(7.2, 9.0),
        "shoulder_slope": span(0.2, 0.45),
        "chest": span(6.6, 8.4),
        "waist": span(6.4, 8.2),
        "waist_at": span(14.0, 18.0),
        "hem": span(26.0, 27.8),
        "hem_width": span(6.6, 8.6),
        "hem_curve": span(-0.5, 0.8),
        "sleeve": span(20.0, 23.5),
        "sleeve_width": span(2.2, 3.0),
        "sleeve_angle": span(0.06, 0.24),
        "cuff_width": span(1.3, 2.0),
        "sleeve_tone": maybe(0.15, -0.3, 0.25),
        "seam": span(0.05, 0.35),
        "neck_width": span(2.6, 4.6),
        "neck_depth": span(1.2, 3.6),
        "vee": span(0.0, 0.6),
        "lining": mix((0.4, 0.8, 1.0), (0.6, 0.0, 0.5)),
        "neck_shade": span(0.05, 0.35),
        "gap": span(0.0, 0.0),
        "overlap": span(-0.6, 0.6),
        "placket": span(0.0, 0.0),
        "placket_width": span(0.0, 0.5),
        "buttons": span(0.0, 0.0),
        "button_step": span(2.6, 4.5),
        "collar": span(0.4, 1.4),
        "collar_tone": maybe(0.5, -0.25, 0.2),
        "pocket": span(0.0, 0.0),
        "pocket_at": span(16.0, 21.0),
        "pocket_size": span(0.1, 1.2),
        "belt": span(0.0, 0.0),
        "band": maybe(0.2, -0.2, 0.15),
    }
)

T_SHIRT: Wardrobe = TOP | {
    "sleeve": mix((0.74, 4.0, 8.0), (0.1, 0.0, 0.0), (0.12, 8.0, 14.0), (0.04, 18.0, 22.0)),
    "sleeve_width": span(2.6, 3.8),
    "cuff_width": span(2.2, 3.2),
    "neck_width": span(3.0, 5.6),
    "neck_depth": span(1.6, 6.0),
    "chest": span(6.4, 8.6),
    "print": maybe(0.35, -0.4, 0.3),
    "stripes": maybe(0.15, 0.1, 0.35),
    "placket": maybe(0.1, -0.25, -0.05),
}

PULLOVER: Wardrobe = TOP | {
    "sleeve": mix((0.9, 20.0, 23.8), (0.1, 13.0, 20.0)),
    "rise": mix((0.7, 0.2, 1.2), (0.3, 1.2, 3.0)),
    "band": maybe(0.45, -0.25, 0.15),
    "print": maybe(0.2, -0.35, 0.3),
    "stripes": maybe(0.2, 0.08, 0.3),
    "placket": maybe(0.06, -0.3, -0.05),
}

DRESS: Wardrobe = TOP | {
    "shoulder": span(3.8, 6.6),
    "shoulder_slope": span(0.15, 0.4),
    "chest": span(3.6, 5.8),
    "waist": span(3.0, 5.6),
    "waist_at": span(10.0, 14.0),
    "hem_width": mix((0.7, 4.0, 7.0), (0.3, 7.0, 9.5)),
    "hem_curve": span(-0.3, 0.8),
    "sleeve": mix((0.45, 0.0, 0.0), (0.3, 2.5, 7.0), (0.25, 8.0, 20.0)),
    "sleeve_width": span(1.6, 2.4),
    "sleeve_angle": span(0.04, 0.2),
    "cuff_width": span(1.1, 1.8),
    "neck_width": span(2.0, 3.4),
    "neck_depth": span(1.5, 7.0),
    "belt": maybe(0.25, -0.35, 0.2),
    "placket": maybe(0.08, -0.2, -0.05),
}

COAT: Wardrobe = TOP | {
    "sleeve": mix((0.95, 20.5, 24.0), (0.05, 14.0, 20.0)),
    "sleeve_width": span(2.3, 3.2),
    "rise": mix((0.6, 0.4, 1.6), (0.4, 1.6, 3.0)),
    "vee": span(0.2, 1.0),
    "neck_depth": span(0.8, 5.0),
    "gap": maybe(0.2, 0.8, 3.0),
    "placket": mix((0.75, -0.5, -0.08), (0.25, -0.08, 0.0)),
    "buttons": maybe(0.4, -0.5, 0.3),
    "overlap": span(-1.2, 1.2),
    "collar": span(0.8, 2.2),
    "collar_tone": maybe(0.75, -0.35, 0.2),
    "pocket": maybe(0.5, -0.35, 0.15),
    "belt": maybe(0.1, -0.3, -0.1),
    "stripes": maybe(0.05, 0.08, 0.2),
    "speckle": maybe(0.12, 0.08, 0.25),
}

SHIRT: Wardrobe = TOP | {
    "sleeve": mix((0.5, 19.5, 23.5), (0.36, 4.0, 9.0), (0.14, 9.0, 18.0)),
    "sleeve_width": span(2.2, 3.4),
    "cuff_width": span(1.4, 2.6),
    "rise": span(0.3, 1.6),
    "vee": span(0.0, 1.0),
    "neck_depth": span(0.8, 3.6),
    "placket": mix((0.55, -0.35, -0.05), (0.45, 0.0, 0.0)),
    "buttons": maybe(0.4, -0.4, 0.3),
    "collar": span(0.5, 1.8),
    "collar_tone": maybe(0.6, -0.25, 0.25),
    "pocket": maybe(0.12, -0.2, 0.15),
    "pocket_at": span(9.0, 12.0),
    "hem_curve": span(-0.4, 1.4),
    "stripes": maybe(0.16, 0.08, 0.3),
    "pinstripes": maybe(0.22, 0.08, 0.3),
    "speckle": maybe(0.25, 0.08, 0.35),
}

TROUSERS: Wardrobe = (
    POSE
    | CLOTH
    | {
        "scale_x": span(0.9, 1.1),
        "waist": span(4.0, 5.6),
        "hip": span(4.8, 6.4),
        "knee": span(4.2, 6.4),
        "ankle": span(4.0, 7.2),
        "hem": mix((0.92, 26.5, 27.8), (0.08, 20.0, 26.0)),
        "crotch": span(6.5, 10.0),
        "gap": mix((0.85, 1.0, 4.0), (0.15, 0.1, 1.0)),
        "crease": span(-0.15, 0.15),
        "seam": span(0.0, 0.3),
        "band": maybe(0.5, -0.25, 0.1),
    }
)

FOOTWEAR: Wardrobe = (
    POSE
    | CLOTH
    | {
        "axis": span(14.0, 14.0),
        "turn": span(-0.03, 0.03),
        "scale_x": span(0.96, 1.02),
        "scale_y": span(0.92, 1.06),
        "ground": span(19.0, 21.0),
        "sole": span(1.2, 3.0),
        "heel_lift": span(0.0, 0.8),
        "heel_width": span(6.0, 9.0),
        "wedge": span(1.0, 1.0),
        "toe_spring": span(0.0, 1.2),
        "sole_tone": mix((0.6, -0.4, 0.0), (0.4, 0.0, 0.3)),
        "welt": span(0.0, 0.4),
        "toe": span(2.2, 4.0),
        "vamp": span(3.5, 5.5),
        "tongue": span(5.5, 8.5),
        "throat_at": span(12.5, 16.0),
        "mouth_at": span(19.5, 22.5),
        "mouth": span(0.3, 1.6),
        "mouth_shade": span(0.0, 0.4),
        "collar": span(3.8, 6.0),
        "counter": span(5.8, 8.5),
        "shaft": span(0.0, 0.0),
        "shaft_width": span(4.5, 6.0),
        "shaft_top": span(0.9, 1.15),
        "shaft_lean": span(-0.05, 0.08),
        "stripe": maybe(0.6, -0.45, 0.4),
        "stripe_at": span(13.0, 18.0),
        "stripe_slant": span(-1.0, 1.0),
        "stripe_width": span(0.5, 2.5),
        "laces": maybe(0.6, -0.4, 0.3),
        "brightness": mix((0.6, 0.55, 0.9), (0.4, 0.35, 0.6)),
        "pinstripes": span(0.0, 0.0),
    }
)

SNEAKER: Wardrobe = FOOTWEAR | {
    "shaft": maybe(0.12, 1.0, 4.5),
}

BOOT: Wardrobe = FOOTWEAR | {
    "ground": span(25.5, 27.5),
    "sole": span(1.0, 2.6),
    "heel_lift": mix((0.6, 0.3, 2.5), (0.4, 2.5, 8.0)),
    "heel_width": mix((0.7, 5.0, 9.0), (0.3, 2.0, 5.0)),
    "wedge": mix((0.3, 1.0, 1.0), (0.7, 0.0, 0.2)),
    "toe": span(2.4, 4.4),
    "tongue": span(6.5, 9.5),
    "shaft": mix((0.12, 2.0, 5.0), (0.88, 5.0, 13.0)),
    "mouth": span(0.0, 1.0),
    "stripe": maybe(0.3, -0.4, 0.3),
    "laces": maybe(0.3, -0.4, 0.2),
}

SANDAL: Wardrobe = FOOTWEAR | {
    "ground": mix((0.6, 18.0, 21.0), (0.4, 21.0, 26.0)),
    "sole": span(0.8, 2.8),
    "heel_lift": mix((0.5, 0.0, 1.0), (0.25, 1.0, 4.0), (0.25, 4.0, 11.0)),
    "heel_width": mix((0.5, 1.2, 2.5), (0.5, 2.5, 8.0)),
    "wedge": mix((0.55, 0.0, 0.1), (0.45, 0.9, 1.0)),
    "strap_width": span(0.45, 1.3),
    "arch_at": span(6.0, 9.5),
    "arch_width": span(3.0, 6.0),
    "arch_height": span(2.0, 5.0),
    "arch_filled": mix((0.7, 0.0, 0.0), (0.3, 1.0, 1.0)),
    "ankle_height": maybe(0.8, 3.0, 9.0),
    "ankle_width": span(2.5, 5.0),
    "loop_height": span(0.8, 2.2),
    "back_lean": span(-0.3, 0.05),
    "counter_width": span(0.6, 3.0),
    "sling": span(0.0, 1.0),
    "front_lean": span(0.2, 1.4),
}

BAG: Wardrobe = (
    POSE
    | CLOTH
    | {
        "top": mix((0.65, 8.0, 12.0), (0.35, 3.0, 8.0)),
        "bottom": span(22.0, 27.0),
        "top_width": span(8.5, 13.5),
        "bottom_width": span(10.5, 13.5),
        "corner": span(0.5, 4.0),
        "handle": span(0.5, 1.1),
        "handle_width": span(2.5, 7.5),
        "handle_height": maybe(0.75, 4.0, 10.0),
        "handle_split": maybe(0.2, 1.0, 3.0),
        "strap_drop": maybe(0.2, 4.0, 9.0),
        "flap": span(3.0, 10.0),
        "flap_curve": span(-1.0, 1.0),
        "flap_tone": maybe(0.5, -0.3, 0.2),
        "clasp": maybe(0.4, -0.5, 0.5),
        "seam": maybe(0.6, 0.05, 0.35),
        "edge": span(0.0, 0.3),
    }
)

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
