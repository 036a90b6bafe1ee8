"""Settings: read once from the environment and flags into a frozen value, then passed as arguments.

Every name is an environment variable with the prefix ``REPLICATE_SERVER_``. ``docs/reference/settings.md`` describes each; a test
compares the two. Units end the names.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

MEBIBYTE = 1024**2
GIBIBYTE = 1024**3


class Settings(BaseSettings):
    """Everything an operator can choose."""

    model_config = SettingsConfigDict(env_prefix="REPLICATE_SERVER_", frozen=True, extra="forbid")

    # Where it listens and keeps its data.
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    data_dir: Path = Field(default=Path("data"), description="Folder of the database, the files and the environments.")
    public_url: str | None = Field(
        default=None, description="How clients reach the server, without a trailing slash. Default: http://HOST:PORT."
    )
    allow_insecure_bind: bool = Field(
        default=False, description="Listen on other than loopback addresses without TLS in front. Refused unless set."
    )
    bootstrap_token: SecretStr | None = Field(
        default=None,
        description="Token of the first account, instead of a random one. Must begin with r8_ and have at least 24 characters.",
    )
    bootstrap_username: str = Field(default="local", description="Name of the first account.")

    # Predictions.
    prediction_attempts_max: int = Field(
        default=3, ge=1, description="How often a prediction's code is started before a lost instance fails it."
    )
    prediction_timeout_seconds: float = Field(
        default=1800, gt=0, description="How long a prediction may run before it is canceled."
    )
    prediction_body_bytes_max: int = Field(default=100 * MEBIBYTE, gt=0, description="Largest request body of a create.")
    sync_wait_seconds_max: float = Field(default=60, gt=0, description="Upper bound of Prefer: wait.")
    queue_length_max: int = Field(default=1_000_000, gt=0, description="Queued predictions in all; then creates answer 429.")
    prediction_creates_per_minute: int = Field(
        default=600, ge=0, description="Predictions an account may create in a minute, also all at once; 0 lifts the limit."
    )
    prediction_reads_per_minute: int = Field(
        default=60_000, ge=0, description="How often an account may get single predictions in a minute; 0 lifts the limit."
    )
    other_requests_per_minute: int = Field(
        default=3_000, ge=0, description="Every other request an account may make in a minute; 0 lifts the limit."
    )
    idempotency_seconds: float = Field(
        default=86400, gt=0, description="How long an Idempotency-Key stands for the request it was first sent with."
    )
    logs_bytes_max: int = Field(
        default=5 * MEBIBYTE, gt=0, description="Log text kept for one prediction: head and tail, with a mark between."
    )
    output_bytes_max: int = Field(default=64 * MEBIBYTE, gt=0, description="Largest JSON output of one prediction.")

    # Instances.
    setup_timeout_seconds: float = Field(default=600, gt=0, description="How long environment and setup() may take.")
    setup_failures_max: int = Field(default=3, ge=1, description="Setup failures in a row that quarantine a version.")
    quarantine_seconds: float = Field(default=300, gt=0, description="How long a quarantined version fails predictions at once.")
    instance_idle_seconds: float = Field(default=300, ge=0, description="How long an idle instance stays warm.")
    instances_per_version_max: int = Field(default=4, ge=1, description="Instances of one version at once.")
    instance_memory_bytes: int = Field(default=2 * GIBIBYTE, gt=0, description="Memory limit of one instance.")
    instance_network: bool = Field(
        default=True, description="Whether model code may use the network (cog models often download weights in setup)."
    )
    instance_variables: str = Field(
        default="",
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*(\s*,\s*[A-Za-z_][A-Za-z0-9_]*)*)?$",
        description="Names of the server's environment variables that models get, separated by commas: HF_TOKEN,HTTPS_PROXY.",
    )
    builds_from_source: bool = Field(
        default=False,
        description="Whether requirements that have no wheel may be built where bubblewrap does not work. Building runs their "
        "authors' code, then with the server's own rights. With bubblewrap it runs isolated as model code does, and this setting "
        "has no effect.",
    )
    caches_bytes_max: int = Field(
        default=100 * GIBIBYTE,
        ge=0,
        description="Size of all environments and unpacked versions above which a start removes those unused for the longest; "
        "they are made again when they are needed.",
    )
    sandbox: str = Field(default="auto", pattern="^(auto|bubblewrap|process)$", description="How model code is isolated.")
    cpu_slots: float | None = Field(default=None, gt=0, description="Instances that may run at once by CPU. Default: 2 per core.")
    memory_bytes: int | None = Field(
        default=None, gt=0, description="Memory for all instances. Default: three quarters of the machine's."
    )
    gpus: int | None = Field(default=None, ge=0, description="GPUs to use. Default: those found.")
    cancel_grace_seconds: float = Field(default=10, ge=0, description="Between asking canceled code to stop and killing it.")
    lease_seconds: float = Field(default=15, gt=0, description="How long an unresponsive instance or server keeps its claims.")

    # Files and the network.
    file_bytes_max: int = Field(default=100 * MEBIBYTE, gt=0, description="Largest upload of the Files API.")
    file_expiry_seconds: float = Field(default=86400, gt=0, description="How long an uploaded file is kept.")
    input_file_bytes_max: int = Field(default=5 * GIBIBYTE, gt=0, description="Largest file fetched for an input.")
    output_file_bytes_max: int = Field(default=5 * GIBIBYTE, gt=0, description="Largest file of an output.")
    package_bytes_max: int = Field(default=2 * GIBIBYTE, gt=0, description="Largest published folder, unpacked.")
    private_targets: bool | None = Field(
        default=None,
        description="Whether webhooks and input URLs may point to loopback and private addresses, and webhooks to plain http. "
        "Default: only while listening on loopback.",
    )
    fetch_timeout_seconds: float = Field(default=300, gt=0, description="Time limit of fetching one input URL.")

    # Webhooks and streams.
    webhook_attempts_max: int = Field(default=10, ge=1, description="Attempts of a terminal webhook.")
    webhook_timeout_seconds: float = Field(default=15, gt=0, description="Time limit of one webhook request.")
    webhook_interval_seconds: float = Field(
        default=0.5, ge=0, description="Shortest time between output or logs webhooks of one prediction."
    )
    stream_heartbeat_seconds: float = Field(default=15, gt=0, description="Longest silence in an event stream.")
    shutdown_grace_seconds: float = Field(
        default=25, ge=0, description="Time for running predictions and open requests to end after a stop signal."
    )

    @property
    def passed_variables(self) -> tuple[str, ...]:
        """The names in ``instance_variables``."""
        return tuple(name.strip() for name in self.instance_variables.split(",") if name.strip())

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in {"127.0.0.1", "::1", "localhost"} or self.host.startswith("127.")

    @property
    def allows_private_targets(self) -> bool:
        """The effective ``private_targets``."""
        return self.is_loopback if self.private_targets is None else self.private_targets

    @property
    def base_url(self) -> str:
        """The effective ``public_url``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")
