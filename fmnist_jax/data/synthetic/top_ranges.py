"""From which ranges the five garments that hang from the shoulders are drawn; the set's difficulty is made here.

T-shirt, pullover, coat and shirt differ only in their ranges, which overlap as those garments do: a shirt's buttons may
not show, a pullover may have a collar and a T-shirt long sleeves. Dresses overlap with them less. Lengths are in
pixels, brightness and tones in [-1, 1]; a lean is a tangent.
"""

from __future__ import annotations

from fmnist_jax.data.synthetic.cloth import CLOTH
from fmnist_jax.data.synthetic.pose import POSE
from fmnist_jax.data.synthetic.sampling import Wardrobe, maybe, mix, span

TOP: Wardrobe = (
    POSE
    | CLOTH
    | {
        "rise": span(0.2, 1.2),
        "hood": span(0.8, 1.4),
        "shoulder": span(7.6, 9.4),
        "shoulder_slope": span(0.35, 0.65),
        "chest": span(6.0, 7.8),
        "waist": span(5.8, 7.8),
        "waist_at": span(14.0, 18.0),
        "hem": span(26.0, 27.8),
        "hem_width": span(6.0, 8.2),
        "hem_curve": span(-0.5, 0.8),
        "sleeve": span(20.0, 23.5),
        "sleeve_width": span(2.1, 2.8),
        "sleeve_lean": span(0.1, 0.26),
        "cuff_width": span(1.2, 1.9),
        "sleeve_tone": maybe(0.15, -0.3, 0.25),
        "seam": span(0.1, 0.5),
        "neck_width": span(2.6, 4.6),
        "neck_depth": span(1.2, 3.6),
        "vee": span(0.0, 0.6),
        "lining": mix((0.4, 0.8, 1.0), (0.6, 0.0, 0.5)),
        "neck_shade": span(0.05, 0.35),
        "gap": span(0.0, 0.0),
        "gap_shade": span(0.3, 0.8),
        "overlap": span(-0.6, 0.6),
        "placket": span(0.0, 0.0),
        "placket_width": span(0.0, 0.5),
        "buttons": span(0.0, 0.0),
        "button_step": span(2.6, 4.5),
        "collar": span(0.0, 0.0),
        "collar_lean": span(0.2, 0.9),
        "collar_width": span(0.5, 1.4),
        "collar_tone": span(-0.15, 0.2),
        "collar_edge": span(0.15, 0.6),
        "pocket": span(0.0, 0.0),
        "pocket_at": span(16.0, 21.0),
        "pocket_size": span(0.1, 1.2),
        "belt": span(0.0, 0.0),
        "band": maybe(0.2, -0.2, 0.15),
    }
)

T_SHIRT: Wardrobe = TOP | {
    "speckle": maybe(0.18, 0.1, 0.3),
    "collar": maybe(0.12, 1.5, 3.2),
    "shoulder": mix((0.85, 7.2, 9.2), (0.15, 5.8, 7.2)),
    "sleeve": mix((0.76, 4.0, 8.0), (0.1, 0.0, 0.0), (0.11, 8.0, 14.0), (0.03, 18.0, 22.0)),
    "sleeve_width": span(2.6, 3.8),
    "cuff_width": span(2.2, 3.2),
    "neck_width": span(3.0, 5.6),
    "neck_depth": span(1.6, 6.0),
    "chest": span(5.4, 8.6),
    "print": maybe(0.35, -0.4, 0.3),
    "stripes": maybe(0.15, 0.1, 0.35),
    "placket": maybe(0.16, -0.3, -0.05),
}

PULLOVER: Wardrobe = TOP | {
    "sleeve": mix((0.92, 20.0, 23.8), (0.08, 13.0, 20.0)),
    "rise": mix((0.7, 0.2, 1.2), (0.3, 1.2, 3.0)),
    "hood": mix((0.7, 0.8, 1.4), (0.3, 1.0, 2.4)),
    "band": maybe(0.6, -0.25, 0.2),
    "print": maybe(0.3, -0.35, 0.3),
    "stripes": maybe(0.2, 0.08, 0.3),
    "placket": maybe(0.14, -0.35, -0.05),
    "collar": maybe(0.1, 1.5, 3.5),
}

DRESS: Wardrobe = TOP | {
    "shoulder": mix((0.82, 3.8, 6.6), (0.18, 6.4, 7.8)),
    "shoulder_slope": span(0.15, 0.4),
    "chest": span(3.6, 6.0),
    "waist": span(3.0, 5.6),
    "waist_at": span(10.0, 14.0),
    "hem_width": mix((0.7, 4.0, 7.0), (0.3, 7.0, 9.5)),
    "hem_curve": span(-0.3, 0.8),
    "sleeve": mix((0.45, 0.0, 0.0), (0.3, 2.5, 7.0), (0.25, 8.0, 20.0)),
    "sleeve_width": span(1.6, 2.4),
    "sleeve_lean": span(0.04, 0.2),
    "cuff_width": span(1.1, 1.8),
    "neck_width": span(2.0, 3.4),
    "neck_depth": span(1.5, 7.0),
    "belt": maybe(0.25, -0.35, 0.2),
    "placket": maybe(0.08, -0.2, -0.05),
}

COAT: Wardrobe = TOP | {
    "shoulder": mix((0.9, 7.6, 9.4), (0.1, 5.6, 7.6)),
    "sleeve": mix((0.97, 20.5, 24.0), (0.03, 14.0, 20.0)),
    "sleeve_width": span(2.3, 3.2),
    "rise": mix((0.6, 0.4, 1.6), (0.4, 1.6, 3.0)),
    "hood": span(0.8, 2.4),
    "vee": span(0.2, 1.0),
    "neck_depth": span(0.8, 5.0),
    "gap": maybe(0.18, 0.5, 2.0),
    "placket": mix((0.85, -0.5, -0.08), (0.15, -0.08, 0.0)),
    "placket_width": span(0.0, 0.8),
    "buttons": maybe(0.4, -0.5, 0.3),
    "overlap": span(-1.2, 1.2),
    "collar": maybe(0.7, 2.5, 6.0),
    "pocket": maybe(0.6, -0.35, 0.15),
    "belt": maybe(0.1, -0.3, -0.1),
    "stripes": maybe(0.05, 0.08, 0.2),
    "speckle": maybe(0.08, 0.08, 0.25),
}

SHIRT: Wardrobe = TOP | {
    "sleeve": mix((0.58, 19.5, 23.5), (0.32, 4.0, 9.0), (0.1, 9.0, 18.0)),
    "sleeve_width": span(2.2, 3.4),
    "cuff_width": span(1.4, 2.6),
    "rise": span(0.3, 1.6),
    "vee": span(0.0, 1.0),
    "neck_depth": span(0.8, 3.6),
    "placket": mix((0.76, -0.4, -0.05), (0.24, 0.0, 0.0)),
    "buttons": maybe(0.45, -0.4, 0.3),
    "collar": maybe(0.72, 1.8, 4.2),
    "pocket": maybe(0.15, -0.2, 0.15),
    "pocket_at": span(9.0, 12.0),
    "hem_curve": span(-0.4, 1.6),
    "stripes": maybe(0.16, 0.08, 0.3),
    "pinstripes": maybe(0.22, 0.08, 0.3),
    "speckle": maybe(0.22, 0.08, 0.35),
}
