"""The eSpeak NG library through ctypes: text in, 16-bit samples out.

Owns the library's process-wide state, so there may be one ``Synthesizer`` in a process. Writes no files but one link.
"""

from __future__ import annotations

import ctypes
import os
import tempfile

import espeakng_loader

# From espeak-ng/speak_lib.h
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
CHARACTERS_UTF8 = 1
POSITION_CHARACTER = 1
PARAMETER_RATE = 1
PARAMETER_PITCH = 3
STATUS_OK = 0

Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class SynthesisError(RuntimeError):
    """The library refused what it was asked."""


class Synthesizer:
    """One initialized library. Not safe for use from two threads at once."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        # The library keeps its data path in a buffer of 160 bytes, and environments may lie deep: a short link always fits.
        home = tempfile.mkdtemp(prefix="espeak")
        os.symlink(espeakng_loader.get_data_path(), os.path.join(home, "espeak-ng-data"))
        rate = self._library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, home.encode(), INITIALIZE_DONT_EXIT)
        if rate <= 0:
            raise SynthesisError("eSpeak NG did not start")
        self.sample_rate_hz: int = rate
        self._chunks: list[bytes] = []
        # ctypes does not keep a callback alive; this attribute does.
        self._callback = Callback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, *, voice: str, words_per_minute: int, pitch: int) -> bytes:
        """Synthesize a text.

        Args:
            text: What to say. A zero character would end it early, so it counts as a space.
            voice: A name such as ``en-us`` or ``de+f3``.
            words_per_minute: 80 to 450.
            pitch: 0 to 99.

        Returns:
            Mono samples, int16 little-endian at ``sample_rate_hz``; empty when there is nothing to pronounce.

        Raises:
            SynthesisError: The voice is unknown or the synthesis failed.
        """
        self._require(self._library.espeak_SetVoiceByName(voice.encode()), f"no voice {voice!r}")
        self._require(self._library.espeak_SetParameter(PARAMETER_RATE, words_per_minute, 0), "the speed was refused")
        self._require(self._library.espeak_SetParameter(PARAMETER_PITCH, pitch, 0), "the pitch was refused")
        encoded = text.replace("\0", " ").encode() + b"\0"
        self._chunks = []
        status = self._library.espeak_Synth(
            encoded, ctypes.c_size_t(len(encoded)), ctypes.c_uint(0), POSITION_CHARACTER, ctypes.c_uint(0),
            ctypes.c_uint(CHARACTERS_UTF8), None, None,
        )  # fmt: skip
        self._require(status, "the synthesis failed")
        return b"".join(self._chunks)

    def _receive(self, samples: ctypes._Pointer[ctypes.c_short] | None, count: int, events: int | None) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    @staticmethod
    def _require(status: int, message: str) -> None:
        if status != STATUS_OK:
            raise SynthesisError(message)
