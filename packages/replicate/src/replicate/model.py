"""A model: owner/name, a family of versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping, Optional, Type, TypeVar

from replicate.prediction import Prediction
from replicate.records import Record
from replicate.version import Version

if TYPE_CHECKING:
    from replicate.resources.versions import Versions

M = TypeVar("M", bound="Model")


@dataclass
class Model(Record):
    """A model's page: what it is and its latest version."""

    owner: str
    name: str
    url: str = ""
    description: Optional[str] = None
    visibility: str = "public"
    is_official: bool = False
    github_url: Optional[str] = None
    paper_url: Optional[str] = None
    license_url: Optional[str] = None
    run_count: int = 0
    cover_image_url: Optional[str] = None
    default_example: Optional[Prediction] = None
    latest_version: Optional[Version] = None
    created_at: Optional[str] = None

    @classmethod
    def from_json(cls: Type[M], data: Mapping[str, Any]) -> M:
        """Read a decoded JSON object; an empty example or version counts as none."""
        model = super().from_json(data)
        example: Any = model.default_example
        latest: Any = model.latest_version
        model.default_example = Prediction.from_json(example) if example else None
        model.latest_version = Version.from_json(latest) if latest else None
        return model

    @property
    def id(self) -> str:
        """The model's reference, ``owner/name``."""
        return f"{self.owner}/{self.name}"

    @property
    def username(self) -> str:
        """Old name of `owner`."""
        return self.owner

    @property
    def versions(self) -> Versions:
        """The versions of this model."""
        return self._bound.models.versions_of(self)

    def reload(self) -> None:
        """Fetch the model again, in place."""
        self.take(self._bound.models.get(self.id))

    async def async_reload(self) -> None:
        """Fetch the model again, in place."""
        self.take(await self._bound.models.async_get(self.id))
