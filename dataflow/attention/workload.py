# SPDX-License-Identifier: Apache-2.0
"""Attention workloads: what each head of each layer fetches and computes, in the SpAtten authors' CSV format.

A row is one query of one head (iteration, layer, head): how long the sequence is, how many keys and values are
fetched, in how many bits, whether the query is computed again with LSBs, whether a top-k over the importance scores
follows. A last row may hold only a configuration's name. -1, or nothing, says that a row has no such thing: no LSBs, no
top-k; in a bit column, that the operand is not quantized. What the machine does with such an operand has two readings
(`as_run`). Where several queries of a head do the same (the summarization stage), one row stands for ``query_num`` of
them, a column of ours: a file without it is taken for one of the authors'. Where query heads share keys and values
(grouped-query and multi-query attention), ``kv_head_id``, another column of ours, says which: rows of one KV head that
follow each other and have as many keys have the same keys, and those are fetched once. ``causal``, a third one: the
row's queries are the last of the keys' tokens, and each sees the keys up to its own (a prompt, or a chunk of one).
``sequence_id``, a fourth: rows of different sequences share nothing, and their heads count from 0 each (a batch).
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from ..errors import InputError, unknown
from ..files import text_encoding, write_text
from .benchmarks import benchmark_settings, benchmarks, published_averages
from .pruning import AttentionPruning, kept


class Column(NamedTuple):
    """A column of the file."""

    kind: Literal["int", "float", "bool"]
    low: float
    high: float
    optional: bool = False
    """Whether -1 or nothing may stand there, for "none"."""

    @property
    def allowed(self) -> str:
        """The values it may have, in words."""
        if self.kind == "bool":
            return "True or False"
        number = "a whole number, " if self.kind == "int" else ""
        return f"{'-1 or ' if self.optional else ''}{number}{self.low:,} to {self.high:,}"


OPERAND_BITS = 12
"""Bits of SpAtten's multipliers: of a query in workloads that are made here, unless quantization is static."""
DIMENSIONS = (32, 64, 128)
"""Head dimensions that SpAtten's adder tree is made for."""
LONGEST = 1 << 20
COLUMNS: dict[str, Column] = {
    "iteration_id": Column("int", 0, 2**31),
    "layer_id": Column("int", 0, 10_000),
    "head_id": Column("int", 0, 10_000),
    "embedding_length_D": Column("int", 1, 4096),
    "sentence_length_L": Column("int", 1, LONGEST),
    "key_fetch_num": Column("int", 0, LONGEST),
    "quant_key_bit": Column("int", 2, 16, optional=True),
    "quant_query_bit": Column("int", 2, 16, optional=True),
    "auto_requant_thres": Column("float", 0, 1, optional=True),
    "if_requant": Column("bool", 0, 1),
    "auto_requant_incre": Column("int", 0, 16, optional=True),
    "value_fetch_num": Column("int", 0, LONGEST),
    "quant_value_bit": Column("int", 2, 16, optional=True),
    "if_accumulate_importance": Column("bool", 0, 1),
    "if_rescale_previous_importance": Column("bool", 0, 1),
    "if_topk": Column("bool", 0, 1),
    "topk": Column("int", 0, LONGEST, optional=True),
}
QUERIES = "query_num"
KV_HEAD = "kv_head_id"
CAUSAL = "causal"
SEQUENCE = "sequence_id"
"""Columns of ours; without the second one every head has keys and values of its own, without the third every query sees
all keys, without the fourth there is one sequence."""
_OURS: dict[str, Column] = {
    QUERIES: Column("int", 1, LONGEST), KV_HEAD: Column("int", 0, 10_000), CAUSAL: Column("bool", 0, 1),
    SEQUENCE: Column("int", 0, 100_000),
}  # fmt: skip

_OF_KV_HEAD = ("embedding_length_D", "sentence_length_L", "quant_key_bit", "quant_value_bit", "auto_requant_incre")
"""What query heads that share keys cannot have of their own."""

Unquantized = Literal["release", "operands"]
"""A reading of operands that are not quantized (`as_run`)."""
RELEASE_BITS = (8, 4)
"""Bits of both planes of a key where the authors' release takes no notice of a row's own; a value has the first one."""
RELEASE_SPLITS = (-1, 10, 12)
"""Bits of a row's keys, and of its values, of which the release takes no notice."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload in memory: `COLUMNS`, ``query_num`` and perhaps other columns of ours, typed; ``name`` is the file's
    last row or what made it."""

    name: str
    rows: pd.DataFrame
    authors: bool = False
    """Whether it comes from a file with the authors' columns alone, and so is read as their release reads it."""

    def write(self, path: Path) -> None:
        """The authors' format; with ``query_num``, but for a workload of theirs."""
        frame = self.rows.drop(columns=QUERIES) if self.authors else self.rows
        last = io.StringIO()
        if self.name:
            csv.writer(last, lineterminator="\n").writerow([self.name] + [""] * (len(frame.columns) - 1))
        write_text(path, frame.to_csv(index=False) + last.getvalue())


def read_workload(path: Path) -> Workload:
    """A whole file.

    Raises:
        InputError: unreadable, empty, a column missing or unknown, a value that cannot be; file, line and column.
    """
    chunks, name = [], ""
    for chunk, last in _read(path, 1 << 20):
        chunks.append(chunk)
        name = last or name
    return Workload(name, pd.concat(chunks, ignore_index=True), is_authors(path))


def is_authors(path: Path) -> bool:
    """Whether a workload file has the authors' columns alone. Raises where it cannot be read."""
    encoding = text_encoding(path)
    try:
        with path.open(encoding=encoding, errors="replace") as file:
            first = file.readline()
            return not any(name in first for name in _OURS)
    except OSError as error:
        raise InputError(f"{path}: {_reason(error)}") from None


def as_run(rows: pd.DataFrame, unquantized: Unquantized, count_rounding: int = 1) -> pd.DataFrame:
    """Rows as a machine runs them; the same object where nothing changes.

    Args:
        unquantized: what becomes of keys and values that are not quantized, or of 10 or 12 bits. "release": as the
            authors' RTL stores them, keys in a plane of 8 bits and one of 4, always fetched and always computed again
            with both (a key of 10 bits leaves half of the second plane empty; it is 4 bits wide all the same), values
            in 8 bits.
            "operands": one plane; -1 is as wide as the machine's operands.
        count_rounding: numbers of fetched keys and values are rounded up to a multiple of it (the release: 8), but
            never above the sentence, where there are no more vectors, and values never above keys. The vectors more
            are fetched and multiplied.
    """
    changed: dict[str, Any] = {}
    if unquantized == "release":
        split = rows["quant_key_bit"].isin(RELEASE_SPLITS)
        if split.any():
            for name, value in (("quant_key_bit", RELEASE_BITS[0]), ("auto_requant_incre", RELEASE_BITS[1]),
                                ("auto_requant_thres", 1.0), ("if_requant", True)):  # fmt: skip
                changed[name] = rows[name].mask(split, value)
        split = rows["quant_value_bit"].isin(RELEASE_SPLITS)
        if split.any():
            changed["quant_value_bit"] = rows["quant_value_bit"].mask(split, RELEASE_BITS[0])
    if count_rounding > 1:
        most = rows["sentence_length_L"]
        for name in ("key_fetch_num", "value_fetch_num"):
            most = (-(-rows[name] // count_rounding) * count_rounding).clip(upper=most)
            changed[name] = most
    return rows.assign(**changed) if changed else rows


def stream_workload(path: Path, rows: int = 1 << 18) -> Iterator[pd.DataFrame]:
    """A file in pieces of at most ``rows`` rows, of which one is in memory at a time. Raises as `read_workload`."""
    for chunk, _ in _read(path, rows):
        if len(chunk):
            yield chunk


def _read(path: Path, rows: int) -> Iterator[tuple[pd.DataFrame, str]]:
    """Typed pieces, and the configuration's name with the last one."""
    options: dict[str, Any] = {
        "dtype": str, "keep_default_na": False, "encoding": text_encoding(path), "index_col": False,
    }  # fmt: skip
    try:
        reader = pd.read_csv(path, chunksize=rows, **options)
    except pd.errors.EmptyDataError:
        raise InputError(f"{path}: empty") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: {_reason(error)}") from None
    total, name, ended = 0, "", False
    with reader:
        pieces = iter(reader)
        while True:
            try:
                with warnings.catch_warnings():  # a row that is too long is only warned of
                    warnings.simplefilter("error", pd.errors.ParserWarning)
                    text = next(pieces)
            except StopIteration:
                break
            except pd.errors.ParserWarning:
                raise InputError(f"{path}: a row behind line {total + 1} has more fields than the header") from None
            except (OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
                raise InputError(f"{path}: {_reason(error)}") from None
            if ended:
                raise InputError(f"{path}:{total + 3}: rows behind the configuration's name")
            _check_columns(path, list(text.columns))
            others = text.columns[1:]
            text = text.fillna("")  # a row that ends early
            alone = (text[others] == "").all(axis=1)
            if alone.any():
                at = int(np.argmax(alone.to_numpy()))
                if at != len(text) - 1:
                    raise InputError(f"{path}:{total + at + 2}: no values behind {text.columns[0]}")
                name, text, ended = str(text.iloc[at, 0]).strip(), text.iloc[:at], True
            yield _typed(path, text, total + 2), name
            total += len(text)
    if total == 0:
        raise InputError(f"{path}: no rows")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return "not a UTF-8 text file" if isinstance(error, UnicodeDecodeError) else " ".join(str(error).split())[:120]


def _check_columns(path: Path, found: list[str]) -> None:
    missing = [c for c in COLUMNS if c not in found]
    if missing:
        raise InputError(
            f"{path}: column {missing[0]} is missing" + (f" (and {len(missing) - 1} more)" * (len(missing) > 1))
        )
    unknown = [c for c in found if c not in COLUMNS and c not in _OURS]
    if unknown:
        raise InputError(f"{path}: unknown column {unknown[0]!r}")


def _typed(path: Path, text: pd.DataFrame, first: int) -> pd.DataFrame:
    """Numbers of the columns, each checked. ``first`` is the line of the first row."""
    found = {}
    for name, column in [*COLUMNS.items(), *_OURS.items()]:
        if name not in text.columns:
            if name == QUERIES:
                found[name] = np.ones(len(text), np.int64)
            continue
        values = text[name].str.strip()
        if column.kind == "bool":
            numbers = values.str.lower().map({"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0})
        else:
            numbers = pd.to_numeric(values.replace("", "-1") if column.optional else values, errors="coerce")
        n = numbers.to_numpy(np.float64)
        allowed = (n >= column.low) & (n <= column.high)  # NaN is not
        if column.kind == "int":
            allowed &= np.floor(n) == n
        if column.optional:
            allowed |= n == -1
        if not allowed.all():
            at = int(np.argmin(allowed))
            raise InputError(f"{path}:{first + at}: {name}={values.iloc[at]!r}: must be {column.allowed}")
        found[name] = n.astype({"bool": np.bool_, "int": np.int64, "float": np.float64}[column.kind])
    frame = pd.DataFrame(found)
    planes = (frame.auto_requant_incre > 0) | frame.quant_key_bit.isin(RELEASE_SPLITS)
    rules = {
        f"embedding_length_D must be one of {', '.join(map(str, DIMENSIONS))}": frame.embedding_length_D.isin(
            DIMENSIONS
        ),
        "key_fetch_num is above sentence_length_L": frame.key_fetch_num <= frame.sentence_length_L,
        "value_fetch_num is above key_fetch_num": frame.value_fetch_num <= frame.key_fetch_num,
        "if_topk without topk": ~frame.if_topk | (frame.topk >= 0),
        "if_requant without auto_requant_incre": ~frame.if_requant | planes,
    }
    if CAUSAL in frame:
        rules["more queries than keys (causal: each is the query of one of the last keys)"] = ~frame.causal | (
            (frame[QUERIES] <= frame.key_fetch_num) | (frame.key_fetch_num == 0)
        )
    if KV_HEAD in frame:
        same = _same(frame, "iteration_id", "layer_id", *((SEQUENCE,) if SEQUENCE in frame else ()))
        group = same & _same(frame, KV_HEAD, "key_fetch_num")
        rules["the head has another kv_head_id than in the row before"] = ~(same & _same(frame, "head_id")) | _same(
            frame, KV_HEAD
        )
        for name in (*_OF_KV_HEAD, *((CAUSAL,) if CAUSAL in frame else ())):
            rules[f"{name} differs from the row before, which shares its keys (kv_head_id)"] = ~group | _same(
                frame, name
            )
    for message, holds in rules.items():
        if not holds.all():
            raise InputError(f"{path}:{first + int(np.argmin(holds.to_numpy()))}: {message}")
    return frame


def _same(frame: pd.DataFrame, *names: str) -> pd.Series:
    """Whether a row has the values of the row before in these columns; the first one has."""
    columns = frame[list(names)]
    found: pd.Series = (columns == columns.shift(fill_value=0)).all(axis=1)
    found.iloc[0] = True
    return found


class Transformer(NamedTuple):
    """Sizes of a transformer's attention, and the lengths at which it is run."""

    layers: int
    heads: int
    dimension: int
    length: int
    """Input tokens."""
    generated: int
    """Tokens generated after them; 0: an encoder."""
    kv_heads: int = 0
    """Heads of keys and values, each shared by as many query heads; 0: every head has its own."""


MODELS = {
    "bert-base": Transformer(12, 12, 64, 64, 0),
    "bert-large": Transformer(24, 16, 64, 64, 0),
    "gpt2-small": Transformer(12, 12, 64, 992, 32),
    "gpt2-medium": Transformer(24, 16, 64, 992, 32),
    "llama-7b": Transformer(32, 32, 128, 992, 32),
    "llama-3-8b": Transformer(32, 32, 128, 992, 32, 8),
    "smollm2-135m": Transformer(30, 9, 64, 992, 32, 3),
    "qwen2.5-7b": Transformer(28, 28, 128, 992, 32, 4),
}
"""Published sizes. Lengths: the paper's 992 + 32 for generation; for encoders that of most benchmarks, tasks of two
sentences."""


PUBLISHED = {
    name: Path(__file__).with_name("workloads") / f"{name}.csv"
    for name in ("gpt2-small-wikitext2", "gpt2-small-wikitext2-dense")
}
"""Workloads of the SpAtten authors' release (MIT licence, beside them): pruned, and without any technique."""


def find_workload(source: str | Path | Workload) -> Workload:
    """A workload by name (a published file, a benchmark, a model's sizes with `usual_pruning`), by file, of a trace's
    folder, or as it is.

    Raises:
        InputError: none of these; a name is answered with the closest one.
    """
    if isinstance(source, Workload):
        return source
    name = str(source)
    if is_made(name):
        return made_workload(name)
    path = workload_file(name)
    return read_workload(path / "workload.csv" if path.is_dir() else path)


def workload_names() -> list[str]:
    """Names of workloads: models' sizes, published files, benchmarks."""
    return list(dict.fromkeys([*MODELS, *PUBLISHED, *benchmarks()]))


def workload_file(name: str) -> Path:
    """The file of a published workload, or what is a CSV or a folder itself.

    Raises:
        InputError: neither; it is answered with the closest name.
    """
    path = PUBLISHED.get(name, Path(name))
    if path.suffix.lower() != ".csv" and not path.is_dir():
        raise unknown("workload", name, workload_names(), "; or a .csv file, or the folder of an attention trace")
    return path


def is_made(name: str) -> bool:
    """Whether a name is of a workload that is made from sizes: a model, or a benchmark that is no published file."""
    return name in MODELS or (name in benchmarks() and name not in PUBLISHED)


def model_of(name: str) -> str:
    """The model whose sizes a workload by name has; empty: another name."""
    if name in MODELS:
        return name
    benchmark = benchmarks().get(name.removesuffix("-dense") if name in PUBLISHED else name)
    return benchmark.model if benchmark else ""


def made_workload(
    name: str, *, length: int | None = None, pruning: AttentionPruning | None = None, refetched: float | None = None
) -> Workload:
    """The workload of a name that `is_made`.

    Args:
        length: input tokens; None: the benchmark's or model's.
        pruning: in place of the benchmark's, or of `usual_pruning`.
        refetched: in place of the benchmark's; where pruning is given, of the published average.
    """
    model = MODELS[model_of(name)]
    own = benchmark_settings(benchmarks()[name].settings if name in benchmarks() else _usual(model))
    input_tokens = length or (benchmarks()[name].length if name in benchmarks() else model.length)
    if refetched is None:
        refetched = published_averages()["refetched"] if pruning else own.refetched
    return make_workload(name, model._replace(length=input_tokens), pruning or own.pruning, refetched=refetched)


def usual_pruning(model: Transformer) -> AttentionPruning:
    """The benchmarks' settings, of BERT for encoders and of GPT-2 for decoders (`dataflow.attention.benchmarks`)."""
    return benchmark_settings(_usual(model)).pruning


def _usual(model: Transformer) -> str:
    return "gpt2" if model.generated else "bert"


def make_workload(name: str, model: Transformer, pruning: AttentionPruning, *, refetched: float = 0.059) -> Workload:
    """The workload of a model's sizes under a pruning schedule.

    The summarization stage of an encoder is run whole, a row a head for all its queries; a token that left is no query
    any more. Of a decoder the generated tokens are run, as in the paper's measurements of GPT-2: a row a head for each.
    What is left at a layer is then a share of the longest sequence, input and all generated tokens, and stays so: in
    the first iteration nothing is pruned yet, in each later one a layer has what it had, and the newest token, less the
    one that is least important by then. So a token that left a layer is gone there in all later iterations. This is how
    the authors' workloads are.

    Static quantization is of queries, keys and values alike.

    Args:
        refetched: share of queries that need LSBs where quantization is progressive (paper: 5.9% on average), spread
            evenly over the rows.
    """
    quantization = pruning.quantization
    bits = quantization.msb if quantization else -1
    extra = quantization.lsb if quantization else 0
    threshold = quantization.threshold if quantization else 0.0
    query_bits = bits if quantization and not extra else OPERAND_BITS
    rows: list[list[Any]] = []
    choices = [0]  # numbers of rows up to each top-k
    owed = 0.0
    for iteration, layer, at in _places(model, pruning):
        for head in range(at.heads):
            owed += refetched if extra else 0.0
            again = owed >= 1
            owed -= again
            last = head == at.heads - 1
            ends = last and layer == model.layers - 1 and 0 < model.generated != iteration + 1
            rows.append([
                iteration, layer, head, model.dimension, at.length, at.keys, bits, query_bits, threshold, again, extra,
                at.values, bits, True, ends, last and at.topk >= 0, at.topk if last else -1,
                1 if model.generated else at.keys,
            ])  # fmt: skip
        if at.topk >= 0:
            choices.append(len(rows))
    frame = pd.DataFrame(rows, columns=[*COLUMNS, QUERIES])
    if model.kv_heads:
        frame[KV_HEAD] = frame["head_id"] // (model.heads // model.kv_heads)
    needed = frame.index < choices[-1]  # by a later top-k
    frame["if_accumulate_importance"] = needed
    frame["if_rescale_previous_importance"] &= needed
    return Workload(name, frame)


class Sequence(NamedTuple):
    """What a server's step does with a sequence."""

    length: int
    """Tokens, those of the step among them."""
    keys: int
    """Those that its queries see at most."""
    queries: int = 1
    """Tokens of the step: the last ones, each of which sees the keys up to its own."""


def step_workload(name: str, model: Transformer, sequences: Iterable[Sequence]) -> Workload:
    """A step of a server: every layer's attention over a batch of sequences, all keys' values, operands unquantized.

    Raises:
        InputError: a sequence that is too long, or of more queries than keys.
    """
    heads = pd.DataFrame({"head_id": np.arange(model.heads)})
    heads[KV_HEAD] = heads["head_id"] // (model.heads // (model.kv_heads or model.heads))
    rows = []
    for number, s in enumerate(sequences):
        if not 1 <= s.queries <= s.keys <= s.length <= LONGEST:
            raise InputError(f"{name}: a sequence of {s}: 1 <= queries <= keys <= length <= {LONGEST:,}")
        rows.append(heads.assign(**{
            "sentence_length_L": s.length, "key_fetch_num": s.keys, "value_fetch_num": s.keys, QUERIES: s.queries,
            CAUSAL: s.queries > 1, SEQUENCE: number,
        }))  # fmt: skip
    layer = pd.concat(rows, ignore_index=True).assign(
        iteration_id=0, embedding_length_D=model.dimension, quant_key_bit=-1, quant_query_bit=-1, quant_value_bit=-1,
        auto_requant_thres=0.0, if_requant=False, auto_requant_incre=0, if_accumulate_importance=False,
        if_rescale_previous_importance=False, if_topk=False, topk=-1,
    )  # fmt: skip
    frame = pd.concat([layer.assign(layer_id=i) for i in range(model.layers)], ignore_index=True)
    return Workload(name, frame[[*COLUMNS, QUERIES, KV_HEAD, CAUSAL, SEQUENCE]])


def decode_workload(
    name: str, batch: int, length: int | None = None, budget: int | None = None, layers: int | None = None
) -> Workload:
    """A token more of ``batch`` sequences of a model by name, each with ``length`` tokens (none: the model's own) of
    which its query sees ``budget`` at most (none: all), through ``layers`` of its layers (none: all).

    Raises:
        InputError: an encoder; more layers than it has.
    """
    model = MODELS[model_of(name)]
    if not model.generated:
        raise InputError(f"batch: {name} is an encoder: it generates no token")
    tokens = length or model.length
    if layers is not None:
        if layers > model.layers:
            raise InputError(f"layers={layers}: {name} has {model.layers}")
        model = model._replace(layers=layers)
    told = f"{name}, a token of {batch} sequences of {tokens}" + (f", {budget} keys of each" if budget else "")
    told += f", {layers} layers" if layers else ""
    return step_workload(told, model, [Sequence(tokens, min(tokens, budget or tokens))] * batch)


class _Place(NamedTuple):
    """A layer of an iteration."""

    length: int
    keys: int
    values: int
    heads: int
    topk: int
    """Tokens that are chosen at its end; -1: none leaves."""


def _places(model: Transformer, pruning: AttentionPruning) -> Iterator[tuple[int, int, _Place]]:
    """(iteration, layer, what is there), in order."""
    longest = model.length + model.generated
    left = pruning.tokens.counts(longest, model.layers)
    heads = pruning.heads.counts(model.heads, model.layers)
    for iteration in range(max(model.generated, 1)):
        length = model.length + (iteration + 1 if model.generated else 0)
        first = model.generated > 0 and iteration == 0
        budgets = [longest] * model.layers if first else left
        for layer, budget in enumerate(budgets):
            keys = min(budget, length)
            if layer + 1 < model.layers:
                following, candidates = budgets[layer + 1], keys
            elif (
                iteration + 1 < model.generated
            ):  # the next iteration begins: its token comes to this one's first layer
                following, candidates = left[0], min(budgets[0], length) + 1
            else:
                following, candidates = keys, keys
            yield iteration, layer, _Place(
                length, keys, min(kept(budget, pruning.values), keys), model.heads if first else heads[layer],
                following if following < candidates else -1,
            )  # fmt: skip
