"""What a stub's signature promises, free of any web framework: parameters, body and answers, each with a validator."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from limen.contract.answer_model import AnswerModel
from limen.contract.form_body import FormBody
from limen.contract.json_body import JsonBody
from limen.contract.parameters import Parameter, ParameterLocation, ParameterValues, names_read_from
from limen.contract.text_body import TextBody
from limen.contract.violations import Violations, merged


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything a signature says.

    ``answer`` is the model of the documented status, ``answers`` are those that ``responses=`` declares for other success
    statuses, ``rest`` is that of ``2XX``. Answers of other statuses pass through unread. ``streamed`` is the media type of a
    body that is declared and not read: it streams, and other media types are refused.
    """

    params: tuple[Parameter, ...] = ()
    body: JsonBody | FormBody | TextBody | None = None
    answer: AnswerModel | None = None
    answers: Mapping[int, AnswerModel] = field(default_factory=dict[int, AnswerModel])
    rest: AnswerModel | None = None
    streamed: str | None = None
    query_names: Container[str] = field(init=False, repr=False, compare=False)
    cookie_names: Container[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive the names that are read from where services may differ in how they read."""
        object.__setattr__(self, "query_names", names_read_from(self.params, "query"))
        object.__setattr__(self, "cookie_names", names_read_from(self.params, "cookie"))

    def needs(self, location: ParameterLocation) -> bool:
        """Tell whether any parameter is read from ``location``."""
        return any(param.location == location for param in self.params)

    def check(self, values: Mapping[ParameterLocation, ParameterValues]) -> Violations | None:
        """Return what is wrong with the parameters, all at once; None if all fit."""
        return merged([found for param in self.params if (found := param.check(values[param.location])) is not None])
