# SPDX-License-Identifier: Apache-2.0
"""``hwsim attention``: what pruning a transformer's attention costs, on real weights and text."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim.core.command import Json, Out, made, print_json, show


class Model(StrEnum):
    """Models with real weights."""

    MINILM = "minilm"
    CHAR_LM = "char-lm"


SENTENCE = (
    "Return a list of the words in the string, using sep as the delimiter string; if maxsplit is given, at most that "
    "many splits are done, the rightmost ones."
)


def attention(
    model: Annotated[
        Model | None, typer.Option(help="Model (default: minilm where its weights are installed, else char-lm).")
    ] = None,
    texts: Annotated[
        int, typer.Option(min=2, max=1200, help="Texts to measure on (at least 24 are used), or prompts of char-lm.")
    ] = 48,
    steps: Annotated[int, typer.Option(min=1, max=100_000, help="Training steps of char-lm.")] = 400,
    sentence: Annotated[
        str | None,
        typer.Option(
            help="minilm: show which words of this text are left, layer by layer (default: a sentence on str.rsplit)."
        ),
    ] = None,
    share: Annotated[
        float, typer.Option(min=0.05, max=1.0, help="Share of the words that are left after the last layer.")
    ] = 0.4,
    trace: Annotated[
        Path | None,
        typer.Option(
            help="Only write a trace of the sentence, or of a prompt, into this folder, for a machine (default: none)."
        ),
    ] = None,
    finetune: Annotated[
        int,
        typer.Option(min=0, max=100_000, help="char-lm: first fine-tune it for this many steps, pruned to --share."),
    ] = 0,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Prune tokens, heads, values and bits: quality beside random and first-N pruning at the same ratio.

    Example: hwsim attention --model char-lm --steps 100
    """
    sentence = SENTENCE if sentence is None else sentence
    from algorithms.attention import minilm
    from algorithms.training.train import use_one_thread

    if model is Model.MINILM and minilm.folder() is None:
        minilm.load()  # says how to have it
    chosen = model or (Model.MINILM if minilm.folder() is not None else Model.CHAR_LM)
    if finetune and chosen is Model.MINILM:
        raise InputError("--finetune: only for char-lm; MiniLM is used as it is")
    use_one_thread()
    if trace is not None:
        write_trace(chosen is Model.MINILM, trace, sentence, share, steps, (out or Path("out/attention")) / "char-lm")
        if not json_:
            made([trace / "meta.json"])
        return
    rows = (
        _minilm(texts)
        if chosen is Model.MINILM
        else _char_lm(texts, steps, out or Path("out/attention"), finetune, share)
    )
    shown = words_left(sentence, share) if chosen is Model.MINILM else []
    if json_:
        print_json({"quality": rows, "words": shown})
    else:
        _show(chosen, rows, shown)
    if out is not None:
        from hwsim.core.study import StudyTables
        from reports.figures import Drawing, quality
        from reports.style import save

        tables = {f"quality-{chosen.value}": rows, **({"words": shown} if shown else {})}
        meta = {
            "title": f"Attention pruning: {chosen.value}",
            "settings": {"texts": texts, "steps": steps, "sentence": sentence},
        }
        StudyTables(meta, tables).write(out)
        files = [out / f"{name}.csv" for name in tables]
        files += save(quality(rows), out, f"quality-{chosen.value}")[0]
        if shown:
            files += save(Drawing().tokens(shown, "Words that are left, layer by layer"), out, "words")[0]
        if not json_:
            made(files)


def _minilm(texts: int) -> list[dict[str, Any]]:
    from algorithms.accuracy.attention import minilm_quality, settings
    from algorithms.attention import minilm

    rows: list[dict[str, Any]] = _with_bar(len(settings(minilm.LAYERS)), lambda tick: minilm_quality(texts, tick))
    return rows


def _char_lm(texts: int, steps: int, folder: Path, finetune: int, share: float) -> list[dict[str, Any]]:
    """Train the character model (once for a folder), fine-tune it if wanted, and measure it."""
    from algorithms.accuracy.attention import generation_quality, settings
    from algorithms.attention.examples import example_pruning
    from algorithms.attention.tuning import tune
    from algorithms.training.data import library_text

    model = trained_char_lm(steps, folder / "char-lm")
    if finetune:
        pruning = example_pruning(share, len(model.blocks), encoder=False)
        _with_bar(finetune, lambda tick: tune(model, pruning, library_text().train, steps=finetune, tick=tick))
    work = lambda tick: generation_quality(model, library_text().test, count=texts, tick=tick)  # noqa: E731
    rows: list[dict[str, Any]] = _with_bar(len(settings(len(model.blocks))), work)
    return rows


def trained_char_lm(steps: int, folder: Path) -> Any:
    """The character model, trained once for a folder."""
    from algorithms.training.config import TrainConfig
    from algorithms.training.train import trained

    from .train import run_training

    config = TrainConfig(task="char-lm", method="dense", pattern="dense", steps=steps, batch=16, context=160, depth=4,
                         rate=0.1, weight_decay=0.0)  # fmt: skip
    run_training(config, folder)
    return trained(config, folder)


def write_trace(minilm: bool, folder: Path, sentence: str, share: float, steps: int, model_folder: Path) -> str:
    """A trace of MiniLM reading a sentence, or of the character model (trained once for its folder) going on with a
    prompt; its name."""
    from algorithms.attention.examples import trace_generation, trace_minilm
    from algorithms.training.data import library_text

    if minilm:
        return trace_minilm(folder, sentence, share)
    model = trained_char_lm(steps, model_folder)
    return trace_generation(folder, model, library_text().test, share, prompt=96, length=32)


def _with_bar(total: int, work: Any) -> Any:
    from hwsim.core.command import progress

    with progress() as bar:
        task = bar.add_task("measure", total=total)
        return work(lambda name: bar.update(task, advance=1, description=name))


def words_left(sentence: str, share: float) -> list[dict[str, Any]]:
    """A row a word: in how many layers it is alive."""
    from algorithms.accuracy.attention import final_share, survivors
    from algorithms.attention import minilm
    from dataflow.attention.pruning import AttentionPruning

    pruning = AttentionPruning(tokens=final_share(share, minilm.LAYERS), protected=1)
    words, alive = survivors(sentence, pruning)
    return [{"word": w, "layers": sum(layer[i] for layer in alive)} for i, w in enumerate(words)]


def _show(model: Model, rows: list[dict[str, Any]], picture: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    names = {"setting": "pruned to", "cosine": "cosine", "worst_cosine": "worst cosine", "nearest_same": "same nearest",
             "module_accuracy": "right module", "bits_per_character": "bits a character",
             "refetched": "LSBs fetched", "keys_share": "keys fetched"}  # fmt: skip
    shown = [k for k in names if k in rows[0]]
    title = {
        Model.MINILM: "all-MiniLM-L6-v2 on docstrings of the standard library",
        Model.CHAR_LM: "character model: 32 characters behind prompts of 96",
    }[model]
    table = Table(title=title, title_justify="left")
    for key in shown:
        table.add_column(names[key], justify="left" if key == "setting" else "right", no_wrap=key == "setting")
    axis = rows[0]["axis"]
    share = ("nearest_same", "module_accuracy", "refetched", "keys_share")
    for row in rows:
        if row["axis"] != axis:
            table.add_section()
            axis = row["axis"]
        table.add_row(
            *(row[k] if k == "setting" else f"{row[k]:.0%}" if k in share else f"{row[k]:.3f}" for k in shown)
        )
    show(table)
    if model is Model.MINILM:
        console.print(
            "same nearest: share of texts whose nearest other text is the same as with the full model\n"
            "right module: share of texts that are put into the module that they come from"
        )
    console.print(
        "LSBs fetched: queries computed again with LSBs, of all; keys fetched: of those without pruning",
        highlight=False,
    )
    if picture:
        console.print("Words that are left, layer by layer:")
        for layer in range(max(p["layers"] for p in picture)):
            line = Text(f"{layer + 1} ", style="bold")
            for p in picture:
                line.append(p["word"] + " " if p["layers"] > layer else "·" * len(p["word"]) + " ")
            console.print(line)
