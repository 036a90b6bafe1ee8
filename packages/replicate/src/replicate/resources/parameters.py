"""Keyword parameters that several methods share, named once. Only for type checkers: nothing imports this at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, TypedDict, Union

if TYPE_CHECKING:
    from typing_extensions import Required

    from replicate.file import FileEncodingStrategy


class RunParameters(TypedDict, total=False):
    """What a run accepts beside its input."""

    webhook: Optional[str]
    webhook_completed: Optional[str]
    webhook_events_filter: Optional[List[str]]
    stream: Optional[bool]
    wait: Union[bool, float, None]
    file_encoding_strategy: Optional[FileEncodingStrategy]


class ModelFields(TypedDict, total=False):
    """What describes a new model."""

    visibility: Required[str]
    hardware: Required[str]
    description: Optional[str]
    github_url: Optional[str]
    paper_url: Optional[str]
    license_url: Optional[str]
    cover_image_url: Optional[str]
