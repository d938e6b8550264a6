"""Pictures for prediction: what is read, how it is prepared, and that no file whatever ends in a traceback."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageChops, ImageDraw, ImageOps

from fmnist_jax.data import Description, raw_files
from fmnist_jax.data.images import read_images
from fmnist_jax.errors import ImageError

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM")

quick = hypothesis.settings(max_examples=60, deadline=None, derandomize=True)


def shirt(background="white", garment=(60, 40, 90), height=100):
    """A shirt on the left of a picture half as wide again as high."""
    outline = [(20, 15), (37, 15), (55, 42), (46, 50), (37, 37), (37, 65), (20, 65), (20, 37), (11, 50), (3, 42)]
    image = Image.new("RGB", (height * 3 // 2, height), background)
    ImageDraw.Draw(image).polygon([(x * height // 100, y * height // 100) for x, y in outline], fill=garment)
    return image


def prepared(image, path, **options):
    """What `read_images` makes of the image when saved, by default as PNG."""
    image.save(path, **{"format": "PNG", **options})
    (only,) = read_images(path)
    assert only.shape == (28, 28)
    assert only.dtype == np.uint8
    return only


def encoded(kind):
    stream = io.BytesIO()
    shirt().save(stream, kind)
    return stream.getvalue()


def complaint(path):
    """The message of the error that reading `path` ends in."""
    with pytest.raises(ImageError) as caught:
        read_images(path)
    return str(caught.value)


def read_or_complain(path):
    """Reads what may be damaged: the result is images, or an error of one line that names the file."""
    message = None
    try:
        images = read_images(path)
    except ImageError as error:
        message = str(error)
    if message is None:
        assert images.shape[1:] == (28, 28)
        assert images.dtype == np.uint8
    else:
        assert str(path) in message
        assert message.isprintable()


# 28x28, as in the data set


@pytest.fixture
def on_dark():
    """Three images as the data set has them: noise within a dark border, which garments cross here and there."""
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    images[:, :, [0, -1]] = 0
    images[:, 0, :14] = 3
    return images


@pytest.mark.smoke
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_28x28_on_dark_passes_unchanged(mode, on_dark, tmp_path):
    image = Image.fromarray(on_dark[0]).convert(mode)
    np.testing.assert_array_equal(prepared(image, tmp_path / "a.png"), on_dark[0])


def test_28x28_on_light_is_negated_and_nothing_else(on_dark, tmp_path):
    light = Image.fromarray(255 - on_dark[0])
    np.testing.assert_array_equal(prepared(light, tmp_path / "a.png"), on_dark[0])


@quick
@hypothesis.given(pixels=hnp.arrays(np.uint8, (28, 28)))
def test_any_28x28_is_returned_unchanged_or_negated(pixels, tmp_path_factory):
    hypothesis.assume(np.ptp(pixels))
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    light = np.sort(border)[53:55].astype(int).sum() > 2 * 127
    path = tmp_path_factory.mktemp("any") / "a.png"
    np.testing.assert_array_equal(prepared(Image.fromarray(pixels), path), 255 - pixels if light else pixels)


@pytest.mark.skipif("FMNIST_DATA_DIR" not in os.environ, reason="needs the real data")
def test_the_backgrounds_of_the_real_images_are_found_dark(tmp_path):
    images = raw_files.read_idx(Path(os.environ["FMNIST_DATA_DIR"]) / "t10k-images-idx3-ubyte.gz")
    np.save(tmp_path / "dark.npy", images)
    np.save(tmp_path / "light.npy", 255 - images)
    np.testing.assert_array_equal(read_images(tmp_path / "dark.npy"), images)
    np.testing.assert_array_equal(read_images(tmp_path / "light.npy"), images)


# Pictures of other sizes


def test_garment_fills_the_longer_side_and_is_centred_on_black(tmp_path):
    image = Image.new("RGB", (150, 110), "white")
    ImageDraw.Draw(image).rectangle((20, 10, 20 + 26, 10 + 83), fill=(55, 55, 55))
    expected = np.zeros((28, 28))
    expected[:, 9:18] = 200  # 27 x 84 pixels
    np.testing.assert_array_equal(prepared(image, tmp_path / "a.png"), expected)


def test_background_becomes_black_and_garment_bright(tmp_path):
    got = prepared(shirt(), tmp_path / "a.png")
    assert (got[[0, -1], [0, -1]] == 0).all()
    assert np.median(got[5:20, 14]) == pytest.approx(255 - 51.66, abs=2)


@pytest.mark.parametrize("margins", [(13, 13, 13, 13), (40, 3, 0, 25)])
def test_margins_are_trimmed(margins, tmp_path):
    wide = ImageOps.expand(shirt(), margins, "white")
    np.testing.assert_array_equal(prepared(wide, tmp_path / "wide.png"), prepared(shirt(), tmp_path / "a.png"))


def test_nearly_white_margins_are_trimmed_and_grey_ones_are_not(tmp_path):
    plain = prepared(shirt(), tmp_path / "a.png")
    pale, grey = shirt(), shirt()
    ImageDraw.Draw(pale).rectangle((140, 90, 145, 95), fill=(244, 244, 244))
    ImageDraw.Draw(grey).rectangle((140, 90, 145, 95), fill=(240, 240, 240))
    np.testing.assert_array_equal(prepared(pale, tmp_path / "pale.png"), plain)
    assert (prepared(grey, tmp_path / "grey.png") != plain).any()


def test_white_on_black_is_as_black_on_white(tmp_path):
    on_white, on_black = shirt("white", "black"), shirt("black", "white")
    got = prepared(on_white, tmp_path / "a.png").astype(int)
    np.testing.assert_allclose(got, prepared(on_black, tmp_path / "b.png"), atol=2)


@pytest.mark.parametrize("background", [90, 127, 128, 200])
@pytest.mark.parametrize("garment", [0, 255])
def test_garment_stands_out_on_any_grey(background, garment, tmp_path):
    got = prepared(shirt((background,) * 3, (garment,) * 3), tmp_path / "a.png")
    assert (got[[0, -1], [0, -1]] == 0).all()
    assert np.median(got[5:20, 14]) >= 50


def test_noise_of_a_photograph_does_not_hide_its_margins(tmp_path):
    clean = shirt((230, 230, 230), height=1200)
    noise = np.random.default_rng(1).normal(0, 5, (1200, 1800, 1))
    noisy = Image.fromarray((np.asarray(clean) + noise).clip(0, 255).astype(np.uint8))
    difference = prepared(noisy, tmp_path / "noisy.png") - prepared(clean, tmp_path / "clean.png").astype(float)
    assert np.abs(difference).max() < 16


def test_outlines_are_sharpened(tmp_path):
    image = Image.new("L", (140, 140), 255)
    ImageDraw.Draw(image).rectangle((14, 14, 125, 125), fill=200)
    ImageDraw.Draw(image).rectangle((14, 70, 125, 125), fill=100)
    got = prepared(image, tmp_path / "a.png")
    # Next to a step of 100, blurring moves a value by 100 times 0.274, the outer weight of the Gaussian's three.
    assert got[[5, 13, 14, 22], 14].tolist() == pytest.approx([55, 55 - 0.83 * 27.4, 155 + 0.83 * 27.4, 155], abs=1)


@pytest.mark.parametrize("size", [(28, 27), (5, 3), (1, 400), (400, 1), (2, 2)])
def test_pictures_of_any_size_are_read(size, tmp_path):
    prepared(Image.effect_noise(size, 80), tmp_path / "a.png")


@pytest.mark.parametrize("size", [(60, 40), (28, 28), (1, 1)])
@pytest.mark.parametrize("colour", ["white", "black", (250, 250, 250), (0, 130, 0)])
def test_a_picture_of_one_colour_is_refused(size, colour, tmp_path):
    Image.new("RGB", size, colour).save(tmp_path / "a.png")
    assert "shows nothing" in complaint(tmp_path / "a.png")


def rectangle(ground, garment, mode="RGB"):
    """A rectangle in the middle of a square."""
    image = Image.new(mode, (200, 200), ground)
    ImageDraw.Draw(image).rectangle((60, 40, 139, 159), fill=garment)
    return image


@pytest.mark.parametrize("garment", ["white", "black", (200, 200, 200)])
def test_an_object_on_a_transparent_ground_stands_out(garment, tmp_path):
    got = prepared(rectangle((0, 0, 0, 0), garment, "RGBA"), tmp_path / "clear.png")
    on_the_other = prepared(rectangle("white" if garment == "black" else "black", garment), tmp_path / "a.png")
    np.testing.assert_array_equal(got, on_the_other)
    assert got.max() >= 200


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("frame", ["black", (90, 20, 20)])
def test_a_frame_changes_nothing(frame, width, tmp_path):
    framed = rectangle("white", (30, 30, 30))
    ImageDraw.Draw(framed).rectangle((0, 0, 199, 199), outline=frame, width=width)
    plain = prepared(rectangle("white", (30, 30, 30)), tmp_path / "a.png")
    np.testing.assert_array_equal(prepared(framed, tmp_path / "framed.png"), plain)


def test_a_speck_in_a_corner_changes_nothing(tmp_path):
    dirty = rectangle("white", (30, 30, 30))
    ImageDraw.Draw(dirty).rectangle((0, 0, 2, 2), fill="black")
    plain = prepared(rectangle("white", (30, 30, 30)), tmp_path / "a.png")
    np.testing.assert_array_equal(prepared(dirty, tmp_path / "dirty.png"), plain)


def test_an_object_that_differs_in_colour_alone_is_seen(tmp_path):
    got = prepared(rectangle((0, 130, 0), (255, 0, 0)), tmp_path / "a.png")
    np.testing.assert_array_equal(got, prepared(rectangle("black", "white"), tmp_path / "b.png"))


def test_npy_of_flattened_images(on_dark, tmp_path):
    np.save(tmp_path / "flat.npy", on_dark.reshape(3, 784))
    np.testing.assert_array_equal(read_images(tmp_path / "flat.npy"), on_dark)


def test_a_large_photograph_is_read_at_a_reduced_scale(tmp_path):
    large = shirt().resize((9000, 6000))
    got = prepared(large, tmp_path / "large.jpg", format="JPEG", quality=90)
    assert np.abs(got - prepared(shirt(height=400), tmp_path / "a.png").astype(int)).mean() < 8


@pytest.mark.parametrize(("mode", "kind"), [("I;16", "PNG"), ("RGBA", "TIFF"), ("F", "TIFF")])
def test_a_small_file_of_many_pixels_takes_little_memory(mode, kind, tmp_path):
    path = tmp_path / f"hostile.{kind.lower()}"
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    Image.new(mode, (5700, 5700)).save(path, kind, **options)
    code = f"""
import resource
from fmnist_jax.data.images import read_images
from fmnist_jax.errors import ImageError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_images({str(path)!r})
except ImageError:
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert int(done.stdout) < 512 * 1024  # KiB


# Colour modes, file formats, orientation


@pytest.mark.parametrize(("mode", "kind", "tolerance"), [
    ("RGBA", "PNG", 0), ("P", "PNG", 1), ("L", "PNG", 1), ("LA", "PNG", 1), ("CMYK", "TIFF", 1),
    ("I;16", "PNG", 1), ("I;16", "TIFF", 1), ("F", "TIFF", 1),
])  # fmt: skip
def test_colour_modes_agree(mode, kind, tolerance, tmp_path):
    image = shirt()
    expected = prepared(image, tmp_path / "rgb.png").astype(int)
    grey = np.asarray(image.convert("L"))
    by_hand = {
        "P": image.quantize(8),  # convert() would dither
        "I;16": Image.fromarray(grey.astype(np.uint16) * 257),
        "F": Image.fromarray(grey.astype(np.float32) / 255),
    }
    other = by_hand.get(mode) or image.convert(mode)
    assert other.mode == mode
    np.testing.assert_allclose(prepared(other, tmp_path / "other", format=kind), expected, atol=tolerance)


def test_bilevel_picture_is_read(tmp_path):
    image = shirt(garment="black")
    got = prepared(image.convert("1"), tmp_path / "bits.png")
    np.testing.assert_array_equal(got, prepared(image, tmp_path / "a.png"))


@pytest.mark.parametrize("kind", FORMATS)
def test_formats_agree_whatever_the_name(kind, tmp_path):
    image = shirt(height=800)
    got = prepared(image, tmp_path / "a.npy", format=kind)
    assert np.abs(got - prepared(image, tmp_path / "a.png").astype(int)).mean() < 5


def test_transparent_is_white(tmp_path):
    clear = shirt().convert("RGBA")
    background = ImageChops.difference(shirt(), Image.new("RGB", clear.size, "white")).convert("L")
    clear.putalpha(background.point(lambda value: 255 * (value > 0)))
    hidden = np.asarray(clear).copy()
    hidden[hidden[..., 3] == 0] = (0, 200, 0, 0)
    got = prepared(Image.fromarray(hidden), tmp_path / "clear.png")
    np.testing.assert_array_equal(got, prepared(shirt(), tmp_path / "a.png"))


def test_transparent_colour_of_a_palette_is_white(tmp_path):
    palette = shirt("lime").quantize(8)
    got = prepared(palette, tmp_path / "p.png", transparency=palette.getpixel((0, 0)))
    assert np.abs(got - prepared(shirt(), tmp_path / "a.png").astype(int)).mean() < 3


@pytest.mark.parametrize(("orientation", "stored"), [(3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90)])
def test_exif_orientation_is_undone(orientation, stored, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    got = prepared(shirt().transpose(stored), tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(got, prepared(shirt(), tmp_path / "a.png"))


def test_the_first_of_several_frames_is_read(tmp_path):
    got = prepared(shirt(), tmp_path / "a.tif", format="TIFF", save_all=True, append_images=[Image.new("L", (9, 9))])
    np.testing.assert_array_equal(got, prepared(shirt(), tmp_path / "a.png"))


# Arrays


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 28, 28, 1)])
def test_npy_of_28x28_images(dtype, shape, on_dark, tmp_path):
    array = on_dark if dtype == np.uint8 else (on_dark / 255).astype(dtype)
    np.save(tmp_path / "a.npy", array.reshape(shape))
    np.testing.assert_array_equal(read_images(tmp_path / "a.npy"), on_dark)


def test_npy_of_one_28x28_image(on_dark, tmp_path):
    np.save(tmp_path / "a.npy", on_dark[0])
    np.testing.assert_array_equal(read_images(tmp_path / "a.npy"), on_dark[:1])


def test_each_image_of_an_array_has_its_own_background(on_dark, tmp_path):
    np.save(tmp_path / "a.npy", np.stack([on_dark[0], 255 - on_dark[1]]))
    np.testing.assert_array_equal(read_images(tmp_path / "a.npy"), on_dark[:2])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_npy_of_one_picture_is_as_the_picture(mode, order, tmp_path):
    image = shirt().convert(mode)
    np.save(tmp_path / "a.npy", np.asarray(image, order=order))
    np.testing.assert_array_equal(read_images(tmp_path / "a.npy")[0], prepared(image, tmp_path / "a.png"))


def idx_bytes(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_is_returned_unchanged(pack, on_dark, tmp_path):
    images = np.concatenate([on_dark, 255 - on_dark])
    (tmp_path / "images").write_bytes(pack(idx_bytes(images)))
    np.testing.assert_array_equal(read_images(tmp_path / "images"), images)


# Errors


def test_missing_file_and_folder(tmp_path):
    assert "No such file" in complaint(tmp_path / "none.png")
    assert "not a file" in complaint(tmp_path)


@pytest.mark.parametrize(("content", "expected"), [
    (b"", "is empty"),
    (b"no image at all", "not an image of a known kind: PNG"),
    (gzip.compress(b"neither", mtime=0), "not an image of a known kind"),
    (gzip.compress(idx_bytes(np.zeros((2, 28, 28), np.uint8)), mtime=0)[:-4], "damaged"),
    (idx_bytes(np.arange(10, dtype=np.uint8)), "shape (10,), not images of 28x28"),
    (idx_bytes(np.zeros((2, 14, 14), np.uint8)), "shape (2, 14, 14), not images of 28x28"),
    (idx_bytes(np.zeros((0, 28, 28), np.uint8)), "no image"),
    (idx_bytes(np.zeros((2, 28, 28), np.uint8))[:-1], "damaged"),
    (encoded("PNG")[:200], "damaged"),
    (encoded("JPEG")[:700], "damaged"),
])  # fmt: skip
def test_bad_files(content, expected, tmp_path):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    message = complaint(path)
    assert expected in message
    assert str(path) in message


@pytest.mark.parametrize(("array", "expected"), [
    (np.zeros(784, np.uint8), "shape (784,); expected 28x28, n x 28x28"),
    (np.zeros((2, 3, 28, 28), np.uint8), "shape (2, 3, 28, 28)"),
    (np.zeros((40, 40, 2), np.uint8), "shape (40, 40, 2)"),
    (np.zeros((), np.uint8), "shape ()"),
    (np.zeros((0, 28, 28), np.uint8), "no image"),
    (np.zeros((0, 9), np.uint8), "no image"),
    (np.zeros((28, 28), np.int64), "type int64; expected uint8, or floats"),
    (np.zeros((28, 28), bool), "type bool"),
    (np.zeros((28, 28), complex), "type complex128"),
    (np.full((28, 28), 255.0), "from 255 to 255; expected 0 to 1"),
    (np.full((30, 30), -0.1), "from -0.1"),
    (np.full((28, 28), np.nan), "nan"),
    (np.full((28, 28), np.inf), "inf"),
    (np.full((28, 28), None), "Python objects"),
])  # fmt: skip
def test_bad_arrays(array, expected, tmp_path):
    np.save(tmp_path / "bad.npy", array)
    message = complaint(tmp_path / "bad.npy")
    assert expected in message
    assert str(tmp_path / "bad.npy") in message


def test_float_picture_out_of_range(tmp_path):
    Image.fromarray(np.full((9, 9), 200, np.float32)).save(tmp_path / "a.tif")
    assert "floats from 200 to 200" in complaint(tmp_path / "a.tif")


@pytest.mark.parametrize("side", [8193, 12_000, 2**31 - 1])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(side, tmp_path):
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", len(header) - 4) + header + struct.pack(">I", zlib.crc32(header))
    data = b"IDAT" + zlib.compress(bytes(1000))
    body = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + body)
    assert "too large" in complaint(tmp_path / "bomb.png")


def test_an_array_larger_than_its_file_is_refused(tmp_path):
    with (tmp_path / "bomb.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (2**40, 28, 28)})
    assert "damaged" in complaint(tmp_path / "bomb.npy")


@pytest.fixture(scope="module")
def whole_files():
    """A small file of each kind that is read."""
    stream = io.BytesIO()
    np.save(stream, np.zeros((2, 28, 28), np.uint8))
    images = idx_bytes(np.zeros((2, 28, 28), np.uint8))
    return [*(encoded(kind) for kind in FORMATS), stream.getvalue(), images, gzip.compress(images)]


@quick
@hypothesis.given(data=st.data())
def test_truncated_files_never_crash(data, whole_files, tmp_path_factory):
    whole = data.draw(st.sampled_from(whole_files))
    path = tmp_path_factory.mktemp("cut") / "a"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    read_or_complain(path)


@hypothesis.settings(quick, max_examples=300)
@hypothesis.given(data=st.data())
def test_damaged_files_never_crash(data, whole_files, tmp_path_factory):
    content = bytearray(data.draw(st.sampled_from(whole_files)))
    # Headers are where damage does most.
    place = st.integers(0, len(content) - 1) | st.integers(0, min(120, len(content) - 1))
    for at, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=6)):
        content[at] = value
    path = tmp_path_factory.mktemp("hit") / "a"
    path.write_bytes(content)
    read_or_complain(path)


MAGICS = (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"P6 ", b"\0\0\x08", b"\x1f\x8b")


@quick
@hypothesis.given(start=st.sampled_from([*MAGICS, b"\x93NUMPY\x01\0"]), rest=st.binary(max_size=200))
def test_random_bytes_never_crash(start, rest, tmp_path_factory):
    path = tmp_path_factory.mktemp("random") / "a"
    path.write_bytes(start + rest)
    read_or_complain(path)


COLOUR = Description("colour", ("a", "b"), (6, 8, 3))
GREY = Description("grey", ("a", "b"), (6, 8, 1))
DIGITS = Description("digits", ("a", "b"), (28, 28, 1), margin=4)


def test_a_colour_picture_is_cropped_to_the_proportions_of_the_data_and_resized(tmp_path):
    pixels = np.zeros((60, 100, 3), np.uint8)  # 10 columns left and right are cut off
    pixels[:, 10:50], pixels[:, 50:90] = (255, 0, 0), (0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (only,) = read_images(tmp_path / "a.png", COLOUR)
    assert (only[:, :4] == (255, 0, 0)).all()
    assert (only[:, 4:] == (0, 0, 255)).all()


def test_pictures_of_data_that_are_not_objects_on_black_are_neither_trimmed_nor_negated(tmp_path):
    light = np.full((6, 8), 250, np.uint8)
    light[2, 3] = 10
    Image.fromarray(light).save(tmp_path / "same.png")
    Image.fromarray(light.repeat(5, 0).repeat(5, 1)).save(tmp_path / "larger.png")
    np.save(tmp_path / "one.npy", light)
    np.save(tmp_path / "two.npy", np.stack([light, light]))
    for name in ("same.png", "larger.png", "one.npy", "two.npy"):
        for image in read_images(tmp_path / name, GREY):
            np.testing.assert_array_equal(image, light)


def test_arrays_in_the_shape_of_the_data_are_kept(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 8, 3), np.uint8)
    np.save(tmp_path / "several.npy", images)
    np.save(tmp_path / "one.npy", images[0])
    np.testing.assert_array_equal(read_images(tmp_path / "several.npy", COLOUR), images)
    np.testing.assert_array_equal(read_images(tmp_path / "one.npy", COLOUR), images[:1])
    with pytest.raises(ImageError, match=r"shape \(3, 6, 8, 3\); expected 28x28"):
        read_images(tmp_path / "several.npy")


def test_a_picture_for_data_of_other_channels_is_an_error(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"images have 4 channels; give them as \.npy files"):
        read_images(tmp_path / "a.png", Description("four", ("a", "b"), (6, 8, 4)))


def test_a_margin_stays_around_the_object(tmp_path):
    picture = np.full((100, 100), 255, np.uint8)
    picture[20:60, 30:50] = 0
    Image.fromarray(picture).save(tmp_path / "a.png")
    (only,) = read_images(tmp_path / "a.png", DIGITS)
    rows, columns = np.nonzero(only)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 23, 9, 18)
