"""GGUF files run by llama.cpp. Whatever does not need its package is tested without it."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from medbench.cli import cli
from medbench.core.errors import MedbenchError, UsageError
from medbench.core.types import ChoiceRequest, GenerateRequest, ModelSpec, Output, Prompt
from medbench.engines.hf.engine import TransformersEngine
from medbench.engines.llamacpp import engine as gguf_engine
from medbench.engines.llamacpp import model as llama_model
from medbench.engines.llamacpp.engine import GgufEngine
from medbench.zoo.resolve import resolve
from test_resolve import write_gguf

llama = pytest.mark.skipif(
    importlib.util.find_spec("llama_cpp") is None, reason="needs llama-cpp-python, which is compiled when installed"
)
NATS = 1e-4  # 4e-6 measured
TEXTS = st.text(st.sampled_from("abc ABC.,\nfever 12é"), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny", "llama")


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    """The same weights as a GGUF file, unquantized, so that its answers are those of transformers."""
    return write_gguf(folder, folder.with_name("tiny.gguf"), pre="gpt-2", quantized=False)


@pytest.fixture(scope="module")
def engine(file: Path) -> GgufEngine:
    return GgufEngine(resolve(f"gguf:{file}"))


@pytest.fixture(scope="module")
def exact(folder: Path) -> TransformersEngine:
    return TransformersEngine(ModelSpec("tiny", str(folder), ""))


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["run", *map(str, words)], prog_name="medbench")


def by_id(outputs: Any) -> dict[str, Output]:
    return {output.item_id: output for output in outputs}


def picks(prompts: list[str], answers: tuple[str, ...]) -> list[ChoiceRequest]:
    return [ChoiceRequest(str(n), Prompt(f"Question: {text}\nAnswer:"), answers) for n, text in enumerate(prompts)]


def asks(prompts: list[str], limit: int = 12, stop: tuple[str, ...] = ()) -> list[GenerateRequest]:
    return [
        GenerateRequest(str(n), Prompt(f"Question: {text}\nAnswer:"), limit, stop) for n, text in enumerate(prompts)
    ]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and values kept in float32 and no flash attention, which rounds: what is left is the engine's own doing.

    As llama.cpp has it, log-probabilities of this model with its large weights differ by 0.012 from transformers'.
    """
    import llama_cpp

    usual = llama_cpp.llama_context_default_params

    def params() -> Any:
        made = usual()
        made.type_k = made.type_v = 0  # GGML_TYPE_F32
        made.flash_attn_type = 0
        return made

    monkeypatch.setattr(llama_cpp, "llama_context_default_params", params)


@llama
@pytest.mark.usefixtures("full")
class TestAnswers:
    @pytest.mark.parametrize("answers", [("A", "B", "C"), ("yes", "no", "maybe"), ("aspirin 12", "aspirin", "fever")])
    def test_choices_are_those_of_transformers(
        self, engine: GgufEngine, exact: TransformersEngine, answers: tuple[str, ...]
    ) -> None:
        requests = picks(["fever?", "fever and cough", "of 120 patients, 12%?", "é"], answers)
        mine, theirs = by_id(engine.choose(requests)), by_id(exact.choose(requests))
        for item_id, output in theirs.items():
            assert mine[item_id].logprobs == pytest.approx(output.logprobs, abs=NATS)
            assert (mine[item_id].prompt, mine[item_id].prompt_tokens) == (output.prompt, output.prompt_tokens)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(TEXTS, min_size=1, max_size=6), st.lists(TEXTS.map(str.strip).filter(bool), min_size=2, max_size=5))
    def test_together_as_one_at_a_time(self, engine: GgufEngine, prompts: list[str], answers: list[str]) -> None:
        requests = picks([f"shared words before {text}" for text in prompts], tuple(answers))
        together = by_id(engine.choose(requests))
        for request in requests:
            (alone,) = engine.choose([request])
            assert together[request.item_id].logprobs == pytest.approx(alone.logprobs, abs=NATS)

    @pytest.mark.parametrize("answers", [("A", "B"), ("aspirin 12 and heparin", "aspirin 12 and fever", "a, b, c, d")])
    def test_in_small_pieces_as_in_one(
        self, engine: GgufEngine, answers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        requests = picks(["fever and cough in a child of 12", "fever and cough in a child of 18"], answers)
        whole = by_id(engine.choose(requests))
        texts = by_id(engine.generate(asks(["fever", "cough"])))
        monkeypatch.setattr(llama_model, "BATCH", 7)
        monkeypatch.setattr(llama_model, "READ", 4)
        monkeypatch.setattr(gguf_engine, "ENDS", 2)
        for item_id, output in by_id(engine.choose(requests)).items():
            assert output.logprobs == pytest.approx(whole[item_id].logprobs, abs=NATS)
        pieces = by_id(engine.generate(asks(["fever", "cough"])))
        assert {i: o.text for i, o in pieces.items()} == {i: o.text for i, o in texts.items()}

    def test_where_the_memory_cannot_be_cut_all_is_computed_anew(
        self, engine: GgufEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        requests = picks(["fever and cough", "fever and cough?", "fever and"], ("yes", "aspirin 12"))
        cut = by_id(engine.choose(requests))

        def keep(self: llama_model.Context, sequence: int, length: int) -> int:
            self.drop(sequence)
            return 0

        monkeypatch.setattr(llama_model.Context, "keep", keep)
        for item_id, output in by_id(engine.choose(requests)).items():
            assert output.logprobs == pytest.approx(cut[item_id].logprobs, abs=NATS)

    def test_a_long_prompt_is_cut_from_the_left_as_for_transformers(
        self, engine: GgufEngine, exact: TransformersEngine
    ) -> None:
        (request,) = picks(["fever and cough " * 40], ("A", "B"))
        (mine,), (theirs,) = engine.choose([request]), exact.choose([request])
        assert mine.truncated_tokens == theirs.truncated_tokens > 0
        assert mine.logprobs == pytest.approx(theirs.logprobs, abs=NATS)

    def test_texts_are_those_of_transformers(self, engine: GgufEngine, exact: TransformersEngine) -> None:
        requests = asks([f"{'fever ' * n}and {n}?" for n in range(11)])  # more than are written side by side
        mine, theirs = by_id(engine.generate(requests)), by_id(exact.generate(requests))
        assert {i: o.text for i, o in mine.items()} == {i: o.text for i, o in theirs.items()}
        assert {i: (o.prompt, o.prompt_tokens, o.completion_tokens, o.finish) for i, o in mine.items()} == {
            i: (o.prompt, o.prompt_tokens, o.completion_tokens, o.finish) for i, o in theirs.items()
        }
        assert all(o.first_token_s is not None and 0 < o.first_token_s <= o.seconds for o in mine.values())
        assert mine["0"].prompt == "<|start|>user\nQuestion: and 0?\nAnswer:<|end|>\n<|start|>assistant\n"

    def test_a_text_ends_at_its_stop_string(self, engine: GgufEngine) -> None:
        (whole,) = engine.generate(asks(["fever?"]))
        assert whole.text is not None
        middle = whole.text[3:5]
        (cut,) = engine.generate(asks(["fever?"], stop=(middle,)))
        assert (cut.text, cut.finish) == (whole.text[: whole.text.index(middle)].strip(), "stop")
        assert cut.completion_tokens <= whole.completion_tokens

    def test_nothing_is_asked(self, engine: GgufEngine) -> None:
        assert [*engine.choose([]), *engine.generate([])] == []


@llama
def test_a_run_names_the_quantization_and_the_content(folder: Path, tmp_path: Path) -> None:
    file = write_gguf(tiny.save(tmp_path / "wide", "llama", window=2048), tmp_path / "mine.Q8_0.gguf", pre="gpt-2")
    done = run("-m", f"gguf:{file}", "-b", "medqa-sample", "--limit", 3, "--latency-items", 1, "--json")
    assert done.exit_code == 0, done.output
    (board,) = json.loads(done.stdout)["boards"]
    (row,) = board["rows"]
    assert (row["model"], row["engine"], row["dtype"], row["chat"]) == ("mine.Q8_0", "gguf", "Q8_0", "plain")
    assert len(row["revision"]) >= 7
    again = run("-m", file, "--engine", "gguf", "-b", "medqa-sample", "--limit", 3, "--latency-items", 1)
    assert again.exit_code == 0, again.output
    assert "loading" not in again.stderr, "the same file is the same run"


@llama
@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"device": "tpu"}, "the engine gguf supports cpu, cuda and mps"),
        ({"adapter": "some/folder"}, "takes no LoRA adapter"),
        ({"generation": {"num_beams": 4}}, "takes no generation settings (num_beams)"),
    ],
)
def test_what_the_engine_does_not_do(file: Path, spec: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as error:
        GgufEngine(ModelSpec("tiny", str(file), "", **spec))
    assert told in error.value.message


@llama
def test_a_file_that_llama_cpp_cannot_load_says_why(folder: Path, tmp_path: Path) -> None:
    broken = write_gguf(
        folder, tmp_path / "broken.gguf", pre="gpt-2", quantized=False, leave_out="model.layers.1.mlp.up_proj.weight"
    )
    with pytest.raises(MedbenchError, match=r"cannot load .*broken.gguf: .*"):
        GgufEngine(resolve(f"gguf:{broken}")).load()


def test_without_the_package_it_says_how_to_install_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    done = run("-m", f"gguf:{file}", "-b", "medqa-sample", "--limit", 1)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "llama-cpp-python" in done.stderr
    assert "pip install 'medbench[gguf]'" in done.stderr


@pytest.mark.parametrize(
    ("model", "words", "code", "told"),
    [
        ("none.gguf", (), 2, "there is no GGUF file none.gguf"),
        ("owner/name", (), 2, "hf download owner/name FILE.gguf"),
        ("biogpt-large", (), 2, "biogpt-large has no GGUF file of its own"),
        ("empty", (), 2, "has no GGUF file"),
        ("two", (), 2, "has 2 GGUF files: a.gguf, b.gguf"),
        ("text.gguf", (), 1, "is not a GGUF file"),
        ("text.gguf", ("--quantize", "nf4"), 2, "--quantize nf4: a GGUF file is run as it is."),
        ("text.gguf", ("--dtype", "float16"), 2, "--dtype float16"),
        ("text.gguf", ("--revision", "main"), 2, "--revision main"),
    ],
)
def test_what_is_no_gguf_file(model: str, words: tuple[str, ...], code: int, told: str) -> None:
    Path("empty").mkdir()
    Path("two").mkdir()
    for name in ("two/a.gguf", "two/b.gguf"):
        Path(name).write_bytes(b"GGUF")
    Path("text.gguf").write_text("no GGUF")
    done = run("-m", f"gguf:{model}", "-b", "medqa-sample", "--limit", 1, *words)
    assert done.exit_code == code, done.output
    assert told in done.stderr


def test_a_folder_with_one_file_means_it(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "export" / "mine.gguf"
    target.parent.mkdir()
    target.write_bytes(file.read_bytes())
    spec = resolve(f"gguf:{target.parent}")
    assert (spec.name, spec.engine, spec.dtype) == ("mine", "gguf", "F32")
    assert spec.revision == resolve(f"gguf:{file}").revision, "the content names it, not the place"
