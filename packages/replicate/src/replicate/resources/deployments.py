"""``client.deployments``: run what a deployment's name points at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional, Tuple, Union

from replicate.core.flows import Target
from replicate.resources.namespace import Namespace
from replicate.resources.targets import parse_names

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from replicate.resources.parameters import RunParameters


class Deployments(Namespace):
    """Deployments, by ``owner/name``."""

    def run(
        self,
        deployment: Union[str, Tuple[str, str]],
        input: Optional[Mapping[str, Any]] = None,  # the API's word
        *,
        use_file_output: bool = True,
        **parameters: Unpack[RunParameters],
    ) -> Any:
        """Run a deployment and return its output; parameters and errors are those of `Client.run`."""
        target = Target(deployment=parse_names(deployment))
        return self._client.run_target(target, input, use_file_output=use_file_output, **parameters)

    async def async_run(
        self,
        deployment: Union[str, Tuple[str, str]],
        input: Optional[Mapping[str, Any]] = None,  # the API's word
        *,
        use_file_output: bool = True,
        **parameters: Unpack[RunParameters],
    ) -> Any:
        """Run a deployment and return its output; see `run`."""
        target = Target(deployment=parse_names(deployment))
        return await self._client.async_run_target(target, input, use_file_output=use_file_output, **parameters)
