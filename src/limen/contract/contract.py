"""What a stub's signature promises, free of any web framework: parameters, body and answers, each with a validator."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from limen.contract.answer_model import AnswerModel
from limen.contract.form_body import FormBody
from limen.contract.json_body import JsonBody
from limen.contract.parameters import Given, Param, Where, names_of
from limen.contract.text_body import TextBody
from limen.contract.violations import Violations, merged


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything a signature says.

    ``answer`` is that of the documented status, ``answers`` those that ``responses=`` declares for other success statuses,
    and ``rest`` for all others of these (``2XX``). Whatever is not there passes through unread. ``streamed`` is the media
    type of a body that is declared and not read: it streams, and content of other types is refused.
    """

    params: tuple[Param, ...] = ()
    body: JsonBody | FormBody | TextBody | None = None
    answer: AnswerModel | None = None
    answers: Mapping[int, AnswerModel] = field(default_factory=dict[int, AnswerModel])
    rest: AnswerModel | None = None
    streamed: str | None = None
    query_names: Container[str] = field(init=False, repr=False, compare=False)
    cookie_names: Container[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive the names that are read where services may differ in how they read."""
        object.__setattr__(self, "query_names", names_of(self.params, "query"))
        object.__setattr__(self, "cookie_names", names_of(self.params, "cookie"))

    def needs(self, where: Where) -> bool:
        """Tell whether any parameter is read from ``where``."""
        return any(param.where == where for param in self.params)

    def check(self, given: Mapping[Where, Given]) -> Violations | None:
        """Return what is wrong with the parameters, all at once; None when all fit."""
        return merged([found for param in self.params if (found := param.check(given[param.where])) is not None])
