"""Writes the pictures of this folder and what Pillow and torchvision's rules make of them.

    python make.py FOLDER          small pictures, committed beside this script
    python make.py --large FOLDER  large ones, written by the test at run time

pictures.csv has a line per picture: name, width, height, channels; pictures.raw their upright pixels, uint8
[height, width, channels], one after the other. crops.csv has a line per preprocessing of a picture: name, short side
(0: squash), height, width, filter, channels; crops.raw the resized and cropped bytes, one after the other.
scaled.csv has a line per JPEG and size it is needed at: name, needed width and height, width, height, channels; scaled.raw the
upright pixels of Pillow's draft at twice the needed size.
Written with Pillow 13.0 and NumPy 2.
"""

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

pictures, pictures_raw = [], []
crops, crops_raw = [], []
scaled, scaled_raw = [], []


def scene(width, height, channels):
    """Smooth colours with one edge: compresses well, and no two channels agree."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    planes = [200 * x + 50 * y, 120 + 110 * np.sin(5 * x) * np.cos(4 * y), 255 * (1 - y) * x + 30 * (x > y), 255 * y]
    return np.clip(np.stack(planes[:channels], 2), 0, 255)


def eight(width, height, channels):
    a = scene(width, height, channels).astype(np.uint8)
    return a[:, :, 0] if channels == 1 else a


def rgb(width=33, height=21):
    return Image.fromarray(eight(width, height, 3))


def grey(width=33, height=21):
    return Image.fromarray(eight(width, height, 1))


def expected(image):
    """The upright pixels, by Pillow: L where the picture has no colour, else RGB."""
    image.seek(0)
    image = ImageOps.exif_transpose(image)
    return image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")


def keep(folder, name, data, pixels=None):
    """Writes one picture and its pixels; `pixels` where Pillow's own rule is not ours."""
    (folder / name).write_bytes(data)
    if pixels is None:
        pixels = np.asarray(expected(Image.open(io.BytesIO(data))))
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    pictures_raw.append(pixels.astype(np.uint8).tobytes())
    pictures.append(f"{name},{pixels.shape[1]},{pixels.shape[0]},{pixels.shape[2]}")


def encoded(name, image, **options):
    """The bytes of a picture in the format that its name ends in."""
    file = io.BytesIO()
    image.save(file, {"jpg": "JPEG", "tif": "TIFF", "pnm": "PPM"}.get(name[-3:], name.split(".")[1]), **options)
    return file.getvalue()


def save(folder, name, image, pixels=None, **options):
    keep(folder, name, encoded(name, image, **options), pixels)


def orientation(tag):
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, colour_type, bits, interlaced=False):
    """A PNG that Pillow cannot write; `samples` is [height, width, channels]."""
    height, width = samples.shape[:2]
    samples = samples.astype(">u2" if bits == 16 else np.uint8)
    seven = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    passes = [samples[y::dy, x::dx] for y, x, dy, dx in seven] if interlaced else [samples]
    rows = b"".join(b"\0" + row.tobytes() for part in passes if part.size for row in part)
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def with_xmp_orientation(tag):
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{tag}"/></x:xmpmeta>'.encode()


def make_png(folder):
    save(folder, "grey.png", grey())
    save(folder, "grey-alpha.png", Image.merge("LA", [grey(), grey()]))
    save(folder, "bits-1.png", grey().convert("1"))
    for bits in (1, 2, 4, 8):
        save(folder, f"palette-{bits}.png", rgb().quantize(2**bits), bits=bits)
    transparent = rgb().quantize(16)
    save(folder, "palette-clear-index.png", transparent, transparency=3)
    save(folder, "palette-clear-table.png", transparent, transparency=bytes(range(0, 256, 16)))
    save(folder, "rgb.png", rgb())
    save(folder, "rgba.png", Image.fromarray(eight(33, 21, 4)))
    save(folder, "rgb-clear-colour.png", rgb(), transparency=tuple(int(v) for v in eight(33, 21, 3)[4, 4]))
    save(folder, "grey-clear-level.png", grey(), transparency=100)
    save(folder, "one-pixel.png", rgb(1, 1))
    save(folder, "tall.png", rgb(1, 2000))
    save(folder, "wide.png", rgb(2000, 1))
    save(folder, "exif-6.png", rgb(), exif=orientation(6))
    keep(folder, "interlaced.png", png(eight(33, 21, 3), 2, 8, interlaced=True))
    for name, colour_type, channels in (("grey", 0, 1), ("grey-alpha", 4, 2), ("rgb", 2, 3), ("rgba", 6, 4)):
        wide = (scene(33, 21, channels) * 256 + np.arange(33)[None, :, None] * 7).astype(np.uint16)
        shown = wide[:, :, : 1 if channels < 3 else 3] >> 8
        keep(folder, f"{name}-16.png", png(wide, colour_type, 16), shown)


def make_jpeg(folder):
    save(folder, "grey.jpg", grey(), quality=85)
    for name, sampling in (("444", "4:4:4"), ("422", "4:2:2"), ("420", "4:2:0")):
        save(folder, f"{name}.jpg", rgb(), quality=85, subsampling=sampling)
        save(folder, f"{name}-progressive.jpg", rgb(35, 19), quality=70, subsampling=sampling, progressive=True)
    save(folder, "restarts.jpg", rgb(70, 50), quality=85, restart_marker_rows=1)
    save(folder, "rgb-kept.jpg", rgb(), quality=85, keep_rgb=True)
    for width, height in ((1, 1), (2, 3), (8, 8), (16, 16), (17, 1), (1, 17), (5, 40)):
        save(folder, f"size-{width}x{height}.jpg", rgb(width, height), quality=90)
    for tag in range(1, 9):
        save(folder, f"exif-{tag}.jpg", rgb(20, 12), quality=85, exif=orientation(tag))
    save(folder, "xmp-6.jpg", rgb(20, 12), quality=85, xmp=with_xmp_orientation(6))
    cmyk = encoded("cmyk.jpg", Image.fromarray(eight(33, 21, 4), "CMYK"), quality=85)
    keep(folder, "cmyk.jpg", cmyk)
    save(folder, "cmyk-420.jpg", Image.fromarray(eight(33, 21, 4), "CMYK"), quality=85, subsampling="4:2:0")
    transform = cmyk.index(b"Adobe") + 11
    keep(folder, "ycck.jpg", cmyk[:transform] + b"\2" + cmyk[transform + 1 :])
    keep(folder, "440.jpg", make_440(eight(32, 32, 3)))


def make_440(pixels):
    """A 4:4:0 JPEG: a 4:2:2 one turned by a quarter keeps its size in blocks, so only the header changes."""
    data = bytearray(encoded("422.jpg", Image.fromarray(pixels), quality=85, subsampling="4:2:2"))
    data[data.index(b"\xff\xc0") + 11] = 0x12
    return bytes(data)


def make_webp(folder):
    save(folder, "lossless.webp", rgb(), lossless=True)
    save(folder, "lossless-rgba.webp", Image.fromarray(eight(33, 21, 4)), lossless=True, exact=True)
    save(folder, "lossy.webp", rgb(), quality=80)
    save(folder, "lossy-rgba.webp", Image.fromarray(eight(33, 21, 4)), quality=80)
    save(folder, "frames.webp", rgb(), lossless=True, save_all=True, append_images=[grey().convert("RGB")])
    save(folder, "exif-8.webp", rgb(), lossless=True, exif=orientation(8))


def make_tiff(folder):
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        save(folder, f"{compression.replace('_', '-')}.tif", rgb(), compression=compression)
    save(folder, "grey.tif", grey())
    save(folder, "bits-1.tif", grey().convert("1"))
    save(folder, "rgba.tif", Image.fromarray(eight(33, 21, 4)))
    save(folder, "cmyk.tif", Image.fromarray(eight(33, 21, 4), "CMYK"))
    save(folder, "exif-6.tif", rgb(), exif=orientation(6))
    wide = (scene(33, 21, 1)[:, :, 0] * 256).astype(np.uint16)
    save(folder, "grey-16.tif", Image.fromarray(wide), pixels=wide >> 8)
    save(folder, "palette.tif", rgb().quantize(16))
    save(folder, "jpeg.tif", rgb(), compression="jpeg", quality=85)
    save(folder, "big.tif", rgb(), big_tiff=True, compression="tiff_lzw")
    save(folder, "big-palette.tif", rgb().quantize(256), big_tiff=True)
    save(folder, "float.tif", Image.fromarray(scene(33, 21, 1)[:, :, 0].astype(np.float32)))


def make_rest(folder):
    save(folder, "bits-1.bmp", grey().convert("1"))
    save(folder, "grey.bmp", grey())
    save(folder, "palette.bmp", rgb().quantize(16))
    save(folder, "rgb.bmp", rgb())
    save(folder, "rgba.bmp", Image.fromarray(eight(33, 21, 4)))
    save(folder, "palette.gif", rgb().quantize(32))
    save(folder, "clear.gif", rgb().quantize(16), transparency=3)
    save(folder, "frames.gif", rgb().quantize(32), save_all=True, append_images=[grey().convert("P")])
    save(folder, "bits-1.pnm", grey().convert("1"))
    save(folder, "grey.pnm", grey())
    save(folder, "rgb.pnm", rgb())
    wide = (scene(33, 21, 1)[:, :, 0] * 256).astype(np.uint16)
    keep(folder, "grey-16.pnm", b"P5 33 21 65535\n" + wide.astype(">u2").tobytes(), wide >> 8)
    keep(folder, "plain-grey.pnm", b"P2 # a comment\n4 2 255\n0 10 20 30\n200 210 220 255\n")
    keep(folder, "plain-rgb.pnm", b"P3 2 1 255 1 2 3 250 251 252\n")
    keep(folder, "plain-bits.pnm", b"P1 4 1 1 0 1 0\n")


FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def crop(folder, name, resize, height, width, interpolation, channels):
    """torchvision's Resize(resize) and CenterCrop((height, width)), or Resize((height, width)) where resize is 0."""
    image = expected(Image.open(folder / name)).convert("L" if channels == "grey" else "RGB")
    w, h = image.size
    if resize == 0:
        size = (width, height)
    elif w <= h:
        size = (resize, int(resize * h / w))
    else:
        size = (int(resize * w / h), resize)
    image = image.resize(size, FILTERS[interpolation])
    left, top = int(round((size[0] - width) / 2.0)), int(round((size[1] - height) / 2.0))
    image = image.crop((left, top, left + width, top + height))
    crops_raw.append(np.asarray(image).tobytes())
    crops.append(f"{name},{resize},{height},{width},{interpolation},{channels}")


def make_crops(folder):
    for interpolation in FILTERS:
        crop(folder, "rgb.png", 20, 15, 16, interpolation, "rgb")
        crop(folder, "420.jpg", 48, 17, 18, interpolation, "rgb")
        crop(folder, "rgb.png", 0, 9, 25, interpolation, "rgb")
        crop(folder, "grey.png", 17, 16, 13, interpolation, "grey")
        crop(folder, "rgb.png", 20, 15, 16, interpolation, "grey")
        crop(folder, "tall.png", 16, 12, 11, interpolation, "rgb")
        crop(folder, "wide.png", 16, 12, 11, interpolation, "rgb")
        crop(folder, "one-pixel.png", 8, 7, 7, interpolation, "rgb")
        crop(folder, "tall.png", 0, 12, 11, interpolation, "grey")


def textured(width, height, channels):
    """A scene with fine stripes, of which the ways to scale down make different pixels."""
    y, x = np.mgrid[:height, :width][:, :, :, None]
    stripes = 40 * np.sin(x * np.arange(1, channels + 1)) * np.cos(0.7 * y)
    return np.clip(scene(width, height, channels) + stripes, 0, 255).astype(np.uint8)


def scale(folder, name, width, height):
    """A JPEG as it is scaled while decoding for an input of this size."""
    image = Image.open(folder / name)
    turned = image.getexif().get(0x0112, 1) > 4
    image.draft(None, (2 * height, 2 * width) if turned else (2 * width, 2 * height))
    pixels = np.asarray(expected(image))
    scaled_raw.append(pixels.tobytes())
    scaled.append(f"{name},{width},{height},{pixels.shape[1]},{pixels.shape[0]},{1 if pixels.ndim == 2 else 3}")


def make_scaled(folder):
    colour, odd = Image.fromarray(textured(67, 45, 3)), Image.fromarray(textured(35, 83, 3))
    cmyk = encoded("cmyk.jpg", Image.fromarray(textured(67, 45, 4), "CMYK"), quality=90)
    transform = cmyk.index(b"Adobe") + 11
    files = {
        "grey": encoded("grey.jpg", Image.fromarray(textured(67, 45, 1)[:, :, 0]), quality=90),
        "440": make_440(textured(64, 64, 3)),
        "rgb-kept": encoded("rgb.jpg", colour, quality=90, keep_rgb=True),
        "restarts": encoded("restarts.jpg", colour, quality=90, restart_marker_rows=1),
        "exif-6": encoded("exif.jpg", colour, quality=90, exif=orientation(6)),
        "cmyk": cmyk,
        "ycck": cmyk[:transform] + b"\2" + cmyk[transform + 1 :],
    }
    for name, sampling in (("444", "4:4:4"), ("422", "4:2:2"), ("420", "4:2:0")):
        files[name] = encoded("colour.jpg", colour, quality=90, subsampling=sampling)
        files[f"{name}-odd"] = encoded("odd.jpg", odd, quality=90, subsampling=sampling)
        files[f"{name}-progressive"] = encoded("colour.jpg", colour, quality=80, subsampling=sampling, progressive=True)
    for name, data in files.items():
        (folder / f"scaled-{name}.jpg").write_bytes(data)
        for width, height in ((2, 2), (4, 4), (8, 8), (3, 11)):
            scale(folder, f"scaled-{name}.jpg", width, height)


def make_large(folder):
    save(folder, "photo.jpg", rgb(4000, 3000), quality=90)
    save(folder, "photo-progressive.jpg", rgb(1500, 2000), quality=75, progressive=True)
    save(folder, "scan.png", grey(4000, 3000))
    save(folder, "colour.png", rgb(3000, 1999))
    for interpolation in FILTERS:
        crop(folder, "photo.jpg", 256, 224, 224, interpolation, "rgb")
        crop(folder, "photo-progressive.jpg", 0, 224, 224, interpolation, "rgb")
        crop(folder, "scan.png", 256, 224, 224, interpolation, "grey")
        crop(folder, "colour.png", 232, 224, 224, interpolation, "grey")
    for side in (180, 224, 500):
        scale(folder, "photo.jpg", side, side)
        scale(folder, "photo-progressive.jpg", side // 2, side // 2)


def main():
    folder = Path(sys.argv[-1])
    if "--large" in sys.argv:
        make_large(folder)
    else:
        for make in (make_png, make_jpeg, make_webp, make_tiff, make_rest, make_crops, make_scaled):
            make(folder)
    for name, lines, raw in (("pictures", pictures, pictures_raw), ("crops", crops, crops_raw), ("scaled", scaled, scaled_raw)):
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
        (folder / f"{name}.raw").write_bytes(b"".join(raw))


if __name__ == "__main__":
    main()
