"""Pictures that people upload, drawn anew: what is kept and shown is our own PNG and none of the bytes sent."""

from io import BytesIO

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_BYTES = 1 << 20
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
            picture.thumbnail(within)
            upright = ImageOps.exif_transpose(picture).convert("RGBA")
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ValidationError(_("This is no picture that can be read. Choose a PNG, JPEG or WebP file.")) from error
    kept = BytesIO()
    Image.frombytes(upright.mode, upright.size, upright.tobytes()).save(kept, "PNG", optimize=True)  # pixels alone
    return kept.getvalue()
