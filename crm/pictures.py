"""Pictures that people upload, drawn anew: what is kept and shown is our own PNG and none of the bytes sent."""

import struct
from io import BytesIO

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_BYTES = 1 << 20
# How a camera says that it was held: what makes the picture upright again. Only pixels are turned: to write the rest
# of what it says anew, as Pillow's own way does, fails on what cameras write.
ORIENTATION = 0x0112
TURNS = dict(enumerate(
    [
        Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
        Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90,
    ],
    start=2,
))  # fmt: skip
# What Pillow raises on a broken file, which is no one kind of error.
UNREADABLE = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, AttributeError, struct.error,
    Image.DecompressionBombError,
)  # fmt: skip
MOST_PIXELS = 16_000_000  # known from the file's head, before a pixel is unpacked


def drawn_anew(file, *, within):
    """
    This will give the picture in `file` as the bytes of a PNG that fits `within` (width, height). Raises
    ValidationError.
    """
    if file.size > MOST_BYTES:
        raise ValidationError(_("That is too large. A picture has 1 MB at most."))
    try:
        with Image.open(file, formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValidationError(_("That has too many pixels. Make the picture smaller."))
            turn = TURNS.get(picture.getexif().get(ORIENTATION))
            picture.thumbnail(within)
            upright = (picture.transpose(turn) if turn is not None else picture).convert("RGBA")
    except UNREADABLE as error:
        raise ValidationError(_("This is no picture that can be read. Choose a PNG, JPEG or WebP file.")) from error
    kept = BytesIO()
    Image.frombytes(upright.mode, upright.size, upright.tobytes()).save(kept, "PNG", optimize=True)  # pixels alone
    return kept.getvalue()
