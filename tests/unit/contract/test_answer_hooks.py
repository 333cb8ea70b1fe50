"""What happens to a declared answer before the client gets it."""

import json
from collections.abc import Callable

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, field_serializer

from limen import Upstream
from limen.app.hooks import after_hook
from limen.contract.answer_hooks import answer_hooks
from limen.contract.answer_model import AnswerModel
from limen.contract.contract import Contract
from limen.contract.edited_answer import AnswerHook, EditedAnswer, HookResult
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from limen.fairness.validations import Validations
from limen.runtime.route import DEFAULT_HELD

UPSTREAM = Upstream("users", ["http://127.0.0.1:1"])


class Account(BaseModel):
    id: int


class Token(BaseModel):
    token: str


def hook(after: Callable[..., object] | None, answer: type | None, status: int = 200) -> AnswerHook:
    contract = Contract(answer=None if answer is None else AnswerModel(TypeAdapter(answer)))
    declared = None if after is None else after_hook(after, public=False)
    return answer_hooks(
        contract, declared, status, name="GET /a", max_answer=DEFAULT_HELD, validations=Validations(), seconds=1.0
    )[status]


async def test_nothing_declared_is_nothing_done() -> None:
    assert not answer_hooks(
        Contract(), None, 200, name="GET /a", max_answer=DEFAULT_HELD, validations=Validations(), seconds=1.0
    )


async def test_a_checked_answer_loses_what_the_contract_does_not_name() -> None:
    assert await outcome(hook(None, Account), b'{"id": 1, "hashed_password": "x"}') == b'{"id":1}'


async def test_an_answer_that_does_not_fit_is_the_services_fault_and_stays_inside() -> None:
    fault = await outcome(hook(None, Account), b'{"id": "secret"}')
    assert isinstance(fault, Fault)
    assert fault.kind is Kind.UPSTREAM_CONTRACT
    assert "id" in fault.cause
    assert "secret" not in fault.cause + fault.text


async def test_a_number_that_json_cannot_carry_is_the_services_fault() -> None:
    class Price(BaseModel):
        amount: float

    assert await outcome(hook(None, Price), b'{"amount": 1.5}') == b'{"amount":1.5}'
    for number in (b"NaN", b"Infinity", b"1e999"):
        fault = await outcome(hook(None, Price), b'{"amount": %b}' % number)
        assert isinstance(fault, Fault)
        assert fault.kind is Kind.UPSTREAM_CONTRACT
        assert fault.cause == "amount: finite_number"


async def test_sync_and_async_hooks_get_the_annotated_type() -> None:
    def sync(account: Account) -> Token:
        return Token(token=f"t{account.id}")

    async def later(account: Account) -> Token:
        return sync(account)

    assert await outcome(hook(sync, Token), b'{"id": 1}') == b'{"token":"t1"}'
    assert await outcome(hook(later, Token), b'{"id": 2}') == b'{"token":"t2"}'


async def test_an_unannotated_hook_gets_decoded_json_and_may_return_anything() -> None:
    # A built-in's signature names no usable type, as an unannotated function's does not.
    assert json.loads(await finished(hook(sorted, None), b'{"n": 2, "a": 1}')) == ["a", "n"]


class Price(BaseModel):
    amount: float


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
async def test_a_number_that_json_cannot_carry_is_the_hooks_fault_where_the_hook_made_it(
    number: float, caplog: pytest.LogCaptureFixture
) -> None:
    def loose(answer: object) -> object:
        return {"prices": [1.0, number]}

    def model(answer: object) -> object:
        return {"prices": [Price(amount=1.0), Price.model_construct(amount=number)]}

    def checked(answer: object) -> object:
        return {"amount": number}

    async def later(answer: object) -> object:
        return number

    for after, answer, cause in (
        (loose, None, "*.*: finite_number"),
        (model, None, "*.*.*: finite_number"),
        (checked, Price, "amount: finite_number"),
        (later, None, "answer: finite_number"),
    ):
        fault = await outcome(hook(after, answer), b"{}")
        assert isinstance(fault, Fault)
        assert fault.kind is Kind.HOOK_FAILED
        assert f"what it made does not fit: {cause}" in caplog.text
        caplog.clear()


async def test_a_serializer_for_json_alone_gets_no_constant_through(caplog: pytest.LogCaptureFixture) -> None:
    class Rate(BaseModel):
        model_config = ConfigDict(ser_json_inf_nan="constants")
        amount: float = 1.0
        note: str = "[NaN"

        @field_serializer("amount", when_used="json")
        def shown(self, amount: float) -> float:
            return amount if amount == 1.0 else float("nan")

    def good(answer: object) -> object:
        return {"rate": Rate(), "big": 10**5000}

    def bad(answer: object) -> object:
        return Rate(amount=2.0)

    assert b'"note":"[NaN"' in await finished(hook(good, None), b"{}")
    for answer in (None, Rate):
        fault = await outcome(hook(bad, answer), b"{}")
        assert isinstance(fault, Fault)
        assert fault.kind is Kind.HOOK_FAILED
        assert "what it made does not fit: answer: finite_number" in caplog.text
        caplog.clear()


async def test_null_is_what_a_hook_may_make_and_a_constant_of_pythons_is_no_answer_for_it() -> None:
    def same(answer: object) -> object:
        return answer

    assert await outcome(hook(same, None), b'{"a": null}') == b'{"a":null}'
    fault = await outcome(hook(same, None), b'{"a": NaN}')
    assert isinstance(fault, Fault)
    assert fault.kind is Kind.UPSTREAM_CONTRACT
    assert fault.cause == "the answer is not JSON: ValueError"


async def ended(made: AnswerHook, content: bytes, caller: Principal | None = None) -> HookResult:
    result = made(content, caller)
    return result if isinstance(result, EditedAnswer | Fault) else await result


async def outcome(made: AnswerHook, content: bytes) -> bytes | Fault:
    result = await ended(made, content)
    return result.content if isinstance(result, EditedAnswer) else result


async def finished(made: AnswerHook, content: bytes) -> bytes:
    result = await outcome(made, content)
    assert isinstance(result, bytes)
    return result


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff"])
async def test_garbage_before_a_hook_is_a_contract_fault(content: bytes) -> None:
    def untyped(answer: object) -> object:
        return answer

    def typed(answer: Account) -> Account:
        return answer

    for after in (untyped, typed):
        fault = await outcome(hook(after, None), content)
        assert isinstance(fault, Fault)
        assert fault.kind is Kind.UPSTREAM_CONTRACT


async def test_a_hook_that_raises_or_returns_the_wrong_thing_is_a_500_without_its_text() -> None:
    def broken(answer: object) -> object:
        raise RuntimeError("s3cret")

    def wrong(answer: object) -> object:
        return {"nothing": 1}

    for after in (broken, wrong):
        fault = await outcome(hook(after, Token), b"{}")
        assert isinstance(fault, Fault)
        assert fault.kind is Kind.HOOK_FAILED
        assert "s3cret" not in fault.cause + fault.text


def test_a_hook_with_the_wrong_arity_does_not_compile() -> None:
    def none() -> None: ...

    def two(a: int, b: int) -> None: ...

    for after in (none, two):
        with pytest.raises(TypeError, match=f"after={after.__name__} must take one argument"):
            hook(after, None)
