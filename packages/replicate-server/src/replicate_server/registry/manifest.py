"""A version as OCI content: image config and manifest, in one canonical spelling.

Owns the documents and their digests. Pure: bytes in, bytes out. The version id is the sha256 of the manifest's bytes, so it names
everything that a version runs with: the layers, the lock, the schema and the settings.

Source: https://github.com/opencontainers/image-spec/blob/main/manifest.md and config.md; the labels are those of Cog's images.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replicate_server.domain.ids import VersionId
from replicate_server.domain.records import Package

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"

SOURCE_DIR = "/src"
LABEL_CONFIG = "run.cog.config"
LABEL_SCHEMA = "run.cog.openapi_schema"
LABEL_COG_VERSION = "run.cog.version"
LABEL_LOCK = "run.cog.pip_freeze"
LABEL_RUNNER = "run.cog.runner"
LABEL_PYTHON = "run.cog.python_version"


class ManifestBroken(ValueError):
    """A manifest or config that is not what this module writes, or does not match its digest."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One tar+gzip layer."""

    sha256: str
    """Of the compressed bytes."""
    size_bytes: int
    diff_id: str
    """sha256 of the uncompressed tar."""


@dataclass(frozen=True, slots=True)
class VersionDocuments:
    """The two documents of a version."""

    config: bytes
    manifest: bytes
    version_id: VersionId

    @property
    def config_sha256(self) -> str:
        """The config's digest in hex."""
        return digest_hex(self.config)


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no white space: equal values have equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_hex(content: bytes) -> str:
    """sha256 in hex."""
    return hashlib.sha256(content).hexdigest()


def blob_key(digest: str) -> str:
    """Where content with a digest (``sha256:…`` or bare hex) lies in the blob store."""
    return f"oci/{digest.removeprefix('sha256:')}"


def build_documents(
    package: Package,
    layers: Sequence[Layer],
    *,
    cog_config: Mapping[str, Any],
    openapi_schema: Mapping[str, Any],
    cog_version: str,
    architecture: str,
) -> VersionDocuments:
    """Write a version's config and manifest. The same arguments give the same bytes; no time is in them.

    Args:
        package: What runs; its ``layers`` are those of ``layers``.
        layers: The content, lowest first.
        cog_config: The model's cog.yaml, completed.
        openapi_schema: What the runner's signature says.
        cog_version: Of the cog package that read both.
        architecture: In Go's words: ``amd64``, ``arm64``.
    """
    labels = {
        LABEL_CONFIG: canonical_json(cog_config).decode(),
        LABEL_SCHEMA: canonical_json(openapi_schema).decode(),
        LABEL_COG_VERSION: cog_version,
        LABEL_LOCK: package.requirements_lock,
        LABEL_RUNNER: package.runner,
        LABEL_PYTHON: package.python_version,
        "run.cog.has_init": "true",
    }
    config = canonical_json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {
                "Env": [f"{name}={value}" for name, value in sorted(package.environment.items())],
                "WorkingDir": SOURCE_DIR,
                "Labels": labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in layers]},
        }
    )
    manifest = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": CONFIG_TYPE, "digest": f"sha256:{digest_hex(config)}", "size": len(config)},
            "layers": [
                {"mediaType": LAYER_TYPE, "digest": f"sha256:{layer.sha256}", "size": layer.size_bytes} for layer in layers
            ],
        }
    )
    return VersionDocuments(config, manifest, VersionId(digest_hex(manifest)))


def check_documents(version_id: VersionId, package: Package, *, manifest: bytes, config: bytes) -> None:
    """Check that a stored package is the one its version id names.

    Raises:
        ManifestBroken: If any digest on the way from the id to the lock and the layers does not match (promise O12).
    """
    if digest_hex(manifest) != version_id:
        raise ManifestBroken("the manifest's digest is not the version id")
    described = json.loads(manifest)
    if described["config"]["digest"] != f"sha256:{digest_hex(config)}":
        raise ManifestBroken("the config's digest is not the manifest's")
    if tuple(layer["digest"] for layer in described["layers"]) != package.layers:
        raise ManifestBroken("the layers are not the manifest's")
    labels = json.loads(config)["config"]["Labels"]
    recorded = (labels[LABEL_LOCK], labels[LABEL_RUNNER], labels[LABEL_PYTHON])
    if recorded != (package.requirements_lock, package.runner, package.python_version):
        raise ManifestBroken("the lock or the runner is not the config's")
