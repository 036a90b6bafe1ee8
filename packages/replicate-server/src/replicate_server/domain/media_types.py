"""Media types of file names and back, from a fixed table: the same on every machine, whatever its system files say. Pure."""

from __future__ import annotations

import mimetypes

DEFAULT = "application/octet-stream"

# Added to, or preferred over, the standard library's table, which lacks newer formats on older Pythons and says audio/x-wav.
_PREFERRED = {
    ".aac": "audio/aac",
    ".flac": "audio/flac",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".jpg": "image/jpeg",
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".npy": "application/x-npy",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".parquet": "application/vnd.apache.parquet",
    ".safetensors": DEFAULT,
    ".txt": "text/plain",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
}
_EXTENSIONS = {media_type: extension for extension, media_type in reversed(_PREFERRED.items()) if media_type != DEFAULT}
_EXTENSIONS |= {"audio/x-wav": ".wav", "audio/wave": ".wav", "image/jpg": ".jpg", "audio/ogg": ".ogg"}

# No file names: the table must not depend on /etc/mime.types.
_STANDARD = mimetypes.MimeTypes(())


def media_type_of(name: str) -> str:
    """The media type that a file name's ending says; ``application/octet-stream`` when it says nothing."""
    _, dot, ending = name.rpartition(".")
    preferred = _PREFERRED.get(f".{ending.lower()}") if dot else None
    if preferred is not None:
        return preferred
    guessed, encoding = _STANDARD.guess_type(f"file.{ending}") if dot else (None, None)
    return guessed if guessed is not None and encoding is None else DEFAULT


def extension_of(media_type: str) -> str:
    """The file name ending (with its dot) for a media type; "" when none is known. Parameters are ignored."""
    essence = media_type.partition(";")[0].strip().lower()
    return _EXTENSIONS.get(essence) or _STANDARD.guess_extension(essence) or ""
