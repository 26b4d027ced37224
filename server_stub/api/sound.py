"""Bodies that hold the contract's records: of exactly their types, and what can be kept of them.

Pydantic by itself takes `false` for 0 and "5" for 5; the document says that it does not.
"""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from pydantic import AfterValidator, ValidatorFunctionWrapHandler, WrapValidator

from server_stub.domain.sound import fault_of_assertion, fault_of_rules, fault_of_value
from telemhq_agents.contract.judging import TrackerFile
from telemhq_agents.contract.rules import Assertion, Channel, Rules, Window

T = TypeVar("T")


def _exactly(record: type[Any]) -> WrapValidator:
    """Refuse what is not of the record's types to the letter."""

    def check(body: Any, handler: ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401 - JSON
        read = handler(body)
        try:
            msgspec.convert(body, record)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error
        return read

    return WrapValidator(check)


def _without(fault_of: Callable[[Any], str]) -> AfterValidator:
    def check(body: T) -> T:
        fault = fault_of(body)
        if fault:
            raise ValueError(fault)
        return body

    return AfterValidator(check)


def _fault_of_file(file: TrackerFile) -> str:
    faults = ((at, fault_of_rules(tracker)) for at, tracker in enumerate(file.trackers))
    return next((f"trackers[{at}].{fault}" for at, fault in faults if fault), "")


SoundValue = Annotated[Any, _without(fault_of_value)]
SoundWindow = Annotated[Window, _exactly(Window)]
SoundChannel = Annotated[Channel, _exactly(Channel)]
SoundAssertion = Annotated[Assertion, _without(fault_of_assertion), _exactly(Assertion)]
SoundRules = Annotated[Rules, _without(fault_of_rules), _exactly(Rules)]
SoundTrackerFile = Annotated[TrackerFile, _without(_fault_of_file), _exactly(TrackerFile)]
